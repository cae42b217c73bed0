"""HTML → pages of what a browser would show. Knows nothing about files; follows no link.

Parsed as HTML5 says (Lexbor), so that tags left out, unclosed furigana and tables come out as in
a browser. Ruby, scripts, styles, hidden and deleted text are left out.
"""

import re
from collections.abc import Iterator
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from webui.documents.reader.cells import Cell, table_lines
from webui.documents.reader.encodings import decoded
from webui.documents.reader.page_text import PageText
from webui.text.pages import Page
from webui.text.places import Place, PlaceKind

_BLOCKS: Final = frozenset(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav "
    "ol option p pre search section select summary table tbody textarea tfoot thead tr ul".split()
)
_HEADINGS: Final = frozenset("h1 h2 h3 h4 h5 h6".split())
_HIDDEN: Final = frozenset(
    "script style template noscript rt rp rtc svg head del s strike iframe object embed audio "
    "video canvas datalist noframes".split()
)
_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,200}(?:charset|encoding)\s*=\s*["']?([\w\-]{1,40})""", re.I
)
_HIDING_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_SPACES = re.compile(r"[ \t\r\n\f]+")


def read_html(data: bytes, charset: str = "") -> list[Page]:
    """`charset`: what came with it, which goes before what the file says of itself."""
    declared = _CHARSET.search(data[:4096])
    encoding = charset or (declared[1].decode("ascii", "ignore") if declared else "")
    return html_pages(decoded(data, encoding))


def html_pages(text: str) -> list[Page]:
    page = PageText()
    add_html(text, page)
    return page.finished()


def add_html(text: str, page: PageText, name: str = "") -> None:
    """Add what it shows to `page`; `name` is its heading until it has one of its own."""
    root = LexborHTMLParser(text).root
    if root is not None:
        _Shown(page, name).read(root)


class _Shown:
    """Collects lines while the tree is walked, without recursion: it may be very deep."""

    def __init__(self, page: PageText, heading: str) -> None:
        self._page = page
        self._line: list[str] = []
        self._heading = heading
        self._num_paragraphs = 0
        self._num_pre = 0
        self._lists: list[int | None] = []  # the next number of each open list; None: bullets
        self._tables: list[_OpenTable] = []

    def read(self, root: LexborNode) -> None:
        for node, is_leaving in _walk(root):
            tag = str(node.tag)
            if tag == "-text":
                self._text("" if is_leaving else node.text_content or "")
            elif is_leaving:
                self._leave(tag)
            else:
                self._enter(node, tag)
        self._end_line()

    def _enter(self, node: LexborNode, tag: str) -> None:
        if tag == "br":
            self._line.append("\n")
        elif tag == "table":
            self._end_line()
            self._tables.append(_OpenTable())
        elif tag == "tr" and self._tables:
            self._tables[-1].rows.append([])
        elif tag in ("td", "th") and self._tables:
            self._end_line()
            self._tables[-1].begin(_span(node, "rowspan"), _span(node, "colspan"), tag == "th")
        elif tag in _BLOCKS:
            self._end_line()
            self._enter_block(node, tag)

    def _enter_block(self, node: LexborNode, tag: str) -> None:
        if tag in ("ol", "ul", "menu"):
            self._lists.append(_first_number(node) if tag == "ol" else None)
        elif tag == "li":
            self._line.append(self._list_mark(node))
        elif tag == "pre":
            self._num_pre += 1

    def _list_mark(self, node: LexborNode) -> str:
        if not self._lists or self._lists[-1] is None:
            return "・"
        value = node.attributes.get("value") or ""
        number = int(value) if value.isascii() and value[:9].isdigit() else self._lists[-1]
        self._lists[-1] = number + 1
        return f"{number}. "

    def _leave(self, tag: str) -> None:
        if tag in _HEADINGS:
            heading = "".join(self._line).strip()
            if heading and not self._tables:
                self._heading = heading
                self._num_paragraphs = 0
            self._end_line()
        elif tag == "table" and self._tables:
            self._end_line()
            self._end_table()
        elif tag in ("td", "th") and self._tables:
            self._end_line()
            self._tables[-1].end()
        elif tag in _BLOCKS:
            self._end_line()
            if tag in ("ol", "ul", "menu") and self._lists:
                self._lists.pop()
            self._num_pre = max(0, self._num_pre - (tag == "pre"))

    def _text(self, text: str) -> None:
        self._line.append(text if self._num_pre else _SPACES.sub(" ", text))

    def _end_line(self) -> None:
        text = "".join(self._line)
        self._line.clear()
        if not self._num_pre:
            text = re.sub(r" *\n *", "\n", text).strip()
        if not text.strip("・ \n"):
            return
        if self._tables and self._tables[-1].is_in_cell:
            self._tables[-1].texts.append(text)
        else:
            self._add(text)

    def _end_table(self) -> None:
        lines = table_lines(self._tables.pop().rows)
        if self._tables and self._tables[-1].is_in_cell:  # a table in a cell
            self._tables[-1].texts += [line.strip("| ") for line in lines]
            return
        for line in lines:
            self._add(line)

    def _add(self, text: str) -> None:
        self._num_paragraphs += 1
        self._page.add(text, Place(PlaceKind.PARAGRAPH, self._heading, self._num_paragraphs))


class _OpenTable:
    def __init__(self) -> None:
        self.rows: list[list[Cell]] = []
        self.texts: list[str] = []
        self.is_in_cell = False
        self._spans = (1, 1)
        self._is_header = False

    def begin(self, row_span: int, col_span: int, is_header: bool) -> None:
        self.end()
        self._spans, self._is_header, self.is_in_cell = (row_span, col_span), is_header, True

    def end(self) -> None:
        if self.is_in_cell:
            if not self.rows:
                self.rows.append([])
            self.rows[-1].append(Cell(" ".join(self.texts), *self._spans, self._is_header))
        self.texts, self.is_in_cell = [], False


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Each node that is shown, on entering it and (True) on leaving it."""
    node, is_entering = root, True
    while True:
        if is_entering and _is_shown(node):
            yield node, False
            child = node.first_child
            if child is not None:
                node = child
                continue
            yield node, True
        if node.mem_id == root.mem_id:
            return
        if node.next is not None:
            node, is_entering = node.next, True
            continue
        parent = node.parent
        if parent is None:
            return
        node, is_entering = parent, False
        yield node, True


def _is_shown(node: LexborNode) -> bool:
    tag = str(node.tag)
    if tag in _HIDDEN or tag.startswith(("-comment", "!", "-doctype")):
        return False
    if tag == "-text":
        return True
    attributes = node.attributes
    if "hidden" in attributes and attributes["hidden"] != "until-found":
        return False
    style = attributes.get("style")
    return not (style and _HIDING_STYLE.search(style))


def _span(node: LexborNode, name: str) -> int:
    value = node.attributes.get(name) or "1"
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 1
    return 65_534 if number == 0 and name == "rowspan" else max(1, number)


def _first_number(node: LexborNode) -> int:
    value = node.attributes.get("start") or "1"
    return int(value) if value.isascii() and value[:9].isdigit() and len(value) < 10 else 1
