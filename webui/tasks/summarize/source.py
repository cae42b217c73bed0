"""Source: the text to summarise, its sentences and their pages. Knows no models.

Built from pasted text or from the pages of a read document; everything that follows (sections,
quotes, highlights) counts characters of `Source.text`, which is the repaired text.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from webui.documents.reader.markdown import without_pictures
from webui.documents.reader.page_text import PageText
from webui.documents.reader.transcripts import is_transcript, read_transcript
from webui.errors import AppError
from webui.text import pages as document_pages
from webui.text import splitter
from webui.text.characters import repaired_text
from webui.text.pages import Page, PageProblem
from webui.text.places import Place as Where
from webui.text.places import PlaceKind, PlaceMark, place_between, place_from
from webui.text.titles import title_from

MAX_CHARS = 5_000_000
MIN_TURNS, TURNS_SHARE = 3, 0.5  # of the lines, from which on they are what people said

_SPEAKER = re.compile(r"([^\s:：。、「」|#・\-*0-9][^:：。、「」|]{0,15}?)\s?[:：]\s*\S")
_HEAD = re.compile(  # of minutes: what is told of the meeting, not said in it
    "日時|日付|開催|時間|場所|会場|出席|欠席|参加|列席|傍聴|議題|議案|件名|資料|配布|目的|記録|作成|次第|連絡先|備考"
    r"|(?:date|time|place|venue|present|absent|attend\w*|agenda|subject|minutes)$",
    re.IGNORECASE,
)


class EmptySourceError(AppError):
    """There is nothing to summarise; the message says why and what can be done."""


@dataclass(frozen=True, slots=True)
class Place:
    """One sentence, heading, list item or table row: characters [start, end) of the text."""

    start: int
    end: int
    page: int  # 0 = the text has no pages
    starts_paragraph: bool = False
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    title: str
    text: str
    sentences: tuple[Place, ...]
    file_name: str = ""  # "" = pasted
    page_starts: tuple[tuple[int, int], ...] = ()  # (first character, page number)
    unusable_pages: tuple[tuple[int, str], ...] = ()  # (page number, PageProblem)
    marks: tuple[PlaceMark, ...] = ()  # of a kind without pages

    def sentence(self, index: int) -> str:
        place = self.sentences[index]
        return self.text[place.start : place.end]

    def speaker(self, start: int, end: int) -> str:
        """Who says characters [start, end), "" where the text is no meeting or nobody is named."""
        where = place_between(self.marks, start, end)
        return where.name if where and where.kind is PlaceKind.TIME else ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def values(self) -> dict[str, Any]:
        """What the database keeps; source_from() takes it back."""
        return {
            "title": self.title,
            "text": self.text,
            "file_name": self.file_name,
            "page_starts": [list(pair) for pair in self.page_starts],
            "unusable_pages": [list(pair) for pair in self.unusable_pages],
            "marks": [[at, asdict(place)] for at, place in self.marks],
        }


def pasted(text: str, title: str = "") -> Source:
    """The source in a text field. Raises EmptySourceError."""
    text = without_pictures(text)
    _check_length(len(text))  # before minutes are spent on it
    clean = repaired_text(text.replace("\r\n", "\n").replace("\r", "\n"))
    is_table = re.search(r"\S\t", text) is not None  # rows are lines of their own
    return from_pages([Page(number=1, text=clean)], title=title, is_wrapped=not is_table)


def from_pages(
    pages: Sequence[Page], *, title: str = "", file_name: str = "", is_wrapped: bool = False
) -> Source:
    """The usable pages of a document; `is_wrapped`: its lines may end inside sentences.

    Raises EmptySourceError when there is no letter or digit in it.
    """
    _check_length(sum(len(page.text) for page in pages))
    unusable = tuple((page.number, str(page.problem)) for page in pages if page.problem)
    spoken = _spoken(pages[0].text) if is_wrapped and len(pages) == 1 else []
    if spoken:
        pages = spoken
    elif is_wrapped:
        pages = [_unwrapped_page(page) for page in pages]
    usable = list(document_pages.usable(pages))
    text = document_pages.whole_text(usable)
    if not any(map(str.isalnum, text)):
        raise EmptySourceError(_why_empty(pages), file_name=file_name)
    starts = _page_starts(usable) if len(pages) > 1 else ()
    return Source(
        title or title_from(text) or file_name,
        text,
        _places(splitter.Source(usable), starts),
        file_name,
        starts,
        unusable,
        _marks(usable),
    )


def _check_length(num_chars: int) -> None:
    if num_chars > MAX_CHARS:
        raise EmptySourceError("summary.too_long", num_chars=num_chars, limit=MAX_CHARS)


def source_from(values: dict[str, Any]) -> Source:
    """The source that the database kept."""
    starts = tuple((int(start), int(number)) for start, number in values["page_starts"])
    text = str(values["text"])
    page = Page(number=1, text=text)
    return Source(
        str(values["title"]),
        text,
        _places(splitter.Source([page]), starts),
        str(values["file_name"]),
        starts,
        tuple((int(number), str(problem)) for number, problem in values["unusable_pages"]),
        tuple(
            (int(at), place)
            for at, kept in values.get("marks", ())
            if (place := place_from(kept)) is not None
        ),
    )


def _spoken(text: str) -> list[Page]:
    """Turns of speakers, each at its place; nothing where the text is no meeting."""
    if is_transcript(text):
        return read_transcript(text)
    lines = [line for line in text.split("\n") if line.strip()]
    named = [_speaker_of(line) for line in lines]
    if sum(map(bool, named)) < max(MIN_TURNS, len(lines) * TURNS_SHARE):
        return []
    page, speaker = PageText(), ""
    for line, name in zip(lines, named, strict=True):
        speaker = name or speaker
        page.add(line, Where(PlaceKind.TIME, speaker) if speaker else None)
    return page.finished()


def _speaker_of(line: str) -> str:
    match = _SPEAKER.match(line)
    return match[1] if match and not _HEAD.match(match[1]) else ""


def _unwrapped_page(page: Page) -> Page:
    text = _unwrapped(page.text)
    marks: list[PlaceMark] = []
    last = position = num_before = num_seen = 0
    for at, place in page.places:  # only white space was taken away, so letters count
        num_before += sum(not char.isspace() for char in page.text[last:at])
        last = at
        while num_seen < num_before:
            num_seen += not text[position].isspace()
            position += 1
        while text[position : position + 1].isspace():
            position += 1
        marks.append((position, place))
    return Page(page.number, text, problem=page.problem, places=tuple(marks))


def _unwrapped(text: str) -> str:
    """Sentences on one line each: a line break inside one becomes nothing, or a space in Latin."""
    parts, position = [], 0
    for start, end in splitter.sentence_ranges(text, is_wrapped=True):
        sentence = re.sub(r"(?<=[!-~])[ \t]*\n[ \t]*(?=[!-~])", " ", text[start:end])
        parts += [text[position:start], re.sub(r"[ \t\u3000]*\n[ \t\u3000]*", "", sentence)]
        position = end
    return "".join([*parts, text[position:]])


def _places(source: splitter.Source, starts: Sequence[tuple[int, int]]) -> tuple[Place, ...]:
    places, position = [], 0
    for sentence in splitter.split(source):
        start = source.text.index(sentence.text, position)
        position = start + len(sentence.text)
        page = _page_at(starts, start)
        places.append(Place(start, position, page, sentence.starts_paragraph, sentence.is_heading))
    return tuple(places)


def _page_starts(pages: Sequence[Page]) -> tuple[tuple[int, int], ...]:
    return tuple(
        (start, 0 if page.places else page.number)
        for start, page in zip(_offsets(pages), pages, strict=True)
    )


def _marks(pages: Sequence[Page]) -> tuple[PlaceMark, ...]:
    return tuple(
        (start + at, place)
        for start, page in zip(_offsets(pages), pages, strict=True)
        for at, place in page.places
    )


def _offsets(pages: Sequence[Page]) -> list[int]:
    """Where each page begins in their whole text."""
    lengths = (len(page.text) + (0 if page.continues else 1) for page in pages[:-1])
    return list(accumulate(lengths, initial=0)) if pages else []


def _page_at(starts: Sequence[tuple[int, int]], position: int) -> int:
    index = bisect_right(starts, position, key=lambda pair: pair[0]) - 1
    return starts[index][1] if starts else 0


def _why_empty(pages: Sequence[Page]) -> str:
    problems = {page.problem for page in pages}
    if PageProblem.GARBLED in problems:
        return "summary.garbled"
    if PageProblem.NO_TEXT in problems:
        return "summary.scanned"
    return "summary.empty"
