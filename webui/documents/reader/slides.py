"""A PowerPoint file (pptx) → one page for each slide: title, texts in reading order, tables, notes.

Knows nothing about the pipe. Hidden slides are left out; pictures and films are not even unpacked.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

import pptx
from lxml.etree import LxmlError
from pptx.exc import PythonPptxError

from webui.documents.errors import DocumentError
from webui.documents.reader.cells import Cell, table_lines
from webui.documents.reader.page_text import PageText
from webui.strings import text as string
from webui.text.pages import Page
from webui.text.places import Place, PlaceKind

_MAX_BYTES = 200_000_000  # unpacked, without media
_MAX_DEPTH = 20  # of groups
_UNREAD = ("ppt/media/", "ppt/embeddings/", "ppt/fonts/")
_BROKEN = (
    PythonPptxError, LxmlError, ParseError, zipfile.BadZipFile, zlib.error, OSError, KeyError,
    ValueError, AttributeError, TypeError, IndexError, NotImplementedError, EOFError,
)  # fmt: skip


def read_slides(stream: BinaryIO, on_left_out: Callable[[str], None]) -> list[Page]:
    """Raises DocumentError where it is damaged, or has no slide."""
    page = PageText()
    try:
        presentation = pptx.Presentation(_without_media(stream))
        for number, slide in enumerate(presentation.slides, start=1):
            if slide._element.get("show") in ("0", "false"):
                on_left_out(string("place.hidden_slide", number=number))
                continue
            _add_slide(slide, number, page)
    except _BROKEN as error:
        raise DocumentError("documents.damaged") from error
    return page.finished()


def _without_media(stream: BinaryIO) -> BytesIO:
    """The same package with empty pictures: python-pptx unpacks every part at once."""
    stream.seek(0)
    slim = BytesIO()
    num_bytes = 0
    with zipfile.ZipFile(stream) as archive, zipfile.ZipFile(slim, "w") as copy:
        for info in archive.infolist():
            is_read = not info.filename.lower().startswith(_UNREAD)
            num_bytes += info.file_size if is_read else 0
            if num_bytes > _MAX_BYTES:
                raise DocumentError("documents.too_much_inside")
            data = archive.read(info) if is_read else b""
            if b"<!ENTITY" in data[:10_000]:
                raise DocumentError("documents.damaged")
            copy.writestr(info.filename, data)
    return slim


def _add_slide(slide: Any, number: int, page: PageText) -> None:
    place = Place(PlaceKind.SLIDE, number=number)
    title = slide.shapes.title
    title_text = _text(title.text_frame) if title is not None and title.has_text_frame else ""
    page.add(title_text, place)
    shapes = [
        one for one in _shapes(slide.shapes, 0) if title is None or one.shape_id != title.shape_id
    ]
    for shape in shapes:
        for line in _lines(shape):
            page.add(line, place)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = _text(slide.notes_slide.notes_text_frame)
        page.add(notes, Place(PlaceKind.NOTES, number=number))
    page.end_page()


def _shapes(shapes: Iterable[Any], depth: int) -> Iterator[Any]:
    """From top to bottom, those at one height from left to right; groups in one piece."""
    own = list(shapes)
    heights = [one.height or 0 for one in own if one.height]
    band = max(1, (min(heights) if heights else 1) // 2)
    for shape in sorted(own, key=lambda one: ((one.top or 0) // band, one.left or 0)):
        if hasattr(shape, "shapes") and depth < _MAX_DEPTH:
            yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _lines(shape: Any) -> Iterator[str]:
    if _is_hidden(shape) or _is_edge(shape):
        return
    if getattr(shape, "has_table", False):
        yield from table_lines(_rows(shape.table))
    elif getattr(shape, "has_chart", False):
        yield from _chart_lines(shape.chart)
    elif getattr(shape, "has_text_frame", False):
        text = _text(shape.text_frame)
        if text:
            yield text


def _rows(table: Any) -> Iterator[list[Cell]]:
    has_header = bool(table.first_row)
    for index, row in enumerate(table.rows):
        cells = []
        for cell in row.cells:
            if cell.is_spanned:
                continue
            height, width = (cell.span_height, cell.span_width) if cell.is_merge_origin else (1, 1)
            text = " ".join(_text(cell.text_frame).split())
            cells.append(Cell(text, height, width, has_header and index == 0))
        yield cells


def _chart_lines(chart: Any) -> Iterator[str]:
    """The numbers that are drawn: they are in the file, and nowhere else on the slide."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield _text(chart.chart_title.text_frame)
    for plot in chart.plots:
        names = [str(one) for one in plot.categories]
        header = [Cell("", is_header=True), *(Cell(name, is_header=True) for name in names)]
        rows = [
            [Cell(str(one.name or "")), *(Cell("" if v is None else f"{v:g}") for v in one.values)]
            for one in plot.series
        ]
        yield from table_lines([header, *rows])


def _text(frame: Any) -> str:
    """Paragraphs, with their indents' bullets left to the reader's eye."""
    lines = (paragraph.text for paragraph in frame.paragraphs)
    return "\n".join(line.replace("\v", "\n").strip() for line in lines if line.strip())


def _is_hidden(shape: Any) -> bool:
    found = shape._element.xpath(".//p:cNvPr")
    return bool(found) and found[0].get("hidden") in ("1", "true")


def _is_edge(shape: Any) -> bool:
    """Date, footer and slide number."""
    if not shape.is_placeholder:
        return False
    kind = str(shape.placeholder_format.type)
    return any(name in kind for name in ("DATE", "FOOTER", "SLIDE_NUMBER"))
