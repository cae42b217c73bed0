"""Outlook's own mail file (msg) → a Mail. Knows nothing about pages.

Read with olefile by the property streams of [MS-OXMSG]: the library for msg files has a licence
that ours cannot take in.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import compressed_rtf
import olefile

from webui.documents.errors import DocumentError
from webui.documents.reader.encodings import decoded
from webui.documents.reader.mail import Mail
from webui.documents.reader.rtf import read_rtf
from webui.documents.reader.source_file import SourceFile

_MAX_STREAM_BYTES = 100_000_000
_SUBJECT, _SENDER, _SENDER_MAIL = 0x0037, 0x0C1A, 0x0C1F
_TO, _CC, _BODY, _HTML, _RTF = 0x0E04, 0x0E03, 0x1000, 0x1013, 0x1009
_SENT, _ARRIVED = 0x0039, 0x0E06
_LONG_NAME, _SHORT_NAME, _SHOWN_NAME, _DATA = 0x3707, 0x3704, 0x3001, 0x3701

Path = tuple[str, ...]


@contextmanager
def opened(stream: BinaryIO) -> Iterator[olefile.OleFileIO]:
    """Raises DocumentError when it is no sound OLE file."""
    stream.seek(0)
    try:
        ole = olefile.OleFileIO(stream)
    except (OSError, ValueError, IndexError, struct.error, AttributeError) as error:
        raise DocumentError("documents.damaged") from error
    try:
        yield ole
    except (OSError, IndexError, struct.error) as error:
        raise DocumentError("documents.damaged") from error
    finally:
        ole.close()


def read_msg(stream: BinaryIO) -> Mail:
    with opened(stream) as ole:
        return _mail(ole)


def _mail(ole: olefile.OleFileIO) -> Mail:
    sender, address = _text(ole, (), _SENDER), _text(ole, (), _SENDER_MAIL)
    headers = {
        "from": f"{sender} <{address}>" if "@" in address and address != sender else sender,
        "to": _text(ole, (), _TO),
        "cc": _text(ole, (), _CC),
        "date": _time(ole),
        "subject": _text(ole, (), _SUBJECT),
    }
    html = _html(ole)
    text = _text(ole, (), _BODY)
    if not text and not html:
        text = _rtf(ole)
    return Mail(headers, text, html, tuple(_attachments(ole)))


def _attachments(ole: olefile.OleFileIO) -> Iterator[SourceFile]:
    """All of them; one without a stream (a mail inside the mail) is empty, and told by name."""
    folders = {path[0] for path in ole.listdir(storages=True) if _is_attachment(path[0])}
    for folder in sorted(folders):
        names = (_text(ole, (folder,), tag) for tag in (_LONG_NAME, _SHORT_NAME, _SHOWN_NAME))
        name = " ".join(next(filter(None, names), "").split())
        data = _stream(ole, (folder, f"__substg1.0_{_DATA:04X}0102"))
        yield SourceFile.of_bytes(name or "attachment", data or b"")


def _is_attachment(name: str) -> bool:
    return name.lower().startswith("__attach_version1.0_")


def _text(ole: olefile.OleFileIO, folder: Path, tag: int) -> str:
    data = _stream(ole, (*folder, f"__substg1.0_{tag:04X}001F"))
    if data is not None:
        return data.decode("utf-16-le", "replace").rstrip("\0")
    data = _stream(ole, (*folder, f"__substg1.0_{tag:04X}001E"))
    return _decoded(data.rstrip(b"\0")) if data else ""


def _html(ole: olefile.OleFileIO) -> str:
    data = _stream(ole, (f"__substg1.0_{_HTML:04X}0102",))
    return _decoded(data) if data else _text(ole, (), _HTML)


def _rtf(ole: olefile.OleFileIO) -> str:
    data = _stream(ole, (f"__substg1.0_{_RTF:04X}0102",))
    if not data:
        return ""
    try:
        plain = compressed_rtf.decompress(data)
    except Exception as error:  # the library raises whatever its parsing meets
        raise DocumentError("documents.damaged") from error
    return "\n".join(page.text for page in read_rtf(plain))


def _decoded(data: bytes) -> str:
    try:
        return decoded(data)
    except DocumentError:
        return ""


def _time(ole: olefile.OleFileIO) -> str:
    """When it was sent, from the fixed properties: 16 bytes each behind a header of 32."""
    data = _stream(ole, ("__properties_version1.0",)) or b""
    found: dict[int, int] = {}
    for at in range(32, len(data) - 15, 16):
        kind, tag, _, value = struct.unpack_from("<HHIQ", data, at)
        if kind == 0x0040:
            found[tag] = value
    value = found.get(_SENT) or found.get(_ARRIVED) or 0
    if not 0 < value < 1 << 60:
        return ""
    moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=value // 10)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _stream(ole: olefile.OleFileIO, path: Path) -> bytes | None:
    if not ole.exists(list(path)):
        return None
    if ole.get_size(list(path)) > _MAX_STREAM_BYTES:
        raise DocumentError("documents.too_much_inside")
    with ole.openstream(list(path)) as stream:
        return bytes(stream.read())
