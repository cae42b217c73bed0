"""Character recognition of the pages that have no text: which engine, what is known, its places.

The built-in engine goes first, an installed tesseract where that fails. Runs in the document
worker, which starts either as a process of its own, bounded in time and memory. Knows nothing about
PDF files, and nothing about pictures.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

from webui.documents.reader import rapid, tesseract
from webui.documents.reader.layout import Glyph
from webui.documents.reader.rapid import RapidRecogniser, RecognitionError
from webui.text.characters import width
from webui.text.pages import RecognisedPage, Word

log = logging.getLogger(__name__)

DOTS_PER_POINT = 300 / 72  # what tesseract's models were made for; the built-in takes any


class Recognition:
    """The recognised pages of one document: known ones as they are, others by an engine."""

    def __init__(
        self,
        known: Path | None = None,
        on_begin: Callable[[], None] = lambda: None,
        on_new: Callable[[RecognisedPage], None] = lambda page: None,
    ) -> None:
        self._known = known_pages(known) if known else {}
        self._on_begin = on_begin
        self._on_new = on_new
        self._builtin = RapidRecogniser() if rapid.is_installed() else None

    def close(self) -> None:
        if self._builtin:
            self._builtin.close()

    def page(self, number: int, scan: Callable[[], tuple[bytes, float]]) -> RecognisedPage | None:
        """`scan` gives the picture and its dots per point, 0 where nobody knows how large it is.

        None where no engine can read it.
        """
        if number not in self._known:
            self._on_begin()
            seen = self._recognised(number, *scan())
            if seen is None:
                return None
            self._known[number] = seen
            self._on_new(seen)
        return self._known[number]

    def _recognised(self, number: int, png: bytes, dots: float) -> RecognisedPage | None:
        if self._builtin:
            try:
                return self._builtin.page(number, png, dots)
            except RecognitionError as error:
                log.warning("page %d was not recognised: %s", number, error)
        if tesseract.is_installed():
            try:
                return tesseract.recognised(number, png, dots or DOTS_PER_POINT)
            except RecognitionError as error:
                log.warning("page %d was not recognised by tesseract: %s", number, error)
        return None


def is_available() -> bool:
    """Whether there is an engine; loads none."""
    return rapid.is_installed() or tesseract.is_installed()


def glyphs_of(page: RecognisedPage) -> list[Glyph]:
    """Its characters, as a reader of a text layer would give them; lines end with a line end."""
    found: list[Glyph] = []
    for line in _lines(page.words):
        extent = min(word.top for word in line), max(word.bottom for word in line)
        is_vertical = _is_vertical(line)
        if found:
            found.append(_mark("\n", line[0]))
        for index, word in enumerate(line):
            if index:
                found.append(_mark(" ", word))
            found += _spread(word, *extent, is_vertical)
    return found


def known_pages(path: Path) -> dict[int, RecognisedPage]:
    """What has been recognised of a document already, one page a line; a torn line counts not."""
    pages: dict[int, RecognisedPage] = {}
    with (
        contextlib.suppress(FileNotFoundError),
        path.open(encoding="utf-8", errors="replace") as lines,  # torn within a character, too
    ):
        for line in lines:
            with contextlib.suppress(ValueError, TypeError):
                number, words, *how = json.loads(line)
                pages[number] = RecognisedPage(number, tuple(Word(*word) for word in words), *how)
    return pages


def as_line(page: RecognisedPage) -> str:
    """Inverse of `known_pages`, for one page; it begins a new line, whatever was there before."""
    words = [astuple(word) for word in page.words]
    line = [page.number, words, page.engine, page.confidence]
    return "\n" + json.dumps(line, ensure_ascii=False)


# --- places --------------------------------------------------------------------------------------


def _lines(words: tuple[Word, ...]) -> Iterator[list[Word]]:
    line: list[Word] = []
    for word in words:
        if line and word.line != line[-1].line:
            yield line
            line = []
        line.append(word)
    if line:
        yield line


def _is_vertical(line: list[Word]) -> bool:
    if line[0].is_vertical is not None:
        return line[0].is_vertical
    width = max(word.right for word in line) - min(word.left for word in line)
    height = max(word.bottom for word in line) - min(word.top for word in line)
    return sum(len(word.text) for word in line) > 1 and height > 2 * width


def _spread(word: Word, top: float, bottom: float, is_vertical: bool) -> Iterator[Glyph]:
    """A word's characters share its box as wide as they are; across, they fill their line."""
    shares = [1.0 if is_vertical else width(char) for char in word.text]
    begin, end = (word.top, word.bottom) if is_vertical else (word.left, word.right)
    step = (end - begin) / max(sum(shares), 0.5)
    for char, share in zip(word.text, shares, strict=True):
        edge = begin + share * step
        if is_vertical:
            yield Glyph(char, word.left, begin, word.right, edge, word.right - word.left)
        else:
            yield Glyph(char, begin, top, edge, bottom, bottom - top)
        begin = edge


def _mark(char: str, word: Word) -> Glyph:
    """A line end or a space, put in before `word`."""
    return Glyph(
        char, word.left, word.top, word.left, word.bottom, word.bottom - word.top, is_generated=True
    )
