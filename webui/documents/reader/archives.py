"""ZIP archives and EPUB books → the files inside, bounded. Knows no kind of document."""

import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from webui.documents.errors import DocumentError
from webui.documents.reader.encodings import decoded
from webui.documents.reader.html import add_html
from webui.documents.reader.ooxml import Package, attribute, child, children, local
from webui.documents.reader.page_text import PageText
from webui.documents.reader.source_file import SourceFile
from webui.text.kinds import is_readable, is_shadow
from webui.text.pages import Page

MAX_MEMBERS = 2_000
MAX_MEMBER_BYTES = 100_000_000
MAX_TOTAL_BYTES = 300_000_000
_MAX_RATIO = 500  # unpacked to packed, of what is larger than 10 MB: text reaches 100
_CHAPTERS = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def members(
    stream: BinaryIO, password: str, on_left_out: Callable[[str], None]
) -> Iterator[SourceFile]:
    """The files that are worth reading, in order; the others are told by name.

    Raises DocumentError when the archive is damaged, or is a bomb.
    """
    stream.seek(0)
    try:
        archive = zipfile.ZipFile(stream)
        infos = [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DocumentError("documents.damaged") from error
    num_bytes = 0
    for index, info in enumerate(infos):
        name = _name(info)
        if not is_readable(Path(name)):
            if not is_shadow(Path(name)):
                on_left_out(name)
            continue
        num_bytes += info.file_size
        is_bomb = info.file_size > 10_000_000 and info.file_size > _MAX_RATIO * info.compress_size
        if is_bomb or info.file_size > MAX_MEMBER_BYTES or num_bytes > MAX_TOTAL_BYTES:
            raise DocumentError("documents.too_much_inside")
        if index >= MAX_MEMBERS:
            on_left_out(name)
            continue
        data = _data(archive, info, password)
        if data is None:
            on_left_out(name)
        else:
            yield SourceFile(name, BytesIO(data), len(data))


def is_encrypted(stream: BinaryIO) -> bool:
    stream.seek(0)
    try:
        return any(info.flag_bits & 1 for info in zipfile.ZipFile(stream).infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def _data(archive: zipfile.ZipFile, info: zipfile.ZipInfo, password: str) -> bytes | None:
    """None when this one cannot be unpacked: another password, a method that is not known."""
    try:
        with archive.open(info, pwd=password.encode() or None) as stream:
            data = stream.read(MAX_MEMBER_BYTES + 1)
    except (
        zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, OSError, EOFError,
        ValueError,
    ):  # fmt: skip
        return None
    if len(data) > MAX_MEMBER_BYTES:
        raise DocumentError("documents.too_much_inside")
    return data


def _name(info: zipfile.ZipInfo) -> str:
    """Old archives of Japanese Windows have names in Shift_JIS, which zipfile reads as CP437."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return decoded(info.filename.encode("cp437"))
    except (UnicodeEncodeError, DocumentError):
        return info.filename


# --- books ---------------------------------------------------------------------------------------


def read_epub(stream: BinaryIO) -> list[Page]:
    """The chapters in the order of the spine. Raises DocumentError where it is damaged."""
    package = Package(stream)
    container = package.xml("META-INF/container.xml")
    roots = [one for one in container.iter() if local(one) == "rootfile"]
    if not roots:
        raise DocumentError("documents.damaged")
    main = attribute(roots[0], "full-path")
    book = package.xml(main)
    items = {attribute(item, "id"): item for item in children(child(book, "manifest"), "item")}
    page = PageText()
    for reference in children(child(book, "spine"), "itemref"):
        item = items.get(attribute(reference, "idref"))
        if item is None or attribute(item, "media-type") not in _CHAPTERS:
            continue
        path = posixpath.join(posixpath.dirname(main), unquote(attribute(item, "href")))
        try:
            text = decoded(package.part(posixpath.normpath(path)), "utf-8")
        except DocumentError:
            continue  # one chapter that is missing does not take the book with it
        add_html(text, page)
        page.end_page()
    return page.finished()
