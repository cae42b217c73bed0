"""Spans: runs of sentences that together cover a text, one bullet each, as a tree.

A Span that is longer than one request can hold has Spans of its own, whose bullets it is made of.
Borders stand where the text itself pauses. Pure; the model's tokenizer comes in as a function.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from webui.tasks.summarize.source import Source
from webui.text.salience import saliences

FULL_CHARS = 100  # a longer sentence weighs no more
LATIN = 2.2  # characters of Latin text that say what one of Japanese says
MIN_LETTERS = 6  # of what can carry a bullet; shorter lines count together
LONG_CHARS = 300  # a longer sentence is cut at its commas
BLOCK_CHARS = 6000  # tokenised at once: counting sentence by sentence would take minutes
SAFETY = 1.08  # a sentence alone can take more tokens than its share of a block
REACH = 0.45  # of a Span's weight, that a border may move for a pause
KEY_CHARS = 120  # of what a prompt names as the point of its Span
MIN_QUOTE_CHARS = 10
MAX_CANDIDATES = 12  # that are chosen among where bullets are quotations

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence, or a clause of one that is very long: characters [start, end) of the text."""

    sentence: int
    start: int
    end: int
    num_tokens: int
    num_letters: int
    weight: float  # what it says, for the borders
    salience: float  # what it carries, for the choice of sentences
    pause: int  # before it: 0 none, 1 a paragraph, 2 a heading
    is_heading: bool


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring units, of which one bullet is written."""

    units: tuple[Unit, ...]
    title: str = ""  # the heading that it stands under
    children: tuple["Span", ...] = ()
    kind: str = ""  # the part of minutes that its bullet belongs to
    focus: Unit | None = None  # what the bullet is to be about

    @property
    def start(self) -> int:
        return self.units[0].start

    @property
    def end(self) -> int:
        return self.units[-1].end

    @property
    def sentences(self) -> range:
        return range(self.units[0].sentence, self.units[-1].sentence + 1)

    @property
    def num_tokens(self) -> int:
        return sum(unit.num_tokens for unit in self.units)

    @property
    def height(self) -> int:
        return 1 + max((child.height for child in self.children), default=-1)

    def tree(self) -> Iterator["Span"]:
        """Itself behind all that it is made of."""
        for child in self.children:
            yield from child.tree()
        yield self

    def by_salience(self) -> list[Unit]:
        """The units that can carry a bullet, the best first."""
        usable = [unit for unit in self.units if not unit.is_heading] or list(self.units)
        return sorted(usable, key=lambda u: (u is not self.focus, -u.salience, u.start))

    def quotable(self, text: str) -> list[str]:
        """What can stand alone as a quotation, the best of it, in order, each once."""
        units = [self.focus] if self.focus else self.by_salience()
        good = [unit for unit in units if is_quotable(text[unit.start : unit.end])]
        if not good:  # a table, a list of single words: better short quotes than none
            good = [unit for unit in units if _is_line(text[unit.start : unit.end])]
        best = sorted(good[:MAX_CANDIDATES], key=lambda unit: unit.start)
        return list(dict.fromkeys(text[unit.start : unit.end] for unit in best))


def is_quotable(text: str) -> bool:
    return _is_line(text) and len(text) >= MIN_QUOTE_CHARS


def _is_line(text: str) -> bool:
    return text.isprintable() and any(map(str.isalnum, text)) and len(text) <= LONG_CHARS


def spans_of(
    source: Source, count: int, max_tokens: int, max_children: int, count_tokens: CountTokens
) -> list[Span]:
    """At most `count` Spans that together hold the whole text: as many as it bears."""
    units = units_of(source, max_tokens, count_tokens)
    return spans_among(source, units, count, max_tokens, max_children)


def spans_among(
    source: Source, units: Sequence[Unit], count: int, max_tokens: int, max_children: int
) -> list[Span]:
    if count == 0:
        return []
    parts = _cut(units, min(count, capacity(units)))
    titles = _titles(source, units)
    return [_span(part, max_tokens, max_children, titles) for part in parts]


def capacity(units: Sequence[Unit]) -> int:
    """How many bullets these units bear: short lines count together."""
    return max(1, _capacities(units)[0])


def _capacities(units: Sequence[Unit]) -> list[int]:
    """For each unit, how many bullets it and those behind it bear."""
    count = letters = 0
    found = []
    for unit in reversed(units):
        letters += unit.num_letters
        if letters >= MIN_LETTERS and not unit.is_heading:
            count, letters = count + 1, 0
        found.append(count)
    return found[::-1]


def units_of(source: Source, max_tokens: int, count_tokens: CountTokens) -> list[Unit]:
    rates = _TokenRates(source.text, count_tokens)
    max_tokens = max(16, max_tokens)
    cuts = [
        (index, start, end)
        for index, place in enumerate(source.sentences)
        for start, end in _clauses(source.text, place.start, place.end, rates, max_tokens)
    ]
    weights = saliences([source.text[start:end] for _, start, end in cuts])
    units = []
    for (index, start, end), salience in zip(cuts, weights, strict=True):
        place = source.sentences[index]
        is_first = start == place.start
        letters = sum(map(str.isalnum, source.text[start:end]))
        length = length_of(source.text[start:end])
        weight = min(length, FULL_CHARS) * (0.3 if place.is_heading else 0.5 + 0.5 * salience)
        pause = (2 if place.is_heading else place.starts_paragraph) if is_first else 0
        tokens = rates.estimate(start, end)
        units.append(
            Unit(index, start, end, tokens, letters, weight, salience, pause, place.is_heading)
        )
    return units


def _clauses(
    text: str, start: int, end: int, rates: "_TokenRates", max_tokens: int
) -> Iterator[tuple[int, int]]:
    """The sentence, or pieces of one that no bullet could be made of."""
    limit = min(LONG_CHARS, max(8, int(max_tokens / rates.rate(start, end))))
    while end - start > limit:
        cuts = (text.rfind(mark, start + limit // 3, start + limit) for mark in "、，,;； ")
        cut = next((cut + 1 for cut in cuts if cut >= 0), start + limit)
        yield start, cut
        start = cut
    yield start, end


def length_of(text: str) -> float:
    """In characters of Japanese: Latin text needs more of them to say as much."""
    num_latin = sum(char.isascii() for char in text)
    return len(text) - num_latin * (1 - 1 / LATIN)


def _cut(units: Sequence[Unit], count: int) -> list[tuple[Unit, ...]]:
    """`count` runs of about the same weight, with borders at pauses, each bearing a bullet."""
    parts: list[tuple[Unit, ...]] = []
    rest = list(units)
    for left in range(count, 1, -1):
        border = _border(rest, left)
        parts.append(tuple(rest[:border]))
        rest = rest[border:]
    return [*parts, tuple(rest)]


def _border(units: Sequence[Unit], count: int) -> int:
    """Where the first of `count` parts ends."""
    sums = list(accumulate(unit.weight for unit in units))
    bears = _capacities(units)
    ideal = sums[-1] / count
    options = [
        index
        for index in range(1, len(units))
        if not units[index - 1].is_heading and bears[index] >= count - 1 and bears[0] > bears[index]
    ]
    options = [i for i in options if abs(sums[i - 1] - ideal) <= REACH * ideal] or options
    if not options:
        return max(1, len(units) - count + 1)
    return min(
        options, key=lambda i: abs(sums[i - 1] / max(ideal, 1e-9) - 1) - 0.2 * units[i].pause
    )


def _span(
    units: tuple[Unit, ...], max_tokens: int, max_children: int, titles: dict[int, str]
) -> Span:
    title = titles[units[0].start]
    num_leaves = math.ceil(sum(unit.num_tokens for unit in units) / max(1, max_tokens))
    num_leaves = min(num_leaves, len(units))
    if num_leaves <= 1:
        return Span(units, title)
    height = max(1, math.ceil(math.log(num_leaves, max_children) - 1e-9))
    parts = _cut(units, math.ceil(num_leaves / max_children ** (height - 1)))
    return Span(units, title, tuple(_span(p, max_tokens, max_children, titles) for p in parts))


def _titles(source: Source, units: Sequence[Unit]) -> dict[int, str]:
    """For each unit, by its start, the heading that it stands under."""
    titles, title = {}, ""
    for unit in units:
        if unit.is_heading:
            title = source.text[unit.start : unit.end].lstrip("# ").strip()
        titles[unit.start] = title
    return titles


class _TokenRates:
    """Tokens per character, block by block of the text."""

    def __init__(self, text: str, count_tokens: CountTokens) -> None:
        self._rates = [
            count_tokens(block) / len(block)
            for block in (text[i : i + BLOCK_CHARS] for i in range(0, len(text), BLOCK_CHARS))
        ]

    def rate(self, start: int, end: int) -> float:
        first, last = start // BLOCK_CHARS, (end - 1) // BLOCK_CHARS
        return max(1e-3, *self._rates[first : last + 1]) * SAFETY

    def estimate(self, start: int, end: int) -> int:
        return round(self.rate(start, end) * (end - start)) + 1
