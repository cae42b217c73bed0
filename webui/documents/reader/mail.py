"""A mail (eml) or a saved web page (MHTML) → pages; a mail's attachments by whoever reads files.

Headers and bodies are decoded; nothing is fetched. Knows nothing about Outlook's own format.
"""

import email
import email.policy
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

from webui.documents.errors import DocumentError
from webui.documents.reader.encodings import decoded
from webui.documents.reader.html import add_html, html_pages
from webui.documents.reader.page_text import PageText
from webui.documents.reader.source_file import SourceFile
from webui.strings import text as string
from webui.text.pages import Page
from webui.text.places import Place, PlaceKind

_MAX_PARTS = 2_000
_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_LABELS = ("from", "to", "cc", "date", "subject")
_HEADER_LINE = re.compile(
    rb"^(?:From|To|Cc|Subject|Date|Message-ID|MIME-Version|Received|Return-Path|Delivered-To"
    rb"|Content-Type|Reply-To|X-[\w-]{1,40}|DKIM-Signature|Sender|Snapshot-Content-Location):",
    re.I | re.M,
)

ReadMember = Callable[[SourceFile], Sequence[Page]]


@dataclass(frozen=True, slots=True)
class Mail:
    """What there is to read of one."""

    headers: dict[str, str]  # by _LABELS
    text: str
    html: str
    attachments: tuple[SourceFile, ...]


def is_mail(head: bytes) -> bool:
    """Whether a file begins with the headers of a mail, or of a saved page."""
    start = re.split(rb"\r?\n\r?\n", head.lstrip(b"\xef\xbb\xbf"), maxsplit=1)[0]
    first = start.split(b"\n", 1)[0]
    if not _HEADER_LINE.match(start) and not first.startswith(b"From "):
        return False
    names = {match[0].lower() for match in _HEADER_LINE.finditer(start)}
    return len(names) >= 3 and bool(names & {b"from:", b"mime-version:", b"received:"})


def is_saved_page(head: bytes) -> bool:
    lowered = head[:4096].lower()
    return b"multipart/related" in lowered and (
        b"snapshot-content-location" in lowered
        or b'type="text/html"' in lowered
        or b"saved by" in lowered
    )


def read_saved_page(data: bytes) -> list[Page]:
    """MHTML: the first HTML part. Raises DocumentError when there is none."""
    for part in _parts(_parsed(data)):
        if part.get_content_type() in ("text/html", "application/xhtml+xml"):
            return html_pages(_content(part))
    raise DocumentError("documents.damaged")


def read_mail(data: bytes, read_member: ReadMember) -> list[Page]:
    return mail_pages(_mail(_parsed(data)), read_member)


def mail_pages(mail: Mail, read_member: ReadMember) -> list[Page]:
    """Headers and body on the first page, then what could be read of each attachment."""
    page = PageText()
    head = Place(PlaceKind.MESSAGE, string("place.mail_head"))
    for label in _LABELS:
        if mail.headers.get(label):
            page.add(f"{string(f'place.mail_{label}')}: {mail.headers[label]}", head)
    names = [one.name for one in mail.attachments]
    if names:
        page.add(f"{string('place.mail_attachments')}: {'、'.join(names)}", head)
    body = Place(PlaceKind.MESSAGE, string("place.mail_body"))
    if mail.text.strip():
        for block in re.split(r"\n[ \t]*\n", mail.text.replace("\r\n", "\n")):
            page.add(_flowed(block), body)
    elif mail.html:
        inner = PageText()
        add_html(mail.html, inner)
        for one in inner.finished():
            page.add(one.text, body)
    pages = page.finished()
    for file in mail.attachments:
        pages += read_member(file)
    return pages


def _flowed(block: str) -> str:
    """Lines that were broken at 70 columns are joined; short ones were meant."""
    lines = block.split("\n")
    text = lines[0]
    for before, line in zip(lines, lines[1:], strict=False):
        width = sum(2 if ord(char) > 0x2E80 else 1 for char in before)
        is_broken = 64 <= width <= 80 and not line.startswith((" ", "　", ">", "・", "-", "*"))
        is_broken = is_broken and not before.endswith(("。", "：", ":"))
        gap = " " if before[-1:].isascii() and line[:1].isascii() else ""
        text += f"{gap}{line}" if is_broken else f"\n{line}"
    return text


def _parsed(data: bytes) -> EmailMessage:
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]  # an mbox's separator
    try:
        return email.message_from_bytes(
            data.lstrip(b"\xef\xbb\xbf\r\n"), policy=email.policy.default
        )
    except (ValueError, LookupError, RecursionError, IndexError) as error:
        raise DocumentError("documents.damaged") from error


def _mail(message: EmailMessage) -> Mail:
    plain: list[str] = []
    html: list[str] = []
    files: list[SourceFile] = []
    for part in _parts(message):
        kind = part.get_content_type()
        name = _name(part)
        is_attached = part.get_content_disposition() == "attachment" or bool(name)
        if not is_attached and kind == "text/plain":
            plain.append(_content(part))
        elif not is_attached and kind == "text/html":
            html.append(_content(part))
        elif is_attached or kind == "message/rfc822":
            files.append(_attached(part, name))
    headers = {label: _header(message, name) for label, name in zip(_LABELS, _HEADERS, strict=True)}
    return Mail(headers, "\n\n".join(plain), "\n".join(html), tuple(files))


def _parts(message: EmailMessage) -> Iterator[EmailMessage]:
    """The leaves in order; a mail inside the mail is one. Without recursion."""
    waiting = [message]
    for _ in range(_MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        if part.is_multipart() and part.get_content_type() != "message/rfc822":
            inner = part.get_payload()
            found = inner if isinstance(inner, list) else []
            waiting += [one for one in found[::-1] if isinstance(one, EmailMessage)]
        else:
            yield part


def _attached(part: EmailMessage, name: str) -> SourceFile:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        first = inner[0] if isinstance(inner, list) and inner else None
        message = first if isinstance(first, EmailMessage) else part
        subject = _header(message, "Subject")
        return SourceFile.of_bytes(name or f"{subject or 'mail'}.eml", message.as_bytes())
    return SourceFile.of_bytes(name or "attachment", _payload(part))


def _payload(part: EmailMessage) -> bytes:
    try:
        data = part.get_payload(decode=True)
    except (ValueError, LookupError):
        return b""
    return data if isinstance(data, bytes) else b""


def _content(part: EmailMessage) -> str:
    try:
        return decoded(_payload(part), part.get_content_charset() or "")
    except DocumentError:
        return ""


def _name(part: EmailMessage) -> str:
    try:
        return " ".join(str(part.get_filename() or "").split())
    except (ValueError, LookupError, IndexError):
        return ""


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = " ".join(str(message.get(name) or "").split())
        if name == "Date" and value:
            return parsedate_to_datetime(value).strftime("%Y-%m-%d %H:%M")
    except (ValueError, LookupError, IndexError, AttributeError, TypeError):
        return ""
    if any("\udc80" <= char <= "\udcff" for char in value):  # bytes that no header may have
        raw = value.encode("utf-8", "surrogateescape")
        try:
            return decoded(raw)
        except DocumentError:
            return raw.decode("utf-8", "replace")
    return value
