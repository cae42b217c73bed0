"""Small PDFs, written by hand: any encoding, vertical text, furigana, running heads, and bombs.

Knows nothing about how they are read.
"""

import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pypdfium2

A4 = (595, 842)
Codec = Callable[[str], bytes]
Piece = tuple[float, float, float, str]  # x, y from the bottom left, size, text
_FIRST_ANNOTATION = 1000

_DESCENDANT = (
    b"<</Type/Font/Subtype/CIDFontType0/BaseFont/Ryumin-Light/CIDSystemInfo<</Registry(Adobe)"
    b"/Ordering(Japan1)/Supplement 2>>/DW 1000/FontDescriptor 5 0 R>>"
)
_DESCRIPTOR = (
    b"<</Type/FontDescriptor/FontName/Ryumin-Light/Flags 39/FontBBox[-150 -147 1100 853]"
    b"/MissingWidth 1000/StemV 93/StemH 31/ItalicAngle 0/CapHeight 709/XHeight 450/Ascent 723"
    b"/Descent -241>>"
)


def jis(text: str) -> bytes:
    """JIS X 0208 codes, for the CMaps H and V."""
    return bytes(byte & 0x7F for byte in text.encode("euc_jp"))


CODECS: Mapping[str, Codec] = {
    "90ms-RKSJ-H": lambda text: text.encode("cp932"),
    "90msp-RKSJ-H": lambda text: text.encode("cp932"),
    "90pv-RKSJ-H": lambda text: text.encode("cp932"),
    "EUC-H": lambda text: text.encode("euc_jp"),
    "H": jis,
    "UniJIS-UCS2-H": lambda text: text.encode("utf-16-be"),
    "UniJIS-UCS2-V": lambda text: text.encode("utf-16-be"),
    "UniJIS-UTF16-H": lambda text: text.encode("utf-16-be"),
    "UniJIS2004-UTF16-H": lambda text: text.encode("utf-16-be"),
    "UniJIS-UTF8-H": lambda text: text.encode(),
}


def file_of(objects: Mapping[int, bytes], trailer: bytes = b"") -> bytes:
    """A PDF file of numbered objects; object 1 is the catalog."""
    out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    offsets = {}
    for number in sorted(objects):
        offsets[number] = len(out)
        out += b"%d 0 obj\n" % number + objects[number] + b"\nendobj\n"
    size = max(objects) + 1
    table = b"".join(
        b"%010d 00000 n \n" % offsets[number] if number in offsets else b"0000000000 00000 f \n"
        for number in range(1, size)
    )
    head = b"xref\n0 %d\n0000000000 65535 f \n" % size
    tail = b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (size, trailer, len(out))
    return out + head + table + tail


def stream(data: bytes, filters: bytes = b"/FlateDecode") -> bytes:
    """A stream object of data that is already packed."""
    return b"<</Length %d/Filter %s>>stream\n" % (len(data), filters) + data + b"\nendstream"


def pdf(
    pages: Sequence[Sequence[Piece]],
    encoding: str = "UniJIS-UCS2-H",
    *,
    drawings: Sequence[bytes] = (),
    matrix: str = "1 0 0 1 0 0",
    annotations: Sequence[bytes] = (),
) -> bytes:
    """A PDF with text at given places, in a Japanese font that is not embedded.

    `drawings` is more content of each page, `matrix` is put before all content, and `annotations`
    are on the first page; those that are fields are the form's, too.
    """
    encode, name = CODECS[encoding], encoding.encode()
    objects = {
        3: b"<</Type/Font/Subtype/Type0/BaseFont/Ryumin-Light-%s/Encoding/%s" % (name, name)
        + b"/DescendantFonts[4 0 R]>>",
        4: _DESCENDANT,
        5: _DESCRIPTOR,
    }
    kids = []
    for index, pieces in enumerate(pages):
        number = 6 + 2 * index
        content = b"".join(
            b"BT /F1 %g Tf 1 0 0 1 %g %g Tm <%s> Tj ET\n"
            % (size, x, y, encode(text).hex().encode())
            for x, y, size, text in pieces
        )
        content += drawings[index] if index < len(drawings) else b""
        objects[number] = stream(zlib.compress(f"q {matrix} cm\n".encode() + content + b"\nQ"))
        notes = b"/Annots[%s]" % references(annotations) if annotations and not index else b""
        objects[number + 1] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Resources<</Font<</F1 3 0 R>>>>"
            b"/Contents %d 0 R%s>>" % (*A4, number, notes)
        )
        kids.append(b"%d 0 R" % (number + 1))
    for index, annotation in enumerate(annotations):
        objects[_FIRST_ANNOTATION + index] = annotation
    form = b"/AcroForm<</Fields[%s]>>" % references(annotations) if annotations else b""
    objects[1] = b"<</Type/Catalog/Pages 2 0 R%s>>" % form
    objects[2] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(kids))
    return file_of(objects)


def references(annotations: Sequence[bytes]) -> bytes:
    numbers = range(_FIRST_ANNOTATION, _FIRST_ANNOTATION + len(annotations))
    return b" ".join(b"%d 0 R" % number for number in numbers)


def text_string(text: str) -> bytes:
    return b"<FEFF" + text.encode("utf-16-be").hex().encode() + b">"


def annotation(kind: str, box: Sequence[float], more: bytes) -> bytes:
    """An annotation at left, bottom, right, top."""
    rect = " ".join(map(str, box)).encode()
    return b"<</Type/Annot/Subtype/%s/Rect[%s]%s>>" % (kind.encode(), rect, more)


def note(kind: str, box: Sequence[float], text: str, more: bytes = b"/F 4") -> bytes:
    return annotation(kind, box, b"/Contents" + text_string(text) + more)


def cells(
    spec: Sequence[tuple[int, int, int, int, str]],
    *,
    x: float = 60,
    top: float = 780,
    width: float = 90,
    height: float = 20,
) -> tuple[list[Piece], bytes]:
    """A ruled table: row, the one behind its last, column, the one behind its last, and text."""
    pieces, drawing = [], b"0.5 w\n"
    for row, row_end, column, column_end, text in spec:
        left, bottom = x + column * width, top - row_end * height
        box = left, bottom, (column_end - column) * width, (row_end - row) * height
        drawing += b"%g %g %g %g re S\n" % box
        if text:
            pieces.append((left + 3, top - row * height - 14, 10.0, text))
    return pieces, drawing


def table(rows: Sequence[Sequence[str]], **options: float) -> tuple[list[Piece], bytes]:
    """A ruled table without joined cells."""
    return cells(
        [
            (row, row + 1, column, column + 1, text)
            for row, texts in enumerate(rows)
            for column, text in enumerate(texts)
        ],
        **options,
    )


def scanned(original: bytes, page_numbers: Sequence[int], dots_per_inch: int = 200) -> bytes:
    """The PDF with these pages (from 1) as mere pictures, the others empty."""
    objects = {1: b"<</Type/Catalog/Pages 2 0 R>>"}
    kids = []
    document = pypdfium2.PdfDocument(original)
    for index in range(len(document)):
        number = 3 + 3 * index
        objects[number] = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]>>" % A4
        kids.append(b"%d 0 R" % number)
        if index + 1 not in page_numbers:
            continue
        image = document[index].render(scale=dots_per_inch / 72, grayscale=True).to_pil()
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG", quality=80)
        objects[number] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]" % A4
            + b"/Resources<</XObject<</I %d 0 R>>>>/Contents %d 0 R>>" % (number + 1, number + 2)
        )
        objects[number + 1] = (
            b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray"
            b"/BitsPerComponent 8/Length %d/Filter/DCTDecode>>stream\n"
            % (*image.size, len(jpeg.getvalue()))
            + jpeg.getvalue()
            + b"\nendstream"
        )
        objects[number + 2] = stream(zlib.compress(b"q %d 0 0 %d 0 0 cm /I Do Q" % A4))
    document.close()
    objects[2] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(kids))
    return file_of(objects)


def set_lines(
    lines: Sequence[str], *, x: float = 60, top: float = 780, size: float = 10.5
) -> list[Piece]:
    """Lines below each other."""
    return [(x, top - 16 * index, size, line) for index, line in enumerate(lines)]


def columns(lines: Sequence[str], *, size: float = 10.5) -> list[Piece]:
    """Vertical lines, from right to left; use an encoding that ends in V."""
    return [(500 - 18 * index, 780, size, line) for index, line in enumerate(lines)]


def wrapped(text: str, num_chars: int = 40) -> list[str]:
    return [text[start : start + num_chars] for start in range(0, len(text), num_chars)]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
