"""A spreadsheet (xlsx, xlsm; by calamine xls, xlsb and ods) → pages, one or more for each sheet.

xlsx is read here as a stream, because the format of a cell decides what a person sees: 0.35 is
35 %, 46357 a day. No formula is computed, no macro run, no link followed; hidden sheets, rows and
columns are left out.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import BinaryIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import python_calamine

from webui.documents.errors import DocumentError
from webui.documents.reader import number_formats
from webui.documents.reader.ooxml import (
    MAX_PART_BYTES,
    Package,
    attribute,
    child,
    children,
    local,
)
from webui.documents.reader.page_text import PageText
from webui.documents.reader.sheet_rows import Merge, SheetRows
from webui.strings import text as string
from webui.text.pages import Page
from webui.text.places import Place, PlaceKind

MAX_STRINGS = 3_000_000
MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
_CHUNK = 1 << 20
_CELL = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")
_MERGE = re.compile(rb"""<(?:\w+:)?mergeCell\s+ref=["']([A-Z0-9:$]{2,30})["']""")

OnRows = Callable[[int, int], None]  # rows, characters so far
OnLeftOut = Callable[[str], None]
_REPORT_ROWS = 2_000


def read_workbook(stream: BinaryIO, on_rows: OnRows, on_left_out: OnLeftOut) -> list[Page]:
    """Of an xlsx. Raises DocumentError where it is damaged."""
    return _Workbook(Package(stream), on_rows, on_left_out).pages()


class _Workbook:
    def __init__(self, package: Package, on_rows: OnRows, on_left_out: OnLeftOut) -> None:
        self._package = package
        self._on_rows = on_rows
        self._on_left_out = on_left_out
        self._main = package.main_part("xl/workbook.xml")
        self._root = package.xml(self._main)
        self._is_1904 = attribute(child(self._root, "workbookPr"), "date1904") in ("1", "true")
        self._strings = self._shared_strings()
        self._formats = self._cell_formats()
        self._known: dict[tuple[str, int], str] = {}
        self._page = PageText()
        self._num_rows = 0

    def pages(self) -> list[Page]:
        parts = self._package.relationships(self._main)
        for sheet in children(child(self._root, "sheets"), "sheet"):
            name = attribute(sheet, "name")
            kind, part = parts.get(attribute(sheet, "id"), ("", ""))
            if kind != "worksheet":
                continue  # a chart or a dialogue
            if attribute(sheet, "state", "visible") != "visible":
                self._on_left_out(string("place.hidden_sheet", name=name))
                continue
            self._sheet(name, part)
        return self._page.finished()

    def _sheet(self, name: str, part: str) -> None:
        rows = SheetRows(
            self._page,
            name,
            self._merges(part),
            self._table_headers(part),
            self._hidden_columns(part),
        )
        try:
            for number, texts, styles in self._rows(part):
                rows.add(number, texts, styles)
                self._num_rows += 1
                if self._num_rows % _REPORT_ROWS == 0:
                    self._on_rows(self._num_rows, self._page.num_chars)
        except (ElementTree.ParseError, ValueError) as error:
            raise DocumentError("documents.damaged") from error
        rows.finish()
        self._beside(name, part)
        self._page.end_page()

    def _rows(self, part: str) -> Iterator[tuple[int, dict[int, str], dict[int, int]]]:
        number = -1
        with self._package.open(part) as stream:
            for _, element in ElementTree.iterparse(_Checked(stream), ("end",)):
                if not element.tag.endswith("row"):  # the hot loop: most are cells and values
                    if element.tag.endswith("sheetData"):
                        return
                    continue
                given = element.get("r", "")
                number = int(given) - 1 if given.isdigit() else number + 1
                if element.get("hidden") not in ("1", "true") and number < MAX_ROWS:
                    texts, styles = self._cells(element)
                    if texts:
                        yield number, texts, styles
                element.clear()

    def _cells(self, row: Element) -> tuple[dict[int, str], dict[int, int]]:
        texts: dict[int, str] = {}
        styles: dict[int, int] = {}
        at = -1
        for cell in row:
            letters = cell.get("r", "").rstrip("0123456789")
            at = _column(letters) if letters else at + 1
            text = self._value(cell)
            if text:
                texts[at] = text
                styles[at] = int(cell.get("s") or 0)
        return texts, styles

    def _value(self, cell: Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _string(child(cell, "is"))
        value = next((one.text or "" for one in cell if one.tag.endswith("v")), "")
        if not value:
            return ""
        match kind:
            case "s":
                index = int(value)
                return self._strings[index] if 0 <= index < len(self._strings) else ""
            case "b":
                return "TRUE" if value == "1" else "FALSE"
            case "n":
                return self._number(value, int(cell.get("s") or 0))
            case _:
                return value.strip()

    def _number(self, value: str, style: int) -> str:
        form = self._formats[style] if style < len(self._formats) else "General"
        if form == "General" and value.isdigit() and len(value) < 12:
            return value
        key = (value, style)
        if key not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[key] = _shown(value, form, self._is_1904)
        return self._known[key]

    # --- parts -----------------------------------------------------------------------------------

    def _shared_strings(self) -> list[str]:
        names = self._package.related(self._main, "sharedStrings")
        if not names or names[0] not in self._package.names:
            return []
        strings: list[str] = []
        try:
            with self._package.open(names[0]) as stream:
                root: Element | None = None
                for event, element in ElementTree.iterparse(_Checked(stream), ("start", "end")):
                    if root is None:
                        root = element
                    elif event == "end" and local(element) == "si":
                        strings.append(_string(element))
                        root.clear()
                        if len(strings) > MAX_STRINGS:
                            raise DocumentError("documents.too_much_inside")
        except ElementTree.ParseError as error:
            raise DocumentError("documents.damaged") from error
        return strings

    def _cell_formats(self) -> list[str]:
        names = self._package.related(self._main, "styles")
        root = self._package.optional_xml(names[0]) if names else None
        own = {
            attribute(one, "numFmtId"): attribute(one, "formatCode")
            for one in children(child(root, "numFmts"), "numFmt")
        }
        ids = [attribute(one, "numFmtId", "0") for one in children(child(root, "cellXfs"), "xf")]
        return [
            own.get(id) or number_formats.BUILTIN.get(int(id) if id.isdigit() else 0, "General")
            for id in ids
        ]

    def _merges(self, part: str) -> list[Merge]:
        """They stand behind the cells, so the part is looked through once before it is read."""
        found: list[Merge] = []
        tail = b""
        with self._package.open(part) as stream:
            while data := stream.read(_CHUNK):
                text = tail + data
                last = 0
                for match in _MERGE.finditer(text):
                    merge = _merge(match[1].decode("ascii"))
                    found += [merge] if merge else []
                    last = match.end()
                if len(found) > 1_000_000:
                    raise DocumentError("documents.too_much_inside")
                tail = text[max(last, len(text) - 100) :]
        return found

    def _table_headers(self, part: str) -> set[int]:
        """Rows that are the headers of tables as Excel knows them."""
        rows: set[int] = set()
        for name in self._package.related(part, "table"):
            root = self._package.optional_xml(name)
            merge = _merge(attribute(root, "ref"))
            if merge and attribute(root, "headerRowCount", "1") != "0":
                rows.add(merge.first_row)
        return rows

    def _hidden_columns(self, part: str) -> set[int]:
        with self._package.open(part) as stream:
            head = stream.read(200_000).partition(b"<sheetData")[0]
        hidden: set[int] = set()
        for tag in re.findall(rb"<(?:\w+:)?col\s[^>]{0,300}>", head):
            first, last = re.search(rb'min="(\d{1,5})"', tag), re.search(rb'max="(\d{1,5})"', tag)
            if re.search(rb'hidden="(?:1|true)"', tag) and first and last:
                hidden.update(range(int(first[1]) - 1, min(int(last[1]), MAX_COLUMNS)))
        return hidden

    def _beside(self, name: str, part: str) -> None:
        """Comments and the text of drawn shapes."""
        for related in self._package.related(part, "comments"):
            root = self._package.optional_xml(related)
            authors = [one.text or "" for one in children(child(root, "authors"), "author")]
            for one in children(child(root, "commentList"), "comment"):
                text = " ".join(_string(child(one, "text")).split())
                index = attribute(one, "authorId")
                author = (
                    authors[int(index)] if index.isdigit() and int(index) < len(authors) else ""
                )
                place = Place(PlaceKind.CELLS, name, first=attribute(one, "ref"))
                self._page.add(string("place.comment_by", name=author, text=text), place)
        for related in self._package.related(part, "drawing"):
            root = self._package.optional_xml(related)
            for box in root.iter() if root is not None else ():
                if local(box) == "txBody":
                    text = "\n".join(
                        "".join(t.text or "" for t in line.iter() if local(t) == "t")
                        for line in children(box, "p")
                    )
                    place = Place(PlaceKind.NOTE, f"{name} {string('place.text_box')}")
                    self._page.add(text, place)


class _Checked:
    """A part's stream that refuses what only a bomb has, and more than a part may be."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._num_bytes = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        if self._num_bytes < 10_000 and (b"<!DOCTYPE" in data or b"<!ENTITY" in data):
            raise DocumentError("documents.damaged")
        self._num_bytes += len(data)
        if self._num_bytes > MAX_PART_BYTES:
            raise DocumentError("documents.too_much_inside")
        return data


def _shown(value: str, form: str, is_1904: bool) -> str:
    try:
        return number_formats.shown(float(value), form, is_1904=is_1904)
    except (ValueError, OverflowError, ArithmeticError, IndexError):
        return value.strip()


def _string(element: Element | None) -> str:
    """Its runs, without the readings that Japanese Excel keeps beside them."""
    parts: list[str] = []
    for one in element if element is not None else ():
        if local(one) == "t":
            parts.append(one.text or "")
        elif local(one) == "r":
            parts += [t.text or "" for t in one if local(t) == "t"]
    return "".join(parts).strip()


def _merge(ref: str) -> Merge | None:
    corners = [_CELL.fullmatch(corner) for corner in ref.split(":")]
    first, last = corners[0], corners[-1]
    if len(corners) != 2 or first is None or last is None:
        return None
    return Merge(int(first[2]) - 1, _column(first[1]), int(last[2]) - 1, _column(last[1]))


@cache
def _column(letters: str) -> int:
    """ "B" → 1. Raises ValueError for what is no column."""
    if len(letters) > 3 or not letters.isascii() or not letters.isalpha():
        raise ValueError("no column")
    number = 0
    for letter in letters.upper():
        number = 26 * number + ord(letter) - ord("A") + 1
    return min(number - 1, MAX_COLUMNS)


# --- the other kinds -----------------------------------------------------------------------------


def read_other_workbook(stream: BinaryIO, on_rows: OnRows, on_left_out: OnLeftOut) -> list[Page]:
    """xls, xlsb, ods. Raises DocumentError."""
    stream.seek(0)
    page = PageText()
    num_rows = 0
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(stream)
        for meta in book.sheets_metadata:
            if meta.typ != python_calamine.SheetTypeEnum.WorkSheet:
                continue
            if meta.visible != python_calamine.SheetVisibleEnum.Visible:
                on_left_out(string("place.hidden_sheet", name=meta.name))
                continue
            sheet = book.get_sheet_by_name(meta.name)
            merges = [
                Merge(first[0], first[1], last[0], last[1])
                for first, last in sheet.merged_cell_ranges or ()
            ]
            rows = SheetRows(page, meta.name, merges)
            top, left = sheet.start or (0, 0)
            for number, values in enumerate(sheet.iter_rows()):
                texts = {left + at: text for at, one in enumerate(values) if (text := _plain(one))}
                rows.add(number, texts, {})  # calamine begins at the first row of the sheet
                num_rows += 1
                if num_rows % _REPORT_ROWS == 0:
                    on_rows(num_rows, page.num_chars)
            rows.finish()
            page.end_page()
    except python_calamine.PasswordError as error:
        raise DocumentError("documents.password_unsupported") from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise DocumentError("documents.damaged") from error
    return page.finished()


def _plain(value: object) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return number_formats.plain(float(value))
        case datetime() if (value.hour, value.minute, value.second) == (0, 0, 0):
            return f"{value.year}/{value.month}/{value.day}"
        case datetime():
            return f"{value.year}/{value.month}/{value.day} {value.hour}:{value.minute:02}"
        case date():
            return f"{value.year}/{value.month}/{value.day}"
        case time():
            return f"{value.hour}:{value.minute:02}"
        case timedelta():
            minutes = int(value.total_seconds()) // 60
            return f"{minutes // 60}:{minutes % 60:02}"
        case _:
            return str(value).strip()
