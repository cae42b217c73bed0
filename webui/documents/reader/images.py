"""Picture files (PNG, JPEG, TIFF, WebP, BMP, GIF, HEIC) → the pictures of their pages.

Pillow's only door, in the document worker. Knows nothing about what is written on them.
"""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from webui.documents.errors import DocumentError

MAX_FRAMES = 500  # of a TIFF
_MAX_PIXELS = 60_000_000  # in colour 180 MB
_MAX_SIDE = 5000  # pixels that are recognised
_LONGEST_PAPER = 17 * 72  # points; what claims to be larger has no true resolution
_A4 = 842.0  # points: how large a picture is taken to be that does not say it
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def is_image(head: bytes) -> bool:
    """Whether a file that begins like this is a picture."""
    return (
        head.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"))
        or (head.startswith(b"BM") and head[6:10] == b"\0\0\0\0")
        or (head.startswith(b"RIFF") and head[8:12] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS)
    )


def num_frames(stream: BinaryIO) -> int:
    with _opened(stream) as image:
        return min(int(getattr(image, "n_frames", 1)), MAX_FRAMES)


@dataclass(frozen=True, slots=True)
class Scan:
    """A page's picture in grey, and the paper that it is taken to be, in points."""

    png: bytes
    dots_per_point: float  # 0 where it does not say
    width: float
    height: float

    def pair(self) -> tuple[bytes, float]:
        return self.png, self.dots_per_point


def scan(stream: BinaryIO, number: int) -> Scan:
    """Page `number` (from 1)."""
    with _opened(stream) as image:
        frame = _frame(image, number)
        dots = _dots_per_point(frame)
        grey = _smaller(frame, _MAX_SIDE).convert("L")
        dots *= grey.width / frame.width
    shown = dots or max(grey.size) / _A4
    return Scan(_png(grey), dots, grey.width / shown, grey.height / shown)


def picture(stream: BinaryIO, number: int, width: int) -> bytes:
    """Page `number` as PNG, `width` pixels wide at most."""
    with _opened(stream) as image:
        frame = _frame(image, number)
        height = max(1, round(frame.height * width / frame.width))
        if width < frame.width and height <= _MAX_SIDE:
            frame = frame.resize((width, height))
        return _png(_smaller(frame, _MAX_SIDE).convert("RGB"))


@contextlib.contextmanager
def _opened(stream: BinaryIO) -> Iterator[Any]:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # its own guard only warns; ours is below
    stream.seek(0)
    if stream.read(12)[4:8] == b"ftyp":
        _add_heic()
    stream.seek(0)
    try:
        with Image.open(stream) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise DocumentError("documents.too_much_inside")
            yield image
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError) as error:
        raise DocumentError("documents.damaged") from error


def _add_heic() -> None:
    try:
        import pi_heif
    except ImportError as error:
        raise DocumentError("documents.unsupported") from error
    pi_heif.register_heif_opener()


def _frame(image: Any, number: int) -> Any:
    """Turned as its camera says, and on white paper where it is transparent."""
    from PIL import Image, ImageOps

    image.seek(number - 1)
    if image.width * image.height > _MAX_PIXELS:
        raise DocumentError("documents.too_much_inside")
    frame = ImageOps.exif_transpose(image)
    if frame.mode in ("RGBA", "LA", "PA") or "transparency" in frame.info:
        frame = frame.convert("RGBA")
        paper = Image.new("RGBA", frame.size, "white")
        paper.alpha_composite(frame)
        paper.info = dict(image.info)
        return paper
    return frame


def _dots_per_point(frame: Any) -> float:
    try:
        dots = float(frame.info.get("dpi", (0,))[0]) / 72
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return 0.0
    return dots if dots >= 1 and max(frame.size) / dots <= _LONGEST_PAPER else 0.0


def _smaller(frame: Any, side: int) -> Any:
    if max(frame.size) <= side:
        return frame
    scale = side / max(frame.size)
    return frame.resize((round(frame.width * scale), round(frame.height * scale)))


def _png(frame: Any) -> bytes:
    png = io.BytesIO()
    frame.save(png, "PNG", compress_level=1)
    return png.getvalue()
