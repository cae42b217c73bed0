"""Answer: a text, the passages it was written from, and which of them each sentence rests on.

As values and as JSON for the database. Pure; knows no models and no library.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from webui.text.grounding import Flag, FlagKind
from webui.text.pages import Span
from webui.text.places import Place, place_from

MIN_SUPPORT = 0.25  # of a sentence's words in what it cites


class Abstention(StrEnum):
    """Why the answer is only that the documents do not say it."""

    NONE = ""  # it is an answer
    NOTHING_RELEVANT = "nothing_relevant"  # by the search; no model was asked
    MODEL = "model"  # it has read the passages and found nothing


@dataclass(frozen=True, slots=True)
class NumberedPassage:
    """A passage that the model was given, as [number]; a near one where nothing was relevant.

    The text is kept as it was read, so that it can be shown after its document has gone.
    """

    number: int  # from 1
    document_id: str
    file: str  # the document's name
    title: str  # the heading that it stands under, "" for none
    page: int  # where it begins; 0: the document has no pages
    span: Span
    text: str
    score: float  # compares only within one answer
    relevance: float  # 0..1: how much of the question it speaks of
    place: Place | None = None  # where it stands, in a kind without pages


@dataclass(frozen=True, slots=True)
class Citation:
    """Characters [start, end) of the answer rest on this sentence of a passage."""

    start: int
    end: int
    number: int  # of the passage
    document_id: str
    file: str
    page: int  # where the quotation begins; 0: the document has no pages
    span: Span  # of the quotation, in the document
    quote: str
    score: float  # 0..1: the share of the sentence's words, names and numbers found there
    is_marked: bool  # the model put [number] there itself; False: found by comparing
    place: Place | None = None  # of the quotation, in a kind without pages


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` has [n] only for passages that it was given. Flags have places in `text`."""

    text: str
    question: str  # as it was searched for: makes sense without the conversation
    passages: tuple[NumberedPassage, ...] = ()
    citations: tuple[Citation, ...] = ()
    flags: tuple[Flag, ...] = ()
    abstention: Abstention = Abstention.NONE
    num_found: int = 0  # passages; those that did not fit into the prompt are not in `passages`
    used_vectors: bool = False
    notice: str = ""  # one sentence, in the reader's language: what was not as wished

    def cited(self) -> tuple[NumberedPassage, ...]:
        """The passages that something rests on, by number."""
        numbers = {citation.number for citation in self.citations}
        return tuple(passage for passage in self.passages if passage.number in numbers)

    def evidence(self) -> dict[str, Any]:
        """All but the text, for the message it is saved with; answer_from() takes it back."""
        values = asdict(self)
        del values["text"]
        return {**values, "abstention": str(self.abstention)}


def rests_on_nothing(answer: Answer) -> bool:
    """Whether the passages have hardly a word of it: then the documents do not say it."""
    kinds = {flag.kind for flag in answer.flags}
    is_supported = any(citation.score >= MIN_SUPPORT for citation in answer.citations)
    return FlagKind.UNSUPPORTED in kinds and not is_supported


def answer_from(text: str, evidence: Mapping[str, Any]) -> Answer | None:
    """The answer that a saved message is; None when it is none, or not of our making.

    Messages are imported from files of strangers: nothing in them is believed.
    """
    try:
        return Answer(
            text,
            _text(evidence, "question"),
            tuple(_passage(item) for item in _items(evidence, "passages")),
            tuple(_citation(item, len(text)) for item in _items(evidence, "citations")),
            tuple(_flag(item, len(text)) for item in _items(evidence, "flags")),
            Abstention(_text(evidence, "abstention")),
            _number(evidence, "num_found"),
            evidence["used_vectors"] is True,
            _text(evidence, "notice"),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _passage(item: Mapping[str, Any]) -> NumberedPassage:
    return NumberedPassage(
        _number(item, "number"),
        _text(item, "document_id"),
        _text(item, "file"),
        _text(item, "title"),
        _number(item, "page"),
        _span(item),
        _text(item, "text"),
        _real(item, "score"),
        _real(item, "relevance"),
        place_from(item.get("place")),
    )


def _citation(item: Mapping[str, Any], num_chars: int) -> Citation:
    return Citation(
        *_place(item, num_chars),
        _number(item, "number"),
        _text(item, "document_id"),
        _text(item, "file"),
        _number(item, "page"),
        _span(item),
        _text(item, "quote"),
        _real(item, "score"),
        item["is_marked"] is True,
        place_from(item.get("place")),
    )


def _flag(item: Mapping[str, Any], num_chars: int) -> Flag:
    return Flag(FlagKind(_text(item, "kind")), _text(item, "text"), *_place(item, num_chars))


def _span(item: Mapping[str, Any]) -> Span:
    names = ("page_from", "char_from", "page_to", "char_to")
    return Span(*(_number(item["span"], name) for name in names))


def _place(item: Mapping[str, Any], num_chars: int) -> tuple[int, int]:
    start, end = _number(item, "start"), _number(item, "end")
    if not start <= end <= num_chars:
        raise ValueError("a place outside the text")
    return start, end


def _items(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = values[name]
    if not isinstance(items, list | tuple) or not all(isinstance(i, Mapping) for i in items):
        raise TypeError(name)
    return list(items)


def _text(values: Mapping[str, Any], name: str) -> str:
    if not isinstance(values[name], str):
        raise TypeError(name)
    return str(values[name])


def _real(values: Mapping[str, Any], name: str) -> float:
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(name)
    return float(value)


def _number(values: Mapping[str, Any], name: str) -> int:
    value = values[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise ValueError(name)
    return value
