"""Character recognition by the system's tesseract: the picture of a page → words with their places.

Beside the built-in engine, where it is installed. Runs in the document worker, which starts the
program for one page at a time, bounded in time and memory. Knows nothing about PDF files.
"""

import csv
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from webui.documents.reader.rapid import PAGE_LIMIT_S, RecognitionError
from webui.text.pages import RecognisedPage, Word

NAME = "tesseract"
PROGRAM = "tesseract"
LANGUAGE = "jpn"
_LEAST_CONFIDENCE = 30.0  # of a line, in percent: below it is a drawing, not text
_MEMORY_BYTES = 1_500_000_000
_WORD_LEVEL = "5"
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_KILL = 9


def is_installed() -> bool:
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
    lines = list(_lines(rows, dots_per_point))
    words = tuple(word for line in lines for word, _ in line)
    sure = [confidence for line in lines for word, confidence in line for _ in word.text]
    return RecognisedPage(number, words, NAME, round(sum(sure) / max(len(sure), 1) / 100, 3))


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


def _lines(
    rows: Iterator[dict[str, str]], dots_per_point: float
) -> Iterator[list[tuple[Word, float]]]:
    """The lines that were read with some certainty: their words, and how sure each is."""
    number, place = -1, None
    line: list[tuple[Word, float]] = []
    for row in rows:
        if row.get("level") != _WORD_LEVEL or not (row.get("text") or "").strip():
            continue
        here = row["block_num"], row["par_num"], row["line_num"]
        if here != place:
            if _is_sure(line):
                yield line
            number, place, line = number + 1, here, []
        line.append((_word(row, dots_per_point, number), float(row["conf"])))
    if _is_sure(line):
        yield line


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


def _is_sure(line: list[tuple[Word, float]]) -> bool:
    num_chars = sum(len(word.text) for word, _ in line)
    total = sum(len(word.text) * confidence for word, confidence in line)
    return num_chars > 0 and total >= _LEAST_CONFIDENCE * num_chars
