"""Markdown → pages: its text as written, headings as places, tables with their headers in each row.

Pictures that stand inside as base64 are left out: they are no text. Knows nothing about files.
"""

import re
from collections.abc import Iterator

from webui.documents.reader.cells import Cell, table_lines
from webui.documents.reader.page_text import PageText
from webui.text.pages import Page
from webui.text.places import Place, PlaceKind

_INLINE_DATA = re.compile(
    r"!?\[([^\]\n]{0,500})\]\(\s*<?data:[^)\s>]*>?(?:\s+[\"'][^\"'\n]{0,500}[\"'])?\s*\)", re.I
)
_DEFINED_DATA = re.compile(r"^ {0,3}\[[^\]\n]{1,500}\]:\s*<?data:\S*.*$", re.I | re.M)
_TAG_DATA = re.compile(r"<img\b[^>]{0,2000}?\bsrc\s*=\s*[\"']data:[^\"']*[\"'][^>]{0,2000}>", re.I)
_BARE_DATA = re.compile(r"data:[\w.+-]{1,100}/[\w.+-]{1,100};base64,[A-Za-z0-9+/=\s]{200,}", re.I)
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_CELL = re.compile(r"(?<!\\)\|")


def without_pictures(text: str) -> str:
    """`text` without the bytes of pictures; their descriptions stay."""
    if "data:" not in text[:100_000_000].lower():
        return text
    for pattern, kept in ((_INLINE_DATA, r"\1"), (_DEFINED_DATA, ""), (_TAG_DATA, "")):
        text = pattern.sub(kept, text)
    return _BARE_DATA.sub("", text)


def read_markdown(text: str) -> list[Page]:
    page = PageText()
    heading, number = "", 0
    for block in _blocks(without_pictures(text)):
        found = _HEADING.match(block)
        if found:
            heading, number = found[2], 0
        number += 1
        page.add(block, Place(PlaceKind.PARAGRAPH, heading, number))
    return page.finished()


def _blocks(text: str) -> Iterator[str]:
    """Lines that belong together; a line break may stand inside a sentence. Tables row by row."""
    lines = text.splitlines()
    block: list[str] = []
    fence = ""
    at = 0
    while at < len(lines):
        line = lines[at]
        mark = _FENCE.match(line)
        if mark and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else mark[1]
        if not fence and "|" in line and at + 1 < len(lines) and _is_rule(lines[at + 1]):
            yield from ["\n".join(block)] if block else []
            block = []
            end = at + 2
            while end < len(lines) and "|" in lines[end] and lines[end].strip():
                end += 1
            rows = [_cells(lines[at], is_header=True), *map(_cells, lines[at + 2 : end])]
            yield from table_lines(rows)
            at = end
            continue
        is_alone = not fence and bool(_HEADING.match(line))
        if block and (is_alone or (not line.strip() and not fence)):
            yield "\n".join(block)
            block = []
        if line.strip() or fence:
            block.append(line)
        if is_alone:
            yield "\n".join(block)
            block = []
        at += 1
    if block:
        yield "\n".join(block)


def _is_rule(line: str) -> bool:
    return "-" in line and len(line) < 2_000 and _RULE.match(line) is not None


def _cells(line: str, is_header: bool = False) -> list[Cell]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [
        Cell(one.replace("\\|", "|").strip(), is_header=is_header) for one in _CELL.split(inner)
    ]
