"""A Word file of headings, paragraphs and links, written by hand: five small XML parts in a zip.

A library for this would be a dependency of two megabytes for sixty lines. Pure.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_MAIN = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_STAMP = (1980, 1, 1, 0, 0, 0)  # the same content is the same file


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`style`: "" (body), Title, Heading1, ListBullet or Quote."""

    text: str
    style: str = ""


def docx_bytes(paragraphs: Sequence[Paragraph]) -> bytes:
    """The file. Characters that XML cannot carry are left out."""
    parts = {
        "[Content_Types].xml": _content_types(),
        "_rels/.rels": _relations("officeDocument", "word/document.xml"),
        "word/_rels/document.xml.rels": _relations("styles", "styles.xml"),
        "word/styles.xml": _styles(),
        "word/document.xml": _document(paragraphs),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _STAMP), _XML + content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _content_types() -> str:
    return (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{_WORD}.document.main+xml"/>'
        f'<Override PartName="/word/styles.xml" ContentType="{_WORD}.styles+xml"/></Types>'
    )


def _relations(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{_OFFICE}/{kind}" Target="{target}"/></Relationships>'
    )


def _document(paragraphs: Sequence[Paragraph]) -> str:
    body = "".join(map(_paragraph, paragraphs))
    return f'<w:document xmlns:w="{_MAIN}"><w:body>{body}</w:body></w:document>'


def _paragraph(paragraph: Paragraph) -> str:
    style = f'<w:pPr><w:pStyle w:val="{paragraph.style}"/></w:pPr>' if paragraph.style else ""
    text = escape("".join(char for char in paragraph.text if char.isprintable() or char == " "))
    return f'<w:p>{style}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def _styles() -> str:
    font = '<w:rFonts w:ascii="Calibri" w:eastAsia="Yu Gothic"/>'
    styles = (
        _style("Normal", f'<w:rPr>{font}<w:sz w:val="21"/></w:rPr>', is_default=True),
        _style("Title", '<w:rPr><w:b/><w:sz w:val="32"/></w:rPr>'),
        _style("Heading1", '<w:pPr><w:spacing w:before="240"/></w:pPr><w:rPr><w:b/></w:rPr>'),
        _style("ListBullet", '<w:pPr><w:ind w:left="220" w:hanging="220"/></w:pPr>'),
        _style(
            "Quote",
            '<w:pPr><w:ind w:left="440"/></w:pPr>'
            '<w:rPr><w:color w:val="6F6A60"/><w:sz w:val="18"/></w:rPr>',
        ),
    )
    return f'<w:styles xmlns:w="{_MAIN}">{"".join(styles)}</w:styles>'


def _style(name: str, content: str, *, is_default: bool = False) -> str:
    default = ' w:default="1"' if is_default else ""
    based = "" if is_default else '<w:basedOn w:val="Normal"/>'
    return (
        f'<w:style w:type="paragraph" w:styleId="{name}"{default}><w:name w:val="{name}"/>'
        f"{based}{content}</w:style>"
    )
