"""What an answer rests on, as plain values for the browser. Knows nothing about Gradio.

What is saved with a message may have come from a stranger's file: answer_from() believes nothing
in it, and every text here is shown as text.
"""

import re
from collections.abc import Sequence
from typing import Any, TypedDict

from webui.storage import Message
from webui.strings import Language, text
from webui.tasks.ask.result import Answer, Citation, NumberedPassage, answer_from
from webui.text.grounding import Flag, FlagKind

MARK = re.compile(r"\[(\d{1,2})\]")
WHOLE = (FlagKind.UNSUPPORTED, FlagKind.UNALIGNED)  # said of a sentence, not of a word
MAX_SHOWN_CHARS = 600  # of a passage that was near


class PlaceView(TypedDict):
    """Where the source panel goes."""

    number: int
    document: str
    name: str
    page: int
    at: str  # "p.3", 「シート「4月」!B12」; "" where the document is all there is to say
    span: list[int]
    quote: str


class EvidenceView(TypedDict):
    places: list[PlaceView]  # in the order in which the answer names them
    marks: list[list[int]]  # of each [n] in the text, in order: n, index in `places`
    flags: list[dict[str, Any]]
    nearest: list[PlaceView]  # where the documents do not say it
    notice: str


def evidence_view(message: Message, language: Language) -> EvidenceView | None:
    """None where the message is no answer from documents."""
    answer = answer_from(message.content, message.evidence) if message.evidence else None
    if answer is None:
        return None
    places, marks = _marks(answer, language)
    near = answer.passages if answer.abstention else ()
    nearest = [_passage_place(passage, language) for passage in near]
    return EvidenceView(
        places=places,
        marks=marks,
        flags=[_flag_view(answer.text, flag, language) for flag in answer.flags],
        nearest=nearest,
        notice=answer.notice,
    )


def _marks(answer: Answer, language: Language) -> tuple[list[PlaceView], list[list[int]]]:
    passages = {passage.number: passage for passage in answer.passages}
    places: list[PlaceView] = []
    marks: list[list[int]] = []
    for match in MARK.finditer(answer.text):
        number = int(match[1])
        if number not in passages:
            continue
        place = _place_of(answer.citations, passages[number], match.start(), language)
        if place not in places:
            places.append(place)
        marks.append([number, places.index(place)])
    return places, marks


def _place_of(
    citations: Sequence[Citation], passage: NumberedPassage, at: int, language: Language
) -> PlaceView:
    """The sentence of the passage that the text around `at` rests on; else all of the passage."""
    own = [citation for citation in citations if citation.number == passage.number]
    if not own:
        return _passage_place(passage, language)
    nearest = min(own, key=lambda one: max(one.start - at, at - one.end, 0))
    return _place(passage, nearest, nearest.quote, language)


def _passage_place(passage: NumberedPassage, language: Language) -> PlaceView:
    return _place(passage, passage, passage.text[:MAX_SHOWN_CHARS], language)


def _place(
    passage: NumberedPassage, found: NumberedPassage | Citation, quote: str, language: Language
) -> PlaceView:
    page, span = found.page, found.span
    if found.place:
        at = found.place.label(language)
    else:
        at = f"p.{page}" if page else ""
    return PlaceView(
        number=passage.number,
        document=passage.document_id,
        name=passage.file,
        page=page or span.page_from or 1,
        at=at,
        span=[span.page_from, span.char_from, span.page_to, span.char_to],
        quote=quote,
    )


def _flag_view(shown: str, flag: Flag, language: Language) -> dict[str, Any]:
    """Doubtful words, by their text and which of its occurrences it is."""
    words = shown[flag.start : flag.end]
    return {
        "text": words,
        "nth": shown[: flag.start].count(words) if words else 0,
        "label": text(f"summary.flag_{flag.kind}", language, text=flag.text),
        "is_whole": flag.kind in WHOLE,
    }
