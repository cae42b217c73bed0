"""pdfium's only door: a PDF's pages as characters with boxes, and as pictures.

Runs in the document worker: pdfium is C++, and a hostile file may end the process.
Measured at 80-100 pages a second; right on every maker's files that pypdf gets wrong, except
fonts with CMaps that it lacks (UniJIS-UTF8), which the other reader knows.
"""

import ctypes
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from webui.documents.reader.layout import Glyph

_SCALE = 1000  # device units per point, for pdfium's integer mapping
MAX_PAGE_CHARS = 400_000
MAX_SCAN_PIXELS = 5000  # of the longer side


class WrongPasswordError(Exception):
    """The file is encrypted, and the password does not open it."""


class UnreadableError(Exception):
    """Not a PDF that this reader can open, or a page that it cannot read."""


class PdfiumFile:
    """An open PDF. `close` it; not thread-safe."""

    def __init__(self, path: Path, password: str = "") -> None:
        try:
            self._document = pypdfium2.PdfDocument(path, password=password or None)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise WrongPasswordError from error
            raise UnreadableError(str(error)) from error
        self.num_pages = len(self._document)

    def close(self) -> None:
        self._document.close()

    def glyphs(self, number: int) -> tuple[list[Glyph], float, float]:
        """Page `number` (from 1): its characters in content order, its width and height."""
        page = self._page(number)
        try:
            width, height = page.get_size()
            text = page.get_textpage()
            try:
                return list(_glyphs(page, text)), width, height
            finally:
                text.close()
        except pypdfium2.PdfiumError as error:
            raise UnreadableError(str(error)) from error
        finally:
            page.close()

    def picture(self, number: int, width: int) -> bytes:
        """Page `number` as a PNG, `width` pixels wide."""
        page = self._page(number)
        try:
            page_width, page_height = page.get_size()
            scale = min(width / max(page_width, 1.0), 4000 / max(page_height, 1.0))
            image = page.render(scale=scale, may_draw_forms=False).to_pil()
            png = io.BytesIO()
            image.save(png, "PNG")
            return png.getvalue()
        except (pypdfium2.PdfiumError, ValueError) as error:
            raise UnreadableError(str(error)) from error
        finally:
            page.close()

    def scan(self, number: int, dots_per_point: float) -> tuple[bytes, float]:
        """Page `number` in shades of grey as a PNG, and the dots per point that it has."""
        page = self._page(number)
        try:
            scale = min(dots_per_point, MAX_SCAN_PIXELS / max(*page.get_size(), 1.0))
            image = page.render(scale=scale, grayscale=True, may_draw_forms=False).to_pil()
            png = io.BytesIO()
            image.save(png, "PNG", compress_level=1)
            return png.getvalue(), scale
        except (pypdfium2.PdfiumError, ValueError) as error:
            raise UnreadableError(str(error)) from error
        finally:
            page.close()

    def _page(self, number: int) -> Any:
        try:
            return self._document[number - 1]
        except (pypdfium2.PdfiumError, IndexError) as error:
            raise UnreadableError(str(error)) from error


def _glyphs(page: Any, text: Any) -> Iterator[Glyph]:
    num_chars = min(text.count_chars(), MAX_PAGE_CHARS)
    place = _Placer(page)
    rect, matrix = pdfium.FS_RECTF(), pdfium.FS_MATRIX()
    unicode_of, box_of = pdfium.FPDFText_GetUnicode, pdfium.FPDFText_GetLooseCharBox
    size_of, matrix_of = pdfium.FPDFText_GetFontSize, pdfium.FPDFText_GetMatrix
    is_generated = pdfium.FPDFText_IsGenerated
    high = 0
    for index in range(num_chars):
        code = unicode_of(text, index)
        if 0xD800 <= code < 0xDC00:
            high = code
            continue
        if 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00) if high else 0xFFFD
            high = 0
        box_of(text, index, rect)
        # Some fonts' boxes are as small as the ink (a ー would be tiny), so the size is the font's.
        size = size_of(text, index)
        if matrix_of(text, index, matrix):
            size *= math.hypot(matrix.c, matrix.d)
        yield Glyph(
            chr(code) if 0 < code < 0x110000 else "\ufffd",
            *place.box(rect.left, rect.top, rect.right, rect.bottom),
            size=size,
            is_generated=code < 0x80 and is_generated(text, index) == 1,
        )


class _Placer:
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
