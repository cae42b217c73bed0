"""RTF → pages. Knows nothing about files.

A small reader of its own: the Python libraries for RTF know neither the encoding of each font,
which Japanese files need, nor tables, nor hidden text. Follows no field, opens no object.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from webui.documents.reader.cells import Cell, table_lines
from webui.documents.reader.page_text import PageText
from webui.text.pages import Page
from webui.text.places import Place, PlaceKind

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z'])|([{}])|[\r\n]+"
    rb"|([^\\{}\r\n]+)"
)
_MAX_DEPTH = 10_000
_SKIPPED = frozenset(
    b"fonttbl colortbl stylesheet info pict object objdata header footer headerl headerr headerf "
    b"footerl footerr footerf fldinst generator listtable listoverridetable rsidtbl themedata "
    b"colorschememapping datastore latentstyles pntext pntxta pntxtb xmlnstbl mmathPr nonshppict "
    b"private1 filetbl revtbl background bkmkstart bkmkend template".split()
)
_CHARSETS = {
    0: "cp1252", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "big5", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250",
}  # fmt: skip
_SIGNS = {
    b"par": "\n", b"line": "\n", b"sect": "\n", b"page": "\n", b"tab": "\t", b"emdash": "—",
    b"endash": "–", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”",
    b"bullet": "・", b"emspace": " ", b"enspace": " ", b"softline": "\n",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _State:
    encoding: str = "cp1252"
    is_skipped: bool = False
    is_hidden: bool = False
    num_after_unicode: int = 1


def is_rtf(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{\\rtf")


def read_rtf(data: bytes) -> list[Page]:
    reader = _Rtf(data)
    page = PageText()
    for number, line in enumerate(reader.lines(), start=1):
        page.add(line, Place(PlaceKind.PARAGRAPH, number=number))
    return page.finished()


class _Rtf:
    def __init__(self, data: bytes) -> None:
        self._data = _without_binaries(data)
        self._fonts = _fonts(data)
        page = re.search(rb"\\ansicpg(\d{3,5})", data[:2_000])
        self._usual = _code_page(int(page[1])) if page else "cp1252"
        self._state = _State(self._usual)
        self._stack: list[_State] = []
        self._bytes = bytearray()  # characters of more bytes than one stand across tokens
        self._text: list[str] = []
        self._num_to_skip = 0
        self._cells: list[str] = []
        self._rows: list[list[Cell]] = []
        self._is_in_table = False
        self._high = 0  # half of a character beyond the basic plane

    def lines(self) -> Iterator[str]:
        """Paragraphs and table rows."""
        for match in _TOKEN.finditer(self._data):
            word, number, octet, sign, brace, text = match.groups()
            if word is not None:
                yield from self._control(word, number)
            elif octet is not None:
                self._byte(int(octet, 16))
            elif sign is not None:
                self._symbol(sign)
            elif brace is not None:
                self._group(brace)
            elif text is not None:
                self._plain(text)
        self._decode()
        yield from self._end_table()
        yield from self._paragraph()

    def _group(self, brace: bytes) -> None:
        self._decode()
        if brace == b"{":
            if len(self._stack) < _MAX_DEPTH:
                self._stack.append(self._state)
        elif self._stack:
            self._state = self._stack.pop()
        self._num_to_skip = 0

    def _control(self, word: bytes, number: bytes | None) -> Iterator[str]:
        if word == b"u" and number is not None:
            self._decode()
            self._unicode(int(number))
            return
        if word == b"bin":
            return
        self._decode()
        value = int(number) if number else None
        if word in _SKIPPED:
            self._state = replace(self._state, is_skipped=True)
        elif word == b"uc":
            self._state = replace(self._state, num_after_unicode=max(0, min(value or 0, 10)))
        elif word == b"f" and value is not None:
            self._state = replace(self._state, encoding=self._fonts.get(value, self._usual))
        elif word in (b"v", b"deleted", b"strike", b"striked"):
            self._state = replace(self._state, is_hidden=value != 0)
        elif word == b"plain":
            self._state = replace(self._state, is_hidden=False, encoding=self._usual)
        elif not self._state.is_skipped:
            yield from self._layout(word)

    def _layout(self, word: bytes) -> Iterator[str]:
        match word:
            case b"par" | b"sect" | b"page":
                if self._is_in_table:
                    self._text.append("\n")
                else:
                    yield from self._end_table()
                    yield from self._paragraph()
            case b"pard":
                self._is_in_table = False
            case b"intbl" | b"trowd":
                self._is_in_table = True
            case b"cell" | b"nestcell":
                self._cells.append(" ".join("".join(self._text).split()))
                self._text.clear()
            case b"row" | b"nestrow":
                self._rows.append([Cell(text) for text in self._cells])
                self._cells = []
                self._is_in_table = False
            case _ if word in _SIGNS:
                self._show(_SIGNS[word])

    def _end_table(self) -> Iterator[str]:
        if self._cells:  # a row that has no end
            self._rows.append([Cell(text) for text in self._cells])
            self._cells = []
        rows, self._rows = self._rows, []
        yield from table_lines(rows)

    def _paragraph(self) -> Iterator[str]:
        text = "".join(self._text).strip(" \n")
        self._text.clear()
        if text:
            yield text

    # --- characters ------------------------------------------------------------------------------

    def _symbol(self, sign: bytes) -> None:
        if sign == b"*":  # a destination that old readers leave out, and so do we
            self._state = replace(self._state, is_skipped=True)
        elif sign in (b"\\", b"{", b"}"):
            self._plain(sign)
        else:
            shown = {b"~": " ", b"_": "-", b"\n": "\n", b"\r": "\n"}.get(sign, "")
            self._decode()
            self._show(shown)

    def _byte(self, value: int) -> None:
        if self._num_to_skip:
            self._num_to_skip -= 1
        else:
            self._bytes.append(value)

    def _plain(self, text: bytes) -> None:
        if self._num_to_skip:
            skipped = min(self._num_to_skip, len(text))
            self._num_to_skip -= skipped
            text = text[skipped:]
        self._bytes += text

    def _decode(self) -> None:
        if self._bytes:
            if not self._state.is_skipped and not self._state.is_hidden:
                self._text.append(self._bytes.decode(self._state.encoding, "replace"))
            self._bytes.clear()

    def _unicode(self, number: int) -> None:
        code = number % 0x10000 if number < 0 else number
        self._num_to_skip = self._state.num_after_unicode
        if 0xD800 <= code < 0xDC00:
            self._high = code
        elif 0xDC00 <= code < 0xE000:
            if self._high:
                self._show(chr(0x10000 + ((self._high - 0xD800) << 10) + code - 0xDC00))
            self._high = 0
        elif code < 0x110000:
            self._show(chr(code))

    def _show(self, text: str) -> None:
        if not self._state.is_skipped and not self._state.is_hidden:
            self._text.append(text)


def _without_binaries(data: bytes) -> bytes:
    """Raw pictures may hold any byte, also braces."""
    pieces, position = [], 0
    while match := re.compile(rb"\\bin(\d{1,9}) ?").search(data, position):
        pieces.append(data[position : match.start()])
        position = match.end() + int(match[1])
    return b"".join([*pieces, data[position:]]) if pieces else data


def _fonts(data: bytes) -> dict[int, str]:
    """The encoding of each font that says its own."""
    start = data.find(b"\\fonttbl")
    if start < 0:
        return {}
    table = data[start : start + 200_000]
    found = re.findall(rb"\\f(\d{1,5})(?:\\[a-z]+-?\d*|\s|[{}*])*?\\fcharset(\d{1,3})", table)
    return {
        int(number): _CHARSETS[int(charset)]
        for number, charset in found
        if int(charset) in _CHARSETS and int(charset) != 0
    }


def _code_page(number: int) -> str:
    name = {932: "cp932", 936: "gb18030", 65001: "utf-8", 10001: "cp932"}.get(number)
    name = name or f"cp{number}"
    try:
        b"".decode(name)
    except LookupError:
        return "cp1252"
    return name
