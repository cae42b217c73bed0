"""The built-in character recognition as the document worker has it: a process that lives for pages.

RapidOCR with the models of its package (recogniser.py); this side imports none of it.
"""

import json
import queue
import struct
import time
from importlib.util import find_spec
from typing import Any

from webui.processes.child import Child
from webui.text.pages import Box, RecognisedPage, Word

NAME = "PP-OCRv6"
PAGE_LIMIT_S = 60  # of the processor; a page takes three
_MAX_WALL_SHARE = 5  # of that, for a busy machine
MEMORY_BYTES = 900_000_000  # private; most of it is what finds the lines on a large page
HEAD = struct.Struct("<d")  # before each picture: its dots per point, 0 where nobody knows
_START_LIMIT_S = 60  # it takes three seconds of a quiet machine
_MAX_FAILURES = 3  # in a row; then it is not asked any more
_PARTS = ("rapidocr", "onnxruntime", "cv2")


class RecognitionError(Exception):
    """The engine failed, or took too long."""


def is_installed() -> bool:
    return all(find_spec(part) is not None for part in _PARTS)


class RapidRecogniser:
    """Starts its process with the first page, and again after one that ended it."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._heard: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._num_failures = 0

    def close(self) -> None:
        if self._child:
            self._child.stop()
            self._child = None

    def page(self, number: int, png: bytes, dots_per_point: float) -> RecognisedPage:
        """What stands in the picture. Raises RecognitionError."""
        if self._num_failures >= _MAX_FAILURES:
            raise RecognitionError("it failed too often")
        try:
            child = self._started()
            child.send(HEAD.pack(dots_per_point) + png)
            answer = self._answer(child, PAGE_LIMIT_S)
        except RecognitionError:
            self._num_failures += 1
            self.close()
            raise
        if "error" in answer:
            raise RecognitionError(str(answer["error"]))
        self._num_failures = 0
        return page_of(number, answer["lines"], dots_per_point or 1.0)

    def _started(self) -> Child:
        if self._child is None:
            self._heard = queue.SimpleQueue()
            self._child = Child("webui.documents.reader.recogniser")
            self._child.listen(self._heard.put)
            self._answer(self._child, _START_LIMIT_S)
        return self._child

    def _answer(self, child: Child, limit_s: float) -> dict[str, Any]:
        before_s, deadline = child.cpu_s(), time.monotonic() + _MAX_WALL_SHARE * limit_s
        while True:
            try:
                frame = self._heard.get(timeout=1.0)
                break
            except queue.Empty:
                if child.cpu_s() - before_s > limit_s or time.monotonic() > deadline:
                    raise RecognitionError("it took too long") from None
        if frame is None:
            raise RecognitionError("its process ended")
        answer = json.loads(frame)
        if not isinstance(answer, dict):
            raise RecognitionError("an answer that is none")
        return answer


def page_of(number: int, lines: list[Any], dots_per_point: float) -> RecognisedPage:
    """From the lines as the process sends them, in pixels."""
    words = tuple(
        Word(text, *_box(box, dots_per_point), line=index, is_vertical=is_vertical)
        for index, (text, _, *box, is_vertical) in enumerate(lines)
    )
    num_chars = sum(len(text) for text, *_ in lines)
    total = sum(score * len(text) for text, score, *_ in lines)
    return RecognisedPage(number, words, NAME, round(min(1.0, total / max(num_chars, 1)), 3))


def _box(pixels: list[float], dots_per_point: float) -> Box:
    left, top, right, bottom = (round(edge / dots_per_point, 1) for edge in pixels)
    return left, top, right, bottom
