"""Character recognition by the system's tesseract: the picture of a page → words with their places.

Runs in the document worker, which starts the program for one page at a time, bounded in time and
memory. Knows nothing about PDF files.
"""

import contextlib
import csv
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from webui.documents.reader.layout import Glyph
from webui.text.pages import RecognisedPage, Word

log = logging.getLogger(__name__)

PROGRAM = "tesseract"
LANGUAGE = "jpn"
DOTS_PER_POINT = 300 / 72  # what the program's models were made for
PAGE_LIMIT_S = 60
_LEAST_CONFIDENCE = 30.0  # of a line, in percent: below it is a drawing, not text
_MEMORY_BYTES = 1_500_000_000
_WORD_LEVEL = "5"
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_KILL = 9


class RecognitionError(Exception):
    """The program failed, or took too long."""


class Recognition:
    """The recognised pages of one document: known ones as they are, others by the program."""

    def __init__(
        self,
        known: Path,
        on_begin: Callable[[], None],
        on_new: Callable[[RecognisedPage], None],
    ) -> None:
        self._known = known_pages(known)
        self._on_begin = on_begin
        self._on_new = on_new

    def page(self, number: int, scan: Callable[[], tuple[bytes, float]]) -> RecognisedPage | None:
        """`scan` gives the picture and its dots per point. None where the program fails."""
        if number not in self._known:
            self._on_begin()
            try:
                seen = recognised(number, *scan())
            except RecognitionError as error:
                log.warning("page %d was not recognised: %s", number, error)
                return None
            self._known[number] = seen
            self._on_new(seen)
        return self._known[number]


def is_available() -> bool:
    """Whether the program is installed with its Japanese data."""
    program = shutil.which(PROGRAM)
    return program is not None and LANGUAGE in _languages(program)


def recognised(number: int, png: bytes, dots_per_point: float) -> RecognisedPage:
    """The words in the picture of page `number`. Raises RecognitionError."""
    command = [PROGRAM, "stdin", "stdout", "-l", LANGUAGE, "--psm", "3"]
    command += ["--dpi", str(round(72 * dots_per_point)), "tsv"]
    try:
        done = subprocess.run(
            command,
            input=png,
            capture_output=True,
            timeout=PAGE_LIMIT_S,
            preexec_fn=_limits if sys.platform == "linux" else None,
            env={"OMP_THREAD_LIMIT": "1", "PATH": _path(), "LC_ALL": "C"} | _data_folder(),
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RecognitionError(str(error)) from error
    rows = csv.DictReader(
        io.StringIO(done.stdout.decode("utf-8", "replace")), delimiter="\t", quoting=csv.QUOTE_NONE
    )
    return RecognisedPage(number, tuple(_words(rows, dots_per_point)))


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
                number, words = json.loads(line)
                pages[number] = RecognisedPage(number, tuple(Word(*word) for word in words))
    return pages


def as_line(page: RecognisedPage) -> str:
    """Inverse of `known_pages`, for one page; it begins a new line, whatever was there before."""
    words = [
        (word.text, word.left, word.top, word.right, word.bottom, word.line) for word in page.words
    ]
    return "\n" + json.dumps([page.number, words], ensure_ascii=False)


# --- the program ---------------------------------------------------------------------------------


@cache
def _languages(program: str) -> frozenset[str]:
    try:
        told = subprocess.run(
            [program, "--list-langs"], capture_output=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    return frozenset(told.decode("utf-8", "replace").split())


def _path() -> str:
    return str(Path(shutil.which(PROGRAM) or PROGRAM).parent)


def _data_folder() -> dict[str, str]:
    folder = os.environ.get("TESSDATA_PREFIX")
    return {"TESSDATA_PREFIX": folder} if folder else {}


def _limits() -> None:
    """In the child: it ends with its parent, after its time, and at its memory's end."""
    import ctypes
    import resource

    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, _KILL)
    resource.setrlimit(resource.RLIMIT_CPU, (PAGE_LIMIT_S, PAGE_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def _words(rows: Iterator[dict[str, str]], dots_per_point: float) -> Iterator[Word]:
    number, place = -1, None
    line: list[tuple[Word, float]] = []
    for row in rows:
        if row.get("level") != _WORD_LEVEL or not (row.get("text") or "").strip():
            continue
        here = row["block_num"], row["par_num"], row["line_num"]
        if here != place:
            yield from _sure(line)
            number, place, line = number + 1, here, []
        line.append((_word(row, dots_per_point, number), float(row["conf"])))
    yield from _sure(line)


def _word(row: dict[str, str], dots_per_point: float, line: int) -> Word:
    left, top = int(row["left"]), int(row["top"])
    right, bottom = left + int(row["width"]), top + int(row["height"])
    return Word(
        row["text"].strip(),
        round(left / dots_per_point, 1),
        round(top / dots_per_point, 1),
        round(right / dots_per_point, 1),
        round(bottom / dots_per_point, 1),
        line,
    )


def _sure(line: list[tuple[Word, float]]) -> list[Word]:
    """The words of a line that was read with some certainty."""
    num_chars = sum(len(word.text) for word, _ in line)
    total = sum(len(word.text) * confidence for word, confidence in line)
    return [word for word, _ in line] if total >= _LEAST_CONFIDENCE * max(num_chars, 1) else []


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
    width = max(word.right for word in line) - min(word.left for word in line)
    height = max(word.bottom for word in line) - min(word.top for word in line)
    return sum(len(word.text) for word in line) > 1 and height > 2 * width


def _spread(word: Word, top: float, bottom: float, is_vertical: bool) -> Iterator[Glyph]:
    """A word's characters share its box evenly; across, they are as large as their line."""
    count = len(word.text)
    for index, char in enumerate(word.text):
        if is_vertical:
            step = (word.bottom - word.top) / count
            edge = word.top + index * step
            yield Glyph(char, word.left, edge, word.right, edge + step, word.right - word.left)
        else:
            step = (word.right - word.left) / count
            edge = word.left + index * step
            yield Glyph(char, edge, top, edge + step, bottom, bottom - top)


def _mark(char: str, word: Word) -> Glyph:
    """A line end or a space, put in before `word`."""
    return Glyph(
        char, word.left, word.top, word.left, word.bottom, word.bottom - word.top, is_generated=True
    )
