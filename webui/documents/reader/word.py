"""A Word file (docx) → pages: paragraphs as Word prints them, tables, and what stands beside them.

Automatic numbers are text; insertions are read, deletions, moved-away, hidden and struck text are
not; foot- and endnotes, comments and text boxes follow the paragraph that they belong to.
Knows nothing about the pipe or the database.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from xml.etree.ElementTree import Element

from webui.documents.reader.cells import Cell, table_lines
from webui.documents.reader.ooxml import Package, attribute, child, children, local
from webui.documents.reader.page_text import PageText
from webui.documents.reader.word_numbering import Numbering
from webui.strings import text as string
from webui.text.pages import Page
from webui.text.places import Place, PlaceKind

_MAX_DEPTH = 120
_LEFT_OUT = frozenset("rt del moveFrom instrText delText pPr rPr tblPr object rubyPr sdtPr".split())
_HEADING_NAME = re.compile(r"(?:heading|見出し|title|表題)\s*[1-9]?$", re.I)
_OFF = ("0", "false", "off", "none")
# Of Wingdings and Symbol what office documents use them for; other signs have no text.
_WINGDINGS = dict(
    zip(
        b"\x28\x2a\x6c\x6d\x6e\x6f\x71\x72\x75\x76\xa1\xa4\xa7\xa8\xab\xad\xd8\xdf\xe0\xe1\xe2\xe8\xf0\xf1\xf2\xfb\xfc\xfd\xfe",
        "☎✉●❍■□❑❒◆❖○◉▪◻★✪➢←→↑↓➔⇨⇧⇩✗✓☒☑",
        strict=True,
    )
)
_SYMBOL = dict(
    zip(
        b"abgdezhqiklmnxoprstufcywABGDEZHQIKLMNXOPRSTUFCYW\xb0\xb1\xb3\xb4\xb7\xb8\xb9\xa3\xa5\xae\xac\xad\xaf\xd7",
        "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ°±≥×•÷≠≤∞→←↑↓⋅",
        strict=True,
    )
)


def read_word(stream: BinaryIO) -> list[Page]:
    """Raises DocumentError where it is damaged."""
    return _Word(Package(stream)).pages()


@dataclass(frozen=True, slots=True)
class _Style:
    is_heading: bool = False
    is_hidden: bool = False
    number: tuple[str, int] | None = None  # list id, level


@dataclass(slots=True)
class _Beside:
    """What is named inside a paragraph and stands outside its line."""

    notes: list[tuple[str, str]]  # kind, id
    boxes: list[Element]


class _Word:
    def __init__(self, package: Package) -> None:
        main = package.main_part("word/document.xml")
        self._body = child(package.xml(main), "body")
        related: dict[str, list[str]] = {}
        for kind, name in package.relationships(main).values():
            related.setdefault(kind, []).append(name)

        def part(kind: str) -> Element | None:
            return package.optional_xml(related.get(kind, [""])[0])

        self._styles = _styles(part("styles"))
        self._numbering = Numbering(part("numbering"))
        self._notes = {
            kind: {attribute(one, "id"): one for one in (part(f"{kind}s") or ())}
            for kind in ("footnote", "endnote", "comment")
        }
        self._edges = {
            kind: [package.optional_xml(name) for name in related.get(kind, [])]
            for kind in ("header", "footer")
        }
        self._page = PageText()
        self._heading = ""
        self._num_paragraphs = 0
        self._note_numbers: dict[tuple[str, str], int] = {}

    def pages(self) -> list[Page]:
        self._edge("header")
        if self._body is not None:
            self._blocks(self._body, 0)
        self._edge("footer")
        return self._page.finished()

    def _edge(self, kind: str) -> None:
        """Headers or footers, each once, unless there are only numbers in them."""
        texts = dict.fromkeys(
            " ".join(self._lines_in(root, 0)) for root in self._edges[kind] if root is not None
        )
        place = Place(PlaceKind.NOTE, string(f"place.{kind}"))
        for text in texts:
            if any(map(str.isalpha, text)):
                self._page.add(text, place)

    def _blocks(self, element: Element, depth: int) -> None:
        if depth > _MAX_DEPTH:
            return
        for one in _shown(element):
            match local(one):
                case "p":
                    self._paragraph(one)
                case "tbl":
                    beside = _Beside([], [])
                    for line in table_lines(self._rows(one, beside, depth)):
                        self._add(line)
                    self._add_beside(beside)
                case "sectPr":
                    continue
                case _:
                    self._blocks(one, depth + 1)

    def _paragraph(self, paragraph: Element) -> None:
        beside = _Beside([], [])
        text = self._text(paragraph, beside)
        properties = child(paragraph, "pPr")
        style = self._style(paragraph)
        is_mark_deleted = child(properties, "rPr", "del") is not None
        mark = "" if is_mark_deleted and not text else self._mark(properties, style)
        if text:
            level = attribute(child(properties, "outlineLvl"), "val")
            line = f"{mark}{_gap(mark, text)}{text}"
            if style.is_heading or (level.isdigit() and int(level) < 9):
                self._heading, self._num_paragraphs = line, 0
            self._add(line)
        self._add_beside(beside)

    def _add(self, line: str) -> None:
        self._num_paragraphs += 1
        self._page.add(line, Place(PlaceKind.PARAGRAPH, self._heading, self._num_paragraphs))

    def _mark(self, properties: Element | None, style: _Style) -> str:
        number = _number(properties) or style.number
        if number is None or number[0] == "0":
            return ""
        return self._numbering.mark(*number)

    def _style(self, paragraph: Element) -> _Style:
        name = attribute(child(paragraph, "pPr", "pStyle"), "val")
        return self._styles.get(name, _Style())

    def _add_beside(self, beside: _Beside) -> None:
        for box in beside.boxes:
            place = Place(PlaceKind.NOTE, string("place.text_box"))
            for line in self._lines_in(box, 0):
                self._page.add(line, place)
        for kind, id in dict.fromkeys(beside.notes):
            note = self._notes[kind].get(id)
            if note is None:
                continue
            text = " ".join(self._lines_in(note, 0))
            if kind == "comment":
                shown = string("place.comment_by", name=attribute(note, "author"), text=text)
            else:
                shown = f"※{self._note_numbers[kind, id]} {text}"
            if text:
                self._page.add(shown, Place(PlaceKind.NOTE, string(f"place.{kind}")))

    # --- tables ----------------------------------------------------------------------------------

    def _rows(self, table: Element, beside: _Beside, depth: int) -> list[list[Cell]]:
        rows = [row for row in _table_rows(table, depth) if _is_row_shown(row)]
        placed = [dict(self._cells(row, beside, depth)) for row in rows]
        result = []
        for number, row in enumerate(placed):
            cells: list[Cell] = []
            width = 0
            for column, (cell, joint) in row.items():
                cells += [Cell("")] * (column - width)
                width = column + cell.col_span
                if joint == "continue":
                    continue
                height = 1
                while joint == "restart" and number + height < len(placed):
                    below = placed[number + height].get(column)
                    if below is None or below[1] != "continue":
                        break
                    height += 1
                cells.append(Cell(cell.text, height, cell.col_span, cell.is_header))
            result.append(cells)
        return result

    def _cells(
        self, row: Element, beside: _Beside, depth: int
    ) -> Iterator[tuple[int, tuple[Cell, str]]]:
        """Of a row: column, the cell, and how it is joined to the one above."""
        properties = child(row, "trPr")
        is_header = _is_on(child(properties, "tblHeader"))
        column = _small(attribute(child(properties, "gridBefore"), "val"), 0)
        for cell in _row_cells(row, depth):
            own = child(cell, "tcPr")
            width = max(1, _small(attribute(child(own, "gridSpan"), "val"), 1))
            merge = child(own, "vMerge")
            joint = "" if merge is None else attribute(merge, "val", "continue")
            text = " ".join(self._lines_in(cell, depth + 1, beside))
            yield column, (Cell(text, 1, width, is_header), joint)
            column += width

    def _lines_in(self, element: Element, depth: int, beside: _Beside | None = None) -> list[str]:
        """The paragraphs below it, without places: in cells, notes and boxes."""
        if depth > _MAX_DEPTH:
            return []
        lines: list[str] = []
        inner = beside or _Beside([], [])
        for one in _shown(element):
            match local(one):
                case "p":
                    text = self._text(one, inner)
                    mark = self._mark(child(one, "pPr"), self._style(one))
                    lines += [f"{mark}{_gap(mark, text)}{text}"] if text else []
                case "tbl":
                    inside = table_lines(self._rows(one, inner, depth + 1))
                    lines += [line.strip("| ") for line in inside]
                case _:
                    lines += self._lines_in(one, depth + 1, inner)
        if beside is None:
            for box in inner.boxes[:100]:
                lines += self._lines_in(box, depth + 1)
        return lines

    # --- runs ------------------------------------------------------------------------------------

    def _text(self, paragraph: Element, beside: _Beside) -> str:
        parts: list[str] = []
        is_hidden = self._style(paragraph).is_hidden
        self._collect(paragraph, parts, beside, is_hidden, 0)
        return "".join(parts).strip(" \t\n")

    def _collect(
        self, element: Element, parts: list[str], beside: _Beside, is_hidden: bool, depth: int
    ) -> None:
        for one in _shown(element) if depth < _MAX_DEPTH else ():
            name = local(one)
            if name == "txbxContent":
                beside.boxes.append(one)
            elif name == "r":
                if not self._is_run_hidden(one, is_hidden):
                    self._collect(one, parts, beside, is_hidden, depth + 1)
            elif name in ("footnoteReference", "endnoteReference", "commentReference"):
                parts.append(self._reference(name.removesuffix("Reference"), one, beside))
            elif name == "t":
                parts.append(one.text or "")
            else:
                parts.append(_sign(one, name))
                self._collect(one, parts, beside, is_hidden, depth + 1)

    def _is_run_hidden(self, run: Element, is_hidden: bool) -> bool:
        properties = child(run, "rPr")
        if properties is None:
            return is_hidden
        style = self._styles.get(attribute(child(properties, "rStyle"), "val"), _Style())
        if any(_is_on(child(properties, name)) for name in ("strike", "dstrike")):
            return True
        vanish = child(properties, "vanish")
        return _is_on(vanish) if vanish is not None else is_hidden or style.is_hidden

    def _reference(self, kind: str, element: Element, beside: _Beside) -> str:
        id = attribute(element, "id")
        beside.notes.append((kind, id))
        if kind == "comment" or id not in self._notes[kind]:
            return ""
        number = self._note_numbers.setdefault((kind, id), len(self._note_numbers) + 1)
        return f"※{number}"


def _shown(element: Element) -> Iterator[Element]:
    """The children that are text; of alternatives the first that there is."""
    for one in element:
        name = local(one)
        if name == "AlternateContent":
            options = [*children(one, "Choice"), *children(one, "Fallback")]
            yield from _shown(options[0]) if options else ()
        elif name == "sdt":
            if not _is_on(child(one, "sdtPr", "showingPlcHdr")):
                yield one
        elif name and name not in _LEFT_OUT:
            yield one


def _sign(element: Element, name: str) -> str:
    match name:
        case "tab" | "ptab":
            return "\t"
        case "br" | "cr":
            return "\n"
        case "noBreakHyphen":
            return "-"
        case "sym":
            return _symbol(attribute(element, "font"), attribute(element, "char"))
        case _:
            return ""


def _symbol(font: str, code: str) -> str:
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    if 0xF000 <= number <= 0xF0FF:
        table = _SYMBOL if font.lower() == "symbol" else _WINGDINGS
        return table.get(number - 0xF000, "・" if "ding" in font.lower() else "")
    return chr(number) if 0x20 <= number < 0xD800 else ""


def _table_rows(table: Element, depth: int) -> Iterator[Element]:
    for one in _shown(table) if depth < _MAX_DEPTH else ():
        if local(one) == "tr":
            yield one
        elif local(one) in ("sdt", "sdtContent", "ins", "customXml"):
            yield from _table_rows(one, depth + 1)


def _row_cells(row: Element, depth: int) -> Iterator[Element]:
    for one in _shown(row) if depth < _MAX_DEPTH else ():
        if local(one) == "tc":
            yield one
        elif local(one) in ("sdt", "sdtContent", "customXml"):
            yield from _row_cells(one, depth + 1)


def _is_row_shown(row: Element) -> bool:
    properties = child(row, "trPr")
    return child(properties, "del") is None and not _is_on(child(properties, "hidden"))


def _gap(mark: str, text: str) -> str:
    return "" if not mark or mark == "・" or text[0] in "（(「" else " "


def _number(properties: Element | None) -> tuple[str, int] | None:
    element = child(properties, "numPr")
    id = attribute(child(element, "numId"), "val")
    return (id, _small(attribute(child(element, "ilvl"), "val"), 0)) if id else None


def _styles(root: Element | None) -> dict[str, _Style]:
    elements = {attribute(one, "styleId"): one for one in children(root, "style")}
    return {id: _style(elements, id) for id in elements}


def _style(elements: dict[str, Element], id: str) -> _Style:
    """With what it takes from the styles that it is based on."""
    is_heading = is_hidden = False
    number: tuple[str, int] | None = None
    for _ in range(20):
        element = elements.get(id)
        if element is None:
            break
        properties = child(element, "pPr")
        level = attribute(child(properties, "outlineLvl"), "val")
        name = attribute(child(element, "name"), "val")
        is_heading |= bool(_HEADING_NAME.match(name)) or (level.isdigit() and int(level) < 9)
        is_hidden |= _is_on(child(element, "rPr", "vanish"))
        number = number or _number(properties)
        id = attribute(child(element, "basedOn"), "val")
    return _Style(is_heading, is_hidden, number)


def _is_on(element: Element | None) -> bool:
    return element is not None and attribute(element, "val", "1") not in _OFF


def _small(value: str, default: int) -> int:
    return min(int(value), 1_000) if value.isascii() and value[:6].isdigit() else default
