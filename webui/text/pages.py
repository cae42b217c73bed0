"""The values of a read document: Page, Sentence, Chunk. Know nothing about files or databases.

Every offset counts characters of one page's repaired text, so a span can be followed from a
citation back to the place on the paper.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from webui.text.places import Place, PlaceMark, place_between

Box = tuple[float, float, float, float]  # left, top, right, bottom in points from the top left
if TYPE_CHECKING:
    Tenths = array[int]  # of a point
else:
    Tenths = array  # takes no parameters before Python 3.12


class Kind(StrEnum):
    PDF = "pdf"
    WORD = "docx"
    SHEET = "xlsx"  # and xls, xlsb, ods
    SLIDES = "pptx"
    CSV = "csv"  # and tsv
    RTF = "rtf"
    IMAGE = "image"  # of a page: its text is character recognition's
    HTML = "html"
    MHTML = "mhtml"
    EPUB = "epub"
    MAIL = "mail"  # eml, msg
    TRANSCRIPT = "vtt"  # srt, Teams, Zoom
    ARCHIVE = "zip"
    MARKDOWN = "md"
    TEXT = "txt"


class Reader(StrEnum):
    """Which PDF reader goes first."""

    PDFIUM = "pdfium"
    PYPDF = "pypdf"  # after pdfium has taken its process with it


class PageProblem(StrEnum):
    """Why a page has no usable text; it is named to the user and never indexed."""

    NONE = ""
    NO_TEXT = "no_text"  # a picture: needs character recognition
    GARBLED = "garbled"  # the text layer cannot be read: needs character recognition
    FAILED = "failed"  # the page is damaged


@dataclass(frozen=True, slots=True)
class TextRun:
    """A piece of one printed line: where its characters stand on the paper.

    `edges` has one pair (begin, end) for each character, along the line, in tenths of a point:
    C integers, because a book has millions of them.
    """

    start: int  # the first character's offset in the page's text
    is_vertical: bool
    near: float  # the line's extent across: top and bottom, or left and right when vertical
    far: float
    edges: Tenths

    @property
    def end(self) -> int:
        return self.start + len(self.edges) // 2

    def box(self, start: int, end: int) -> Box | None:
        """Around its characters from `start` to `end`; None when there are none of them here."""
        first, last = max(start, self.start) - self.start, min(end, self.end) - self.start
        if first >= last:
            return None
        part = self.edges[2 * first : 2 * last]
        low, high = min(part) / 10, max(part) / 10
        if self.is_vertical:
            return (self.near, low, self.far, high)
        return (low, self.near, high, self.far)


@dataclass(frozen=True, slots=True)
class Page:
    """One page's text, repaired. `number` counts from 1 and is what a citation shows."""

    number: int
    text: str  # one paragraph per line
    runs: tuple[TextRun, ...] = ()  # empty where the format or the reader knows no places
    width: float = 0.0  # points, as shown
    height: float = 0.0
    continues: bool = False  # the last paragraph goes on on the next page
    problem: PageProblem = PageProblem.NONE
    is_recognised: bool = False  # the text is character recognition's, not the file's
    engine: str = ""  # which one recognised it
    confidence: float = 0.0  # how sure that is, up to 1
    places: tuple[PlaceMark, ...] = ()  # empty where the number says it: the pages of a PDF

    @property
    def place(self) -> Place | None:
        """Where all of it stands; None where the page's number says it."""
        return self.place_of(0, len(self.text))

    def place_of(self, start: int, end: int) -> Place | None:
        """Where the characters from `start` to `end` stand."""
        return place_between(self.places, start, end)

    def boxes(self, start: int, end: int) -> list[Box]:
        """Where the characters from `start` to `end` stand, one box for each printed line."""
        found = (run.box(start, end) for run in self.runs)
        return [box for box in found if box is not None]


@dataclass(frozen=True, slots=True)
class Word:
    """What character recognition takes for one word; the box is in points from the top left."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    line: int  # words of one line follow each other
    is_vertical: bool | None = None  # None: its line's shape says it


@dataclass(frozen=True, slots=True)
class RecognisedPage:
    number: int
    words: tuple[Word, ...]
    engine: str = ""  # "" where a version before this one read it
    confidence: float = 0.0  # how sure it is, up to 1


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters of a document, from one place to another; both may be on different pages."""

    page_from: int
    char_from: int
    page_to: int
    char_to: int  # behind the last character

    def until(self, other: "Span") -> "Span":
        return Span(self.page_from, self.char_from, other.page_to, other.char_to)

    def on(self, page: Page) -> tuple[int, int] | None:
        """The part on `page`, as (start, end); None when it has no part there."""
        if not self.page_from <= page.number <= self.page_to:
            return None
        start = self.char_from if page.number == self.page_from else 0
        end = self.char_to if page.number == self.page_to else len(page.text)
        return start, end


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, heading, list item or table row. `text` is exactly the source at `span`.

    Where it goes over a page border, the pages' texts are joined without a break.
    """

    text: str
    span: Span
    starts_paragraph: bool = False
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring sentences that are searched together. `title` names where they stand."""

    text: str
    span: Span
    title: str = ""


def whole_text(pages: Sequence[Page]) -> str:
    """All pages as one text; a paragraph that a page border cuts is in one piece."""
    parts = [""]
    for page, following in pairwise((*pages, None)):
        assert page is not None
        parts += [page.text, "" if page.continues or following is None else "\n"]
    return "".join(parts)


def usable(pages: Sequence[Page]) -> Iterator[Page]:
    """The pages whose text may be indexed or summarised."""
    return (page for page in pages if not page.problem)
