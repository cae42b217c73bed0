"""Small Office files for tests, part by part, so that each can have what a case is about."""

import zipfile
from io import BytesIO
from pathlib import Path

from webui.documents.reader.loader import load

CASES = Path(__file__).parents[2] / "data" / "cases"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_REL = "http://schemas.openxmlformats.org/package/2006/relationships"


def zipped(parts: dict[str, str | bytes]) -> bytes:
    data = BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return data.getvalue()


def docx(body: str, main: str = "word/document.xml", **parts: str) -> bytes:
    """A Word file; `parts` are bodies of styles, numbering, footnotes, comments, header…"""
    folder, _, base = main.rpartition("/")
    roots = {"footnotes": "footnotes", "endnotes": "endnotes", "comments": "comments"}
    content: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": _rels([("officeDocument", main)]),
        main: f'<w:document xmlns:w="{_W}" xmlns:r="{_R}"><w:body>{body}</w:body></w:document>',
    }
    kinds = [(kind, f"{kind}.xml") for kind in parts]
    content[f"{folder}/_rels/{base}.rels"] = _rels(kinds)
    for kind, inner in parts.items():
        root = roots.get(kind, {"header": "hdr", "footer": "ftr"}.get(kind, kind))
        content[f"{folder}/{kind}.xml"] = f'<w:{root} xmlns:w="{_W}">{inner}</w:{root}>'
    return zipped(content)


def _rels(pairs: list[tuple[str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="r{n}" Type="{_R}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(pairs)
    )
    return f'<Relationships xmlns="{_REL}">{inner}</Relationships>'


def p(text: str, properties: str = "") -> str:
    shown = f"<w:pPr>{properties}</w:pPr>" if properties else ""
    return f'<w:p>{shown}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def read(tmp_path: Path, name: str, data: bytes, **options: str) -> list[str]:
    """The lines of all pages."""
    path = tmp_path / name
    path.write_bytes(data)
    return [line for page in load(path, name, **options) for line in page.text.split("\n")]  # type: ignore[arg-type]


def case(name: str) -> list[str]:
    return [line for page in load(CASES / name) for line in page.text.split("\n")]
