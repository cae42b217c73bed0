"""Text, HTML and Word files → plain text. Knows nothing about pages, PDF or the database.

Nothing here follows a link, opens a second file or expands an entity.
"""

import codecs
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from webui.documents.errors import DocumentError
from webui.text.characters import repaired_text

MAX_TEXT_BYTES = 50_000_000
_MAX_WORD_BYTES = 200_000_000  # of the unpacked main part
_MAX_DEPTH = 200

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_JAPANESE = re.compile("[\u3041-\u309f\u30a1-\u30ff\u4e00-\u9fff、。]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def decoded(data: bytes, declared: str = "") -> str:
    """The text in `data`, whatever encoding it has. Raises DocumentError when it is no text."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _checked(data.decode(encoding, "replace"))
    if declared:
        text = _decode(data, declared)
        if text is not None:
            return _checked(text)
    if b"\x1b$" in data[:100_000]:
        text = _decode(data, "iso2022_jp")
        if text is not None:
            return _checked(text)
    text = _decode(data, "utf-8")
    if text is not None:
        return _checked(text)
    readings = [text for name in ("cp932", "euc_jp") if (text := _decode(data, name)) is not None]
    if not readings:
        raise DocumentError("documents.not_text")
    return _checked(max(readings, key=_japanese_share))


def _decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None


def _japanese_share(text: str) -> float:
    """Kana decide: the wrong one of two encodings reads as half-width katakana or rare kanji."""
    sample = text[:20_000]
    return len(_JAPANESE.findall(sample)) / max(len(sample), 1)


def _checked(text: str) -> str:
    num_control = len(_CONTROL.findall(text[:20_000]))
    if num_control > 0.01 * min(len(text), 20_000):
        raise DocumentError("documents.not_text")
    return text


def plain_text(data: bytes) -> str:
    return repaired_text(decoded(data).replace("\r\n", "\n").replace("\r", "\n"))


# --- HTML ------------------------------------------------------------------------------------

_BLOCKS: Final = frozenset(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main menu nav ol option p pre "
    "section summary table tbody tfoot thead title tr ul".split()
)
_HIDDEN: Final = frozenset("script style template noscript rt rp svg math head".split())
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([A-Za-z0-9_\-]{1,40})""", re.I)


def html_text(data: bytes) -> str:
    """What a browser would show, one block per line; ruby, scripts and styles left out."""
    declared = _CHARSET.search(data[:4096])
    encoding = declared[1].decode("ascii") if declared else ""
    reader = _HtmlReader()
    reader.feed(decoded(data, encoding))
    reader.close()
    return repaired_text(reader.text())


class _HtmlReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[list[str]] = [[]]
        self._hidden: list[str] = []
        self._num_pre = 0

    def text(self) -> str:
        lines = ("".join(parts).strip() for parts in self._lines)
        return "\n".join(line for line in lines if line)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag == "br" or tag in _BLOCKS:
            self._break()
            if tag == "li":
                self._lines[-1].append("・")
            if tag == "body":
                self._hidden.clear()  # an unclosed head hides nothing
        elif tag in ("td", "th"):
            self._lines[-1].append(" ")
        self._num_pre += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif tag in _BLOCKS:
            self._break()
        self._num_pre = max(0, self._num_pre - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._num_pre:
            for index, line in enumerate(data.split("\n")):
                if index:
                    self._break()
                self._lines[-1].append(line)
            return
        self._lines[-1].append(re.sub(r"[ \t\r\n\f]+", " ", data))

    def _break(self) -> None:
        if self._lines[-1]:
            self._lines.append([])


# --- Word ------------------------------------------------------------------------------------

_LEFT_OUT = frozenset({"rt", "del", "moveFrom", "Fallback", "instrText"})
_DOCUMENT = "word/document.xml"


def is_word(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return _DOCUMENT in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def word_text(path: Path) -> str:
    """The text of a .docx, one paragraph or table row per line."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_DOCUMENT) as part:
            if archive.getinfo(_DOCUMENT).flag_bits & 1:
                raise DocumentError("documents.password_unsupported")
            data = part.read(_MAX_WORD_BYTES + 1)
    except (zipfile.BadZipFile, OSError, KeyError, ValueError, NotImplementedError) as error:
        raise DocumentError("documents.damaged") from error
    except RuntimeError as error:  # zipfile's way to say that it is encrypted
        raise DocumentError("documents.password_unsupported") from error
    if len(data) > _MAX_WORD_BYTES:
        raise DocumentError("documents.too_much_inside")
    if b"<!DOCTYPE" in data[:10_000]:
        raise DocumentError("documents.damaged")  # Word writes none; entity bombs need one
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise DocumentError("documents.damaged") from error
    return repaired_text("\n".join(_word_lines(root, 0)))


def _word_lines(element: ElementTree.Element, depth: int) -> list[str]:
    """The paragraphs below `element`, in order."""
    if depth > _MAX_DEPTH:
        return []
    name = _local(element)
    if name == "p":
        return _word_paragraph(element)
    if name == "tr":
        cells = (" ".join(_word_lines(cell, depth + 1)) for cell in element)
        return [" ".join(cell for cell in cells if cell)]
    if name in _LEFT_OUT:
        return []
    return [line for child in element for line in _word_lines(child, depth + 1)]


def _word_paragraph(paragraph: ElementTree.Element) -> list[str]:
    parts: list[str] = []
    _collect(paragraph, parts, 0)
    text = "".join(parts).strip(" \t\n")
    return text.split("\n") if text else []


def _collect(element: ElementTree.Element, parts: list[str], depth: int) -> None:
    for child in element:
        name = _local(child)
        if name in _LEFT_OUT or depth > _MAX_DEPTH:
            continue
        if name == "t":
            parts.append(child.text or "")
        elif name == "tab":
            parts.append("\t")
        elif name in ("br", "cr", "p") and parts:
            parts.append("\n")  # a paragraph inside one is a text box
        _collect(child, parts, depth + 1)


def _local(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]
