"""pdfium's only door: a PDF's pages as characters with boxes, and as pictures.

Runs in the document worker: pdfium is C++, and a hostile file may end the process.
Measured at 80-100 pages a second; right on every maker's files that pypdf gets wrong, except
fonts with CMaps that it lacks (UniJIS-UTF8), which the other reader knows.
"""

import contextlib
import io
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from webui.documents.reader.additions import Addition
from webui.documents.reader.layout import Glyph
from webui.documents.reader.pdfium_annotations import additions
from webui.documents.reader.pdfium_objects import Placer, outline_lost_texts, rulings
from webui.documents.reader.tables import Ruling

log = logging.getLogger(__name__)

MAX_PAGE_CHARS = 400_000
MAX_SCAN_PIXELS = 5000  # of the longer side


@dataclass(frozen=True, slots=True)
class PrintedPage:
    """What is on one page; all places are points from the top left of the page as shown."""

    glyphs: list[Glyph]  # in content order
    additions: list[Addition]  # the values of its form fields, and its notes
    rulings: list[Ruling]
    width: float
    height: float


class WrongPasswordError(Exception):
    """The file is encrypted, and the password does not open it."""


class UnreadableError(Exception):
    """Not a PDF that this reader can open, or a page that it cannot read."""


class PdfiumFile:
    """An open PDF. `close` it; not thread-safe."""

    def __init__(self, path: Path | bytes, password: str = "") -> None:
        try:
            self._document = pypdfium2.PdfDocument(path, password=password or None)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise WrongPasswordError from error
            raise UnreadableError(str(error)) from error
        with contextlib.suppress(pypdfium2.PdfiumError):  # then its fields stay unread
            self._document.init_forms()
        self.num_pages = len(self._document)

    def close(self) -> None:
        self._document.close()

    def page(self, number: int) -> PrintedPage:
        """What is on page `number` (from 1)."""
        page = self._page(number)
        try:
            outline_lost_texts(page)
            place = Placer(page)
            text = page.get_textpage()
            try:
                glyphs = list(_glyphs(page, text, place))
            finally:
                text.close()
            form = self._document.formenv
            return PrintedPage(
                glyphs,
                additions(page, form, place),
                rulings(page, place) if glyphs else [],
                *page.get_size(),
            )
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
            image = page.render(scale=scale).to_pil()
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
            image = page.render(
                scale=scale, grayscale=True, may_draw_forms=False, draw_annots=False
            )
            image = image.to_pil()
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


def _glyphs(page: Any, text: Any, place: Placer) -> Iterator[Glyph]:
    num_chars = min(text.count_chars(), MAX_PAGE_CHARS)
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
        turn = 0
        if matrix_of(text, index, matrix):
            size *= math.hypot(matrix.c, matrix.d)
            turn = place.quarter(matrix.a, matrix.b, matrix.d)
        yield Glyph(
            chr(code) if 0 < code < 0x110000 else "\ufffd",
            *place.box(rect.left, rect.top, rect.right, rect.bottom),
            size=size,
            is_generated=code < 0x80 and is_generated(text, index) == 1,
            turn=turn,
        )
