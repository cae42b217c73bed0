"""What a PDF page draws, as pdfium's objects: texts that its text page would lose, ruled lines.

Knows nothing about characters and what they say.
"""

import ctypes
import math
from collections.abc import Iterator
from typing import Any

import pypdfium2.raw as pdfium

from webui.documents.reader.tables import Ruling

_SCALE = 1000  # device units per point, for pdfium's integer mapping
_MAX_OBJECTS = 20_000  # of a page; a map has more, and no tables
_MAX_DEPTH = 4  # of forms in forms
_MAX_SEGMENTS = 400  # of one path; a drawing has more
_THIN = 3.0  # points: a filled box that is thinner is a ruled line
_SHORT = 4.0  # points: shorter ones are part of a drawing or a letter
_NO_WIDTH = 0.0101  # points; pdfium's own limit, below which it passes a text over

Matrix = tuple[float, float, float, float, float, float]
_SAME: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


class Placer:
    """Page space (any origin, any rotation) → points from the top left of the shown page."""

    def __init__(self, page: Any) -> None:
        width, height = page.get_size()
        size = (round(width * _SCALE), round(height * _SCALE))

        def device(x: float, y: float) -> tuple[float, float]:
            to_x, to_y = ctypes.c_int(), ctypes.c_int()
            pdfium.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, to_x, to_y)
            return to_x.value / _SCALE, to_y.value / _SCALE

        # Three points decide an affine map; far apart, because the answers are whole numbers.
        origin, right, up = device(0, 0), device(1000, 0), device(0, 1000)
        self._origin = origin
        self._along_x = ((right[0] - origin[0]) / 1000, (right[1] - origin[1]) / 1000)
        self._along_y = ((up[0] - origin[0]) / 1000, (up[1] - origin[1]) / 1000)

    def box(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[float, float, float, float]:
        (x0, y0), (ax, ay), (bx, by) = self._origin, self._along_x, self._along_y
        xs = (x0 + ax * left + bx * top, x0 + ax * right + bx * bottom)
        ys = (y0 + ay * left + by * top, y0 + ay * right + by * bottom)
        return min(xs), min(ys), max(xs), max(ys)

    def quarter(self, a: float, b: float, d: float) -> int:
        """Into which direction a text with this matrix runs: 0 right, 1 up, 2 left, 3 down."""
        along = self._along_x[0] * a + self._along_y[0] * b
        down = self._along_x[1] * a + self._along_y[1] * b
        if abs(down) > 2 * abs(along):
            return 1 if down < 0 else 3
        # A mirrored text runs to the left, too, but its letters stand upright.
        return 2 if along < -2 * abs(down) and d * (self._along_y[1] or -1.0) > 0 else 0


def outline_lost_texts(page: Any) -> None:
    """Give texts without a width an outline, so that pdfium's text page has them, too.

    It passes over a text whose ink is less than 0.01 points wide: one character of a font that is
    not embedded and whose glyphs pdfium does not know. Only the open page in memory is changed.
    """
    same = pdfium.FS_MATRIX(*_SAME)
    for item, _ in _objects(page):
        if pdfium.FPDFPageObj_GetType(item) != pdfium.FPDF_PAGEOBJ_TEXT:
            continue
        left, _, right, _ = _bounds(item)
        if right - left < _NO_WIDTH:
            pdfium.FPDFTextObj_SetTextRenderMode(item, pdfium.FPDF_TEXTRENDERMODE_STROKE)
            pdfium.FPDFPageObj_TransformF(item, same)  # it measures itself anew


def rulings(page: Any, place: Placer) -> list[Ruling]:
    """The straight lines along the paper's edges that the page draws; thin boxes are lines."""
    found: list[Ruling] = []
    for item, matrix in _objects(page):
        if pdfium.FPDFPageObj_GetType(item) == pdfium.FPDF_PAGEOBJ_PATH:
            found += _of_path(item, matrix, place)
    return found


def _objects(page: Any) -> Iterator[tuple[Any, Matrix]]:
    """All objects, those in forms too, each with the matrix of the forms around it."""
    left = _MAX_OBJECTS
    pending: list[Iterator[tuple[Any, Matrix]]] = [_direct(page)]
    while pending and left > 0:
        following = next(pending[-1], None)
        if following is None:
            pending.pop()
            continue
        left -= 1
        item, matrix = following
        is_form = pdfium.FPDFPageObj_GetType(item) == pdfium.FPDF_PAGEOBJ_FORM
        if is_form and len(pending) < _MAX_DEPTH:
            pending.append(_within(item, matrix))
        else:
            yield item, matrix


def _direct(page: Any) -> Iterator[tuple[Any, Matrix]]:
    for index in range(pdfium.FPDFPage_CountObjects(page)):
        yield pdfium.FPDFPage_GetObject(page, index), _SAME


def _within(form: Any, outer: Matrix) -> Iterator[tuple[Any, Matrix]]:
    matrix = _times(_matrix(form), outer)
    for index in range(pdfium.FPDFFormObj_CountObjects(form)):
        yield pdfium.FPDFFormObj_GetObject(form, index), matrix


def _of_path(item: Any, outer: Matrix, place: Placer) -> Iterator[Ruling]:
    fill, is_stroked = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(item, fill, is_stroked)
    if not (fill.value or is_stroked.value):
        return  # it only clips
    matrix = _times(_matrix(item), outer)
    for corners in _subpaths(item):
        points = [_point(matrix, *corner) for corner in corners]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        box = place.box(min(xs), min(ys), max(xs), max(ys))
        if min(box[2] - box[0], box[3] - box[1]) <= _THIN:
            yield from _ruling(box)
        elif is_stroked.value:
            for (ax, ay), (bx, by) in zip(points, points[1:], strict=False):
                yield from _ruling(place.box(ax, ay, bx, by))


def _ruling(box: tuple[float, float, float, float]) -> Iterator[Ruling]:
    left, top, right, bottom = box
    across, down = right - left, bottom - top
    if not all(map(math.isfinite, box)) or min(across, down) > _THIN:
        return
    if max(across, down) >= _SHORT:
        is_vertical = down > across
        middle = (left + right) / 2 if is_vertical else (top + bottom) / 2
        yield Ruling(is_vertical, middle, *((top, bottom) if is_vertical else (left, right)))


def _subpaths(item: Any) -> Iterator[list[tuple[float, float]]]:
    """Its polygons; a path with curves is a drawing, one of many segments too."""
    count = pdfium.FPDFPath_CountSegments(item)
    if not 2 <= count <= _MAX_SEGMENTS:
        return
    corners: list[tuple[float, float]] = []
    x, y = ctypes.c_float(), ctypes.c_float()
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(item, index)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_BEZIERTO:
            return
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            if len(corners) > 1:
                yield corners
            corners = []
        corners.append((x.value, y.value))
        if pdfium.FPDFPathSegment_GetClose(segment):
            corners.append(corners[0])
    if len(corners) > 1:
        yield corners


def _bounds(item: Any) -> tuple[float, float, float, float]:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(item, left, bottom, right, top)
    return left.value, bottom.value, right.value, top.value


def _matrix(item: Any) -> Matrix:
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(item, matrix):
        return _SAME
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def _times(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (
        a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s,
        e * p + f * r + t, e * q + f * s + u,
    )  # fmt: skip


def _point(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f
