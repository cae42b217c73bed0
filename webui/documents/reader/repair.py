"""Printed lines → pages of clean paragraphs. Knows nothing about PDF files.

In order: running heads go, lines become paragraphs, spaces between Japanese go. Every character
keeps its place on the paper. The rules and what they were measured on: docs/decisions.
"""

import re
import statistics
import unicodedata
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from webui.documents.reader.layout import Line, widths_only, without_needless_spaces
from webui.text.characters import BULLET, is_cjk, width
from webui.text.pages import Page, PageProblem, TextRun

SENTENCE_END = "。．！？!?」』）)】〉》：:"
_NUMBERS = re.compile(r"[0-9０-９]+|^[一二三四五六七八九十ivxIVX]+$")
_PAGE_NUMBER = re.compile(
    r"[\s\-–—‐]*(?:p\.?\s*|ページ\s*)?([0-9]{1,5})(?:\s*/\s*[0-9]+|\s*ページ|\s*頁)?[\s\-–—‐]*",
    re.I,
)

_HEAD_LINES = 2  # a running head is at most this many lines at either edge
_MARGIN = 0.15  # part of the page's height
_MAX_HEAD_CHARS = 60
_FAR_AWAY = 1e9  # tenths of a point
_MANY_LINES = 600  # a page with more has no layout worth a square of work


@dataclass(slots=True)
class PageLines:
    """What a reader found on one page."""

    number: int
    lines: list[Line] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    problem: PageProblem = PageProblem.NONE
    is_recognised: bool = False
    engine: str = ""  # which one recognised it
    confidence: float = 0.0


def repaired_pages(found: list[PageLines]) -> list[Page]:
    """The document's pages, ready to read. Empties `found`: a book's lines fill half of the memory
    that a reader may have."""
    rest = deque(_without_running_heads(_without_page_numbers(found)))
    found.clear()
    pages = []
    blocks = _paragraphs(rest[0].lines) if rest else []
    while rest:
        page = rest.popleft()
        following = _paragraphs(rest[0].lines) if rest else []
        pages.append(_page(page, blocks, following))
        blocks = following
    return pages


# --- running heads ---------------------------------------------------------------------------


def _without_running_heads(pages: Sequence[PageLines]) -> list[PageLines]:
    """Lines at an edge that return on at least half of the pages (and three), numbers aside."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({_head_key(page.lines[index].text) for index in _edge_indices(page)})
    num_with_text = sum(bool(page.lines) for page in pages)
    heads = {
        key
        for key, count in seen.items()
        if count >= max(3, num_with_text / 2) and 0 < len(key) <= _MAX_HEAD_CHARS
    }
    return [_without(page, heads) for page in pages]


def _without(page: PageLines, heads: set[str]) -> PageLines:
    edge = _edge_indices(page)
    kept = [
        line
        for index, line in enumerate(page.lines)
        if not (index in edge and _head_key(line.text) in heads)
    ]
    return replace(page, lines=kept)


def _without_page_numbers(pages: Sequence[PageLines]) -> list[PageLines]:
    """Numbers alone at an edge that count on with the pages, on two pages or more."""
    offsets = Counter(
        number - page.number
        for page in pages
        for number in {_page_number(page.lines[index]) for index in _edge_indices(page)}
        if number is not None
    )
    if not offsets or offsets.most_common(1)[0][1] < max(2, len(pages) / 2):
        return list(pages)
    offset = offsets.most_common(1)[0][0]
    return [_without_number(page, page.number + offset) for page in pages]


def _without_number(page: PageLines, number: int) -> PageLines:
    edge = _edge_indices(page)
    kept = [
        line
        for index, line in enumerate(page.lines)
        if not (index in edge and _page_number(line) == number)
    ]
    return replace(page, lines=kept)


def _page_number(line: Line) -> int | None:
    match = _PAGE_NUMBER.fullmatch(unicodedata.normalize("NFKC", line.text))
    return int(match[1]) if match else None


def _edge_indices(page: PageLines) -> set[int]:
    """Indices of lines that may be running heads: outermost, in the margin, apart from the rest.

    Lines that lie on their side are none.
    """
    indices = [index for index, line in enumerate(page.lines) if not line.turn]
    if not indices:
        return set()
    if len(page.lines) > 1 and page.lines[indices[0]].is_placed and page.height > 0:
        down = sorted(indices, key=lambda index: _height_on_paper(page.lines[index]))
        return {*_edge(page, down), *_edge(page, down[::-1])}
    if len(page.lines) <= 2 * _HEAD_LINES:
        return set()  # a short page is all edge
    return {*indices[:_HEAD_LINES], *indices[-_HEAD_LINES:]}


def _edge(page: PageLines, order: list[int]) -> list[int]:
    """The first ones of `order`, up to a wider gap than between lines, or another size."""
    places = [_height_on_paper(page.lines[index]) for index in order[: _HEAD_LINES + 1]]
    pitch = _usual_pitch(page.lines)
    for count in range(len(places) - 1, 0, -1):
        gap = abs(places[count] - places[count - 1])
        share = places[count - 1] / page.height
        size, outer = (page.lines[order[index]].size for index in (count, count - 1))
        if gap > 1.25 * (pitch or 1.5 * size) or not 0.92 < outer / max(size, 0.1) < 1.08:
            return order[:count] if not _MARGIN < share < 1 - _MARGIN else []
    return []


def _height_on_paper(line: Line) -> float:
    return (line.begin + line.end) / 2 if line.is_vertical else line.middle


def _head_key(text: str) -> str:
    squeezed = "".join(unicodedata.normalize("NFKC", text).split())
    return _NUMBERS.sub("#", squeezed)


# --- paragraphs --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Measure:
    """The column that a line stands in: where its neighbours begin and end."""

    begin: float
    end: float
    pitch: float  # usual distance between lines

    @property
    def length(self) -> float:
        return max(self.end - self.begin, 1.0)


def _paragraphs(lines: list[Line]) -> list[list[Line]]:
    """Lines that belong together, in order."""
    measures = _measures(lines)
    paragraphs: list[list[Line]] = []
    for index, line in enumerate(lines):
        if index and not _breaks(lines[index - 1], line, measures[index - 1], measures[index]):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    return paragraphs


def _measures(lines: list[Line]) -> list[_Measure]:
    pitch = _usual_pitch(lines)
    if len(lines) > _MANY_LINES:
        return [_measure(lines, pitch)] * len(lines)
    return [_measure(_column_of(line, lines), pitch) for line in lines]


def _column_of(line: Line, lines: list[Line]) -> list[Line]:
    """The lines above and below it, of the same direction and about the same size."""
    return [
        other
        for other in lines
        if other is line
        or (
            (other.is_vertical, other.turn) == (line.is_vertical, line.turn)
            and 0.8 < other.size / max(line.size, 0.1) < 1.25
            and min(other.end, line.end) - max(other.begin, line.begin)
            > 0.5 * min(other.end - other.begin, line.end - line.begin)
        )
    ]


def _measure(column: list[Line], pitch: float) -> _Measure:
    begins = Counter(round(line.begin) for line in column)
    begin, count = begins.most_common(1)[0]
    if count < 2:
        begin = min(begins)
    ends = sorted(line.end for line in column)
    return _Measure(begin, ends[min(int(0.9 * len(ends)), len(ends) - 1)], pitch)


def _usual_pitch(lines: list[Line]) -> float:
    steps = [
        after.middle - before.middle
        for before, after in zip(lines, lines[1:], strict=False)
        if 0 < after.middle - before.middle < 4 * max(before.size, after.size)
    ]
    return statistics.median_low(steps) if steps else 0.0


def _breaks(line: Line, following: Line, measure: _Measure, its_measure: _Measure) -> bool:
    """Whether a new paragraph begins with `following`."""
    size = max(line.size, following.size)
    if line.is_row or following.is_row or line.is_vertical != following.is_vertical:
        return True
    if line.turn != following.turn:
        return True
    if not 0.85 < following.size / max(line.size, 0.1) < 1.18:
        return True
    if following.text.startswith("\u3000"):
        return True
    if BULLET.match(following.text):
        # ・ may also be the middle of a name that the margin cuts.
        return following.text[0] != "・" or line.text[0] == "・" or _ends_early(line, measure)
    step = following.middle - line.middle
    if step > 1.5 * measure.pitch + 0.2 * size > 0 and step > 1.2 * size:
        return True
    if _is_indented(line, following, its_measure):
        return True
    return _ends_early(line, measure)


def _is_indented(line: Line, following: Line, measure: _Measure) -> bool:
    """Its first line stands a little inside; a hanging indent stands where the last line did."""
    indent = following.begin - measure.begin
    same_column = following.middle > line.middle
    hangs = same_column and following.begin <= line.begin + 0.3 * following.size
    is_hanging_bullet = same_column and BULLET.match(line.text) is not None
    return 0.7 * following.size < indent < 4 * following.size and not (hangs or is_hanging_bullet)


def _ends_early(line: Line, measure: _Measure) -> bool:
    """The line does not reach the margin, so its paragraph is over."""
    missing = measure.end - line.end
    text = line.text.rstrip()
    if text and text[-1] in SENTENCE_END and missing > 1.2 * line.size:
        return True
    ragged = 3.5 if text and is_cjk(text[-1]) else 12
    return missing > max(ragged * line.size, 0.12 * measure.length)


# --- text ----------------------------------------------------------------------------------------


def _page(page: PageLines, paragraphs: list[list[Line]], following: list[list[Line]]) -> Page:
    writer = _Writer(page.width, page.height)
    for paragraph in paragraphs:
        writer.write_paragraph(paragraph)
    return Page(
        number=page.number,
        text=writer.text(),
        runs=writer.runs(),
        width=page.width,
        height=page.height,
        continues=_continues(paragraphs, following),
        problem=page.problem,
        is_recognised=page.is_recognised,
        engine=page.engine,
        confidence=page.confidence,
    )


def _continues(paragraphs: list[list[Line]], following: list[list[Line]]) -> bool:
    """Whether the last paragraph goes on on the next page."""
    if not paragraphs or not following:
        return False
    last, first = paragraphs[-1][-1], following[0][0]
    both = [line for block in (*paragraphs, *following) for line in block]
    measures = [_measure(_column_of(line, both), 0.0) for line in (last, first)]
    return last.text.rstrip()[-1:] not in "。．！？" and not _breaks(last, first, *measures)


class _Writer:
    """Paragraphs as one text, with a run for each printed line on paper of that size."""

    def __init__(self, width: float, height: float) -> None:
        self._paper = width, height
        self._parts: list[str] = []
        self._runs: list[TextRun] = []
        self._length = 0

    def text(self) -> str:
        return "".join(self._parts)

    def runs(self) -> tuple[TextRun, ...]:
        return tuple(self._runs)

    def write_paragraph(self, lines: list[Line]) -> None:
        if self._parts:
            self._write("\n")
        for index, line in enumerate(lines):
            text, edges = without_needless_spaces(line)
            if index:
                text, edges = self._joined(text, edges)
            if line.is_placed:
                self._runs.append(_run(line, edges, self._length, self._paper))
            self._write(text)

    def _joined(self, text: str, edges: list[float]) -> tuple[str, list[float]]:
        """What `text` is behind the line before it; a hyphen there may be taken back."""
        before = self._parts[-1][-1:]
        if before == "-" and self._parts[-1][-2:-1].isalpha() and text[:1].islower():
            self._take_back_one()
        elif before and text and not is_cjk(before) and not is_cjk(text[0]) and before != " ":
            self._write(" ")
        return text, edges

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def _take_back_one(self) -> None:
        self._parts[-1] = self._parts[-1][:-1]
        self._length -= 1
        if self._runs and self._runs[-1].end > self._length:
            run = self._runs[-1]
            self._runs[-1] = TextRun(run.start, run.is_vertical, run.near, run.far, run.edges[:-2])


def _run(line: Line, edges: list[float], start: int, paper: tuple[float, float]) -> TextRun:
    """The line's place on the page as it is shown, also where the line lies on its side."""
    near, far = (-line.far, -line.near) if line.is_vertical else (line.near, line.far)
    is_vertical, (width, height) = line.is_vertical, paper
    match line.turn, is_vertical:
        case (1, False):
            is_vertical, edges = True, [height - edge for edge in edges]
        case (1, True):
            is_vertical, (near, far) = False, (height - far, height - near)
        case (2, _):
            along, across = (height, width) if is_vertical else (width, height)
            edges, (near, far) = [along - edge for edge in edges], (across - far, across - near)
        case (3, False):
            is_vertical, (near, far) = True, (width - far, width - near)
        case (3, True):
            is_vertical, edges = False, [width - edge for edge in edges]
    tenths = array("i", map(_tenths, edges))
    return TextRun(start, is_vertical, round(near, 1), round(far, 1), tenths)


def _tenths(edge: float) -> int:
    """Of a point. A hostile file puts characters anywhere, also where no number is."""
    return round(max(-_FAR_AWAY, min(_FAR_AWAY, edge * 10)))


def page_of_text(number: int, text: str) -> PageLines:
    """Lines of a reader that knows no places: only their widths say where paragraphs end."""
    lines = [
        widths_only(line, float(index), map(width, line))
        for index, line in enumerate(text.split("\n"))
        if line.strip()
    ]
    return PageLines(number, lines)
