"""The built-in character recognition: pictures of pages in, their lines with places out.

A process of its own, `python -m webui.documents.reader.recogniser`, started by the document worker:
the only one that imports RapidOCR, OpenCV and onnxruntime. Its models (PP-OCRv6) are files of the
package; nothing is ever fetched. Knows nothing about PDF files.
"""

import json
import logging
import math
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import rapidocr
from rapidocr.ch_ppocr_rec import TextRecInput

from webui.documents.reader.lookalikes import corrected
from webui.documents.reader.rapid import HEAD, MEMORY_BYTES
from webui.documents.reader.reading_order import SeenLine, in_order
from webui.documents.reader.upright import Picture, ink_extent, merged, upright_row
from webui.processes.parent import pipe_to_parent
from webui.processes.wire import read_frame, write_frame

_MODELS = Path(rapidocr.__file__).parent / "models"
# Lines are found in a small picture that is stretched across them: without it the model takes lines
# that are set solid for one. The text is read in all the dots there are.
_FINDING_DOTS = 70 / 72  # per point
_STRETCH = 2
_FINDING_PIXELS = 1_600_000
_LEAST_SCORE = 0.5  # below it is a drawing, not text
_LONG = 1.5  # times as long as wide: its direction is known
_NUM_THREADS = 1  # what is read in the background leaves the others to those who wait

Corners = npt.NDArray[np.float32]  # 4 x 2: from the top left, clockwise


def main() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    pipe_in, pipe_out = sys.stdin.buffer, pipe_to_parent()
    _limit_memory()
    engine = Engine()
    write_frame(pipe_out, json.dumps({"ready": True}).encode())
    while (frame := read_frame(pipe_in)) is not None:
        (dots_per_point,) = HEAD.unpack(frame[: HEAD.size])
        write_frame(
            pipe_out, json.dumps(_answer(engine, frame[HEAD.size :], dots_per_point)).encode()
        )


def _answer(engine: "Engine", data: bytes, dots_per_point: float) -> dict[str, Any]:
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            return {"error": "no picture"}
        lines = engine.lines(np.asarray(picture, np.uint8), dots_per_point)
    except (cv2.error, ValueError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"lines": [line.wire() for line in lines]}


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


class Engine:
    """The two models: one finds lines, one reads them."""

    def __init__(self) -> None:
        cv2.setNumThreads(_NUM_THREADS)
        self._engine = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                # Their paths, because the library fetches what it has to look for.
                "Det.model_path": str(_MODELS / "PP-OCRv6_det_small.onnx"),
                "Rec.model_path": str(_MODELS / "PP-OCRv6_rec_small.onnx"),
                "Det.use_dilation": False,  # it joins lines
                "Det.limit_type": "min",
                "Det.limit_side_len": 32,  # the picture is made as large as it shall be, below
                "Rec.rec_batch_num": 1,  # more cost memory and save nothing
                "EngineConfig.onnxruntime.intra_op_num_threads": _NUM_THREADS,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        # Its own call reads lines from a picture that it has made smaller.
        self._find, self._read = self._engine._load_det_model(), self._engine._load_rec_model()

    def lines(self, picture: Picture, dots_per_point: float) -> list[SeenLine]:
        """In reading order, in pixels of the picture."""
        quads = self._quads(picture, dots_per_point)
        if not quads:
            return []
        is_vertical = _directions(quads)
        crops = [_crop(picture, quad) for quad in quads]
        pairs = list(zip(crops, is_vertical, strict=True))
        read = self._texts([np.rot90(crop) if down else crop for crop, down in pairs])
        angle = _skew(quads, is_vertical)
        middle = picture.shape[1] / 2, picture.shape[0] / 2
        straight: list[SeenLine] = []
        places: dict[int, SeenLine] = {}
        for quad, (crop, down), (text, score) in zip(quads, pairs, read, strict=True):
            if score >= _LEAST_SCORE and text.strip():
                said = corrected(self._with_marks(text, crop) if down else text)
                tight = _tight(quad, crop)
                straight.append(_line(said, score, tight, down, angle, middle))
                places[id(straight[-1])] = _line(said, score, tight, down, 0.0, middle)
        # Vertical lines are put in order by their places, later.
        return [line if line.is_vertical else places[id(line)] for line in in_order(straight)]

    def _quads(self, picture: Picture, dots_per_point: float) -> list[Corners]:
        """Around each line; those that run as most do are found the better way."""
        first = self._found(picture, dots_per_point, 1, 1)
        is_vertical = _directions(first)
        lengths = [max(_size(quad)) for quad in first]
        down = sum(length for length, is_down in zip(lengths, is_vertical, strict=True) if is_down)
        most_are_down = 2 * down > sum(lengths)
        stretch = (_STRETCH, 1) if most_are_down else (1, _STRETCH)
        found = self._found(picture, dots_per_point, *stretch)
        others = [
            quad
            for quad, is_down in zip(first, is_vertical, strict=True)
            if is_down is not most_are_down and max(_size(quad)) > 2 * _LONG * min(_size(quad))
        ]
        kept = [quad for quad in found if not any(_is_in(quad, other) for other in others)] + others
        # What only one look has found: a word alone on its page.
        missed = [quad for quad in first if not any(_overlap(quad, other) for other in kept)]
        return kept + missed

    def _found(self, picture: Picture, dots: float, across: int, down: int) -> list[Corners]:
        height, width = picture.shape
        scale = min(_FINDING_DOTS / dots, 2.0) if dots else 1.0
        scale = min(scale, math.sqrt(_FINDING_PIXELS / (height * width * across * down)))
        size = max(round(width * scale * across), 32), max(round(height * scale * down), 32)
        way = cv2.INTER_AREA if scale * max(across, down) < 1 else cv2.INTER_LINEAR
        small = cv2.cvtColor(cv2.resize(picture, size, interpolation=way), cv2.COLOR_GRAY2BGR)
        boxes = self._find(small).boxes
        back = np.array([width / size[0], height / size[1]], np.float32)
        if boxes is None:
            return []
        return [_from_top_left(np.asarray(box, np.float32) * back) for box in boxes]

    def _texts(self, crops: list[Picture]) -> list[tuple[str, float]]:
        colour = [cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_GRAY2BGR) for crop in crops]
        read = self._read(TextRecInput(img=colour))
        return [(text, float(score)) for text, score in zip(read.txts, read.scores, strict=True)]

    def _with_marks(self, text: str, column: Picture) -> str:
        row = upright_row(column)
        if row is None:
            return text
        ((marks, _),) = self._texts([row])
        return merged(text, marks)


def _from_top_left(quad: Corners) -> Corners:
    """The same corners, the first edge running to the right: a tilted one may begin elsewhere."""

    def to_the_right(turned: Corners) -> float:
        edge = turned[1] - turned[0]
        return float(edge[0] / max(np.linalg.norm(edge), 1e-6))

    return max((np.roll(quad, -first, axis=0) for first in range(4)), key=to_the_right)


def _directions(quads: list[Corners]) -> list[bool]:
    """Which lines are vertical; short ones go the way of their page."""
    sizes = [_size(quad) for quad in quads]
    down = sum(height for width, height in sizes if height > _LONG * width)
    along = sum(width for width, height in sizes if width > _LONG * height)
    return [
        height > _LONG * width or (down > along and width < _LONG * height)
        for width, height in sizes
    ]


def _is_in(quad: Corners, other: Corners) -> bool:
    x, y = quad.mean(0)
    return cv2.pointPolygonTest(other.reshape(-1, 1, 2), (float(x), float(y)), False) >= 0


def _overlap(quad: Corners, other: Corners) -> bool:
    """Whether the boxes around the two do."""
    least, most = np.maximum(quad.min(0), other.min(0)), np.minimum(quad.max(0), other.max(0))
    return bool((least < most).all())


def _size(quad: Corners) -> tuple[float, float]:
    a, b, c, d = quad
    width = max(np.linalg.norm(a - b), np.linalg.norm(c - d))
    return float(width), float(max(np.linalg.norm(a - d), np.linalg.norm(b - c)))


def _crop(picture: Picture, quad: Corners) -> Picture:
    """The line alone, set straight."""
    width, height = (max(round(length), 1) for length in _size(quad))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    straight = cv2.warpPerspective(
        picture,
        cv2.getPerspectiveTransform(quad, corners),
        (width, height),
        borderMode=cv2.BORDER_REPLICATE,
        flags=cv2.INTER_CUBIC,
    )
    return np.asarray(straight, np.uint8)


def _tight(quad: Corners, crop: Picture) -> Corners:
    """As large as its letters: found boxes have a margin, which makes furigana look larger."""
    down, across = ink_extent(crop, 1), ink_extent(crop, 0)
    if down is None or across is None:
        return quad
    top, bottom = np.array(down, np.float32) / crop.shape[0]
    left, right = np.array(across, np.float32) / crop.shape[1]
    a, b, c, d = quad

    def at(x: float, y: float) -> Corners:
        upper, lower = a + x * (b - a), d + x * (c - d)
        return np.asarray(upper + y * (lower - upper), np.float32)

    return np.array([at(left, top), at(right, top), at(right, bottom), at(left, bottom)])


def _skew(quads: list[Corners], is_vertical: list[bool]) -> float:
    """The angle, in radians, at which the page lies: that of its longer lines."""
    angles = []
    for quad, down in zip(quads, is_vertical, strict=True):
        width, height = _size(quad)
        if max(width, height) > 8 * min(width, height):
            x, y = (quad[3] - quad[0]) if down else (quad[1] - quad[0])
            angles.append(math.atan2(-x, y) if down else math.atan2(y, x))
    return float(np.median(angles)) if angles else 0.0


def _line(
    text: str,
    score: float,
    quad: Corners,
    is_vertical: bool,
    angle: float,
    middle: tuple[float, float],
) -> SeenLine:
    """Its box, as high as its letters, on the page turned back by `angle`."""
    x, y = quad.mean(0) - middle
    cos, sin = math.cos(-angle), math.sin(-angle)
    x, y = cos * x - sin * y + middle[0], sin * x + cos * y + middle[1]
    width, height = (length / 2 for length in _size(quad))
    left, top, right, bottom = map(float, (x - width, y - height, x + width, y + height))
    return SeenLine(text, score, left, top, right, bottom, is_vertical)


if __name__ == "__main__":
    main()
