"""Sections: runs of whole sentences that fit into one call, ending where the text itself pauses.

Pure; the model's tokenizer comes in as a function. Nothing of the text is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from webui.tasks.summarize.source import Place, Source

HEADING_SHARE = 0.4  # a section this full ends before a heading
PARAGRAPH_SHARE = 0.75  # … and this full before a paragraph
BLOCK_CHARS = 6000  # tokenised at once: counting sentence by sentence would take minutes
SAFETY = 1.08  # a sentence alone can take more tokens than its share of a block

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Section:
    """Characters [start, end) of the source; sentences [first, last)."""

    index: int
    start: int
    end: int
    first: int
    last: int
    num_tokens: int
    title: str = ""


def sections_of(source: Source, max_tokens: int, count_tokens: CountTokens) -> list[Section]:
    """The whole text as sections of at most `max_tokens` each, by the model's own tokenizer."""
    pieces = _pieces(source, max_tokens, count_tokens)
    sections: list[Section] = []
    group: list[_Piece] = []
    total, heading, title = 0, "", ""
    for piece in pieces:
        if group and _ends_before(piece, total, max_tokens):
            sections.append(_section(len(sections), group, total, title))
            group, total = [], 0
        heading = piece.heading or heading
        if not group:
            title = heading
        group.append(piece)
        total += piece.num_tokens
    return [*sections, _section(len(sections), group, total, title)]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, or a part of one that is longer than a whole section."""

    sentence: int
    start: int
    end: int
    num_tokens: int
    heading: str
    starts_paragraph: bool


def _ends_before(piece: _Piece, total: int, max_tokens: int) -> bool:
    if total + piece.num_tokens > max_tokens:
        return True
    if piece.heading:
        return total >= HEADING_SHARE * max_tokens
    return piece.starts_paragraph and total >= PARAGRAPH_SHARE * max_tokens


def _pieces(source: Source, max_tokens: int, count_tokens: CountTokens) -> list[_Piece]:
    rates = _TokenRates(source.text, count_tokens)
    pieces = []
    for index, place in enumerate(source.sentences):
        for start, end in _cuts(place, rates, max_tokens):
            is_first = start == place.start
            heading = source.text[start:end].lstrip("# ") if place.is_heading else ""
            num_tokens = rates.estimate(start, end)
            begins = is_first and place.starts_paragraph
            pieces.append(_Piece(index, start, end, num_tokens, heading, begins))
    return pieces


def _cuts(place: Place, rates: "_TokenRates", max_tokens: int) -> list[tuple[int, int]]:
    """The place in equal parts that fit."""
    num_parts = -(-rates.estimate(place.start, place.end) // max(1, max_tokens - 2))
    num_parts = min(max(1, num_parts), place.end - place.start)
    length = place.end - place.start
    borders = [place.start + length * part // num_parts for part in range(num_parts + 1)]
    return list(zip(borders, borders[1:], strict=False))


class _TokenRates:
    """Tokens per character, block by block of the text."""

    def __init__(self, text: str, count_tokens: CountTokens) -> None:
        self._rates = [
            count_tokens(block) / len(block)
            for block in (text[i : i + BLOCK_CHARS] for i in range(0, len(text), BLOCK_CHARS))
        ]

    def estimate(self, start: int, end: int) -> int:
        first, last = start // BLOCK_CHARS, (end - 1) // BLOCK_CHARS
        rate = max(self._rates[first : last + 1])
        return round(rate * (end - start) * SAFETY) + 1


def _section(index: int, group: Sequence[_Piece], total: int, title: str) -> Section:
    return Section(
        index,
        group[0].start,
        group[-1].end,
        group[0].sentence,
        group[-1].sentence + 1,
        total,
        title,
    )
