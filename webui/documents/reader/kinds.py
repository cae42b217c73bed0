"""What a file is, by its content; the name only tells kinds of text apart. Reads none of them."""

import re
import zipfile
import zlib

from webui.documents.errors import DocumentError
from webui.documents.reader.delimited import is_delimited
from webui.documents.reader.encodings import decoded
from webui.documents.reader.images import is_image
from webui.documents.reader.mail import is_mail, is_saved_page
from webui.documents.reader.outlook import opened
from webui.documents.reader.rtf import is_rtf
from webui.documents.reader.source_file import HEAD_BYTES, SourceFile
from webui.documents.reader.transcripts import is_transcript
from webui.text.kinds import ENDINGS
from webui.text.pages import Kind

MAX_TEXT_BYTES = 50_000_000
OLE_HEAD = b"\xd0\xcf\x11\xe0"
_NOT_READ = (
    b"MZ", b"\x7fELF", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"\xca\xfe\xba\xbe", b"BZh",
    b"\xfd7zXZ", b"SQLite format 3", b"GGUF", b"OggS", b"ID3", b"fLaC",
)  # fmt: skip
_PARTS = (("word/", Kind.WORD), ("xl/", Kind.SHEET), ("ppt/", Kind.SLIDES))
_TYPES = {
    b"application/epub+zip": Kind.EPUB,
    b"application/vnd.oasis.opendocument.spreadsheet": Kind.SHEET,
}
_HTML = re.compile(
    rb"^\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.I | re.S,
)


def kind_of_file(file: SourceFile) -> Kind:
    """Raises DocumentError when it is nothing that can be read."""
    head = file.head()
    if not head.strip(b"\x00 \t\r\n\xef\xbb\xbf"):
        raise DocumentError("documents.empty")
    if b"%PDF-" in head[:1024] or (b"%PDF-" in head and b"\x00" in head):
        return Kind.PDF  # some stand behind junk
    if head.startswith(b"PK"):
        return _zip_kind(file)
    if head.startswith(OLE_HEAD):
        return _ole_kind(file)
    if is_rtf(head):
        return Kind.RTF
    if is_image(head):
        return Kind.IMAGE
    if head.startswith(_NOT_READ) or head[4:8] == b"ftyp":
        raise DocumentError("documents.unsupported")
    if file.size > MAX_TEXT_BYTES:
        raise DocumentError("documents.too_large", limit_mb=MAX_TEXT_BYTES // 1_000_000)
    return _text_kind(file, head)


def _zip_kind(file: SourceFile) -> Kind:
    file.stream.seek(0)
    try:
        archive = zipfile.ZipFile(file.stream)
        names = archive.namelist()
        mime = archive.read("mimetype")[:200].strip() if "mimetype" in names else b""
    except (
        zipfile.BadZipFile,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        zlib.error,
    ) as error:
        raise DocumentError("documents.damaged") from error
    if mime in _TYPES:
        return _TYPES[mime]
    if mime.startswith(b"application/vnd.oasis.opendocument"):
        raise DocumentError("documents.open_document")
    lowered = [name.lower() for name in names]
    if "[content_types].xml" in lowered or any(name.startswith("word/") for name in lowered):
        kinds = [kind for part, kind in _PARTS if any(name.startswith(part) for name in lowered)]
        if len(kinds) > 1:  # a document may hold the other kinds' parts
            kinds = [kind for kind in kinds if file.suffix in ENDINGS[kind]] or kinds
        if kinds:
            return Kind.SHEET if "xl/workbook.bin" in lowered else kinds[0]
        if "[content_types].xml" in lowered:
            raise DocumentError("documents.unsupported")
    return Kind.ARCHIVE


def is_xlsx(file: SourceFile) -> bool:
    """Whether a spreadsheet is one that is read part by part; the others calamine reads."""
    if not file.head().startswith(b"PK"):
        return False
    file.stream.seek(0)
    return "xl/workbook.xml" in {name.lower() for name in zipfile.ZipFile(file.stream).namelist()}


def _ole_kind(file: SourceFile) -> Kind:
    with opened(file.stream) as ole:
        found = {path[0].lower() for path in ole.listdir()}
        if "encryptedpackage" in found:
            return _kind_by_name(file)
        if found & {"workbook", "book"}:
            return Kind.SHEET
        if "__properties_version1.0" in found:
            return Kind.MAIL
    raise DocumentError("documents.old_office")


def is_encrypted_office(file: SourceFile) -> bool:
    if not file.head().startswith(OLE_HEAD):
        return False
    with opened(file.stream) as ole:
        return bool(ole.exists("EncryptedPackage"))


def is_ole(file: SourceFile) -> bool:
    return file.head().startswith(OLE_HEAD)


def _kind_by_name(file: SourceFile) -> Kind:
    """Of an encrypted package, whose content says nothing before it is decrypted."""
    kinds = (Kind.SHEET, Kind.SLIDES)
    return next((kind for kind in kinds if file.suffix in ENDINGS[kind]), Kind.WORD)


def _text_kind(file: SourceFile, head: bytes) -> Kind:
    if is_mail(head):
        return Kind.MHTML if is_saved_page(head) else Kind.MAIL
    named = next((kind for kind, endings in ENDINGS.items() if file.suffix in endings), Kind.TEXT)
    plain = head.replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
    if _HTML.match(plain):
        return Kind.HTML
    if named in (Kind.HTML, Kind.MARKDOWN, Kind.CSV, Kind.TRANSCRIPT):
        return named
    if named is Kind.MAIL and is_mail(b"MIME-Version: 1\nX-x: 1\n" + head):
        return Kind.MAIL
    try:
        whole_lines = head[: head.rfind(b"\n") + 1] if len(head) == HEAD_BYTES else head
        start = decoded(whole_lines)
    except DocumentError:
        return Kind.TEXT  # whoever reads it says why not
    if is_transcript(start):
        return Kind.TRANSCRIPT
    return Kind.CSV if is_delimited(start) else Kind.TEXT
