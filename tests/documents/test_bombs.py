"""Bombs of the kinds that are no PDF: they end within the worker's limits, and it reads on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.documents.reader.office import docx, p, zipped
from tests.documents.reader.olefiles import msg
from webui.documents.errors import DocumentError
from webui.documents.process import DocumentReader


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    reader = DocumentReader()
    yield reader
    reader.stop()


def sheet(rows: str, behind: str = "") -> bytes:
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "xl/workbook.xml": '<w xmlns:r="r"><sheets><sheet name="s" r:id="a"/></sheets></w>',
            "xl/_rels/workbook.xml.rels": '<R><Relationship Id="a" Type="x/worksheet" '
            'Target="s.xml"/></R>',
            "xl/s.xml": f"<worksheet><sheetData>{rows}</sheetData>{behind}</worksheet>",
        }
    )


def cell(name: str, text: str) -> str:
    return f'<c r="{name}" t="inlineStr"><is><t>{text}</t></is></c>'


def merged(count: int) -> bytes:
    pairs = (f'<mergeCell ref="A{n}:C{n}"/>' for n in range(1, count + 1))
    return sheet(f"<row>{cell('A1', 'ここ')}</row>", f"<mergeCells>{''.join(pairs)}</mergeCells>")


def far_cells() -> bytes:
    rows = (
        f'<row r="{n}">{cell(f"XFD{n}", "x")}{cell(f"A{n}", "y")}</row>'
        for n in range(1, 1_000_000, 500)
    )
    return sheet("".join(rows))


def million_rows() -> bytes:
    rows = (f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 1_000_001))
    return sheet("".join(rows))


def nested_boxes(depth: int) -> bytes:
    return docx("<w:sdt>" * depth + p("奥") + "</w:sdt>" * depth)


def packed_archives() -> bytes:
    data = zipped({f"{n}.txt": b"0" * 40_000_000 for n in range(4)})
    return zipped({f"{n}.zip": data for n in range(16)})


def wide_table(spans: int) -> bytes:
    cells = '<td colspan="1000" rowspan="60000">x</td>' * spans
    return f"<table>{f'<tr>{cells}</tr>' * 2_000}</table>".encode()


def attachments(count: int) -> bytes:
    files = [(f"{n}.txt", f"添付{n}の文章です。".encode()) for n in range(count)]
    return msg({0x0037: "件名", 0x1000: "本文。"}, files)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("nested.docx", lambda: nested_boxes(200_000)),
        ("archives.zip", packed_archives),
        ("braces.rtf", lambda: b"{\\rtf1 " + b"{" * 2_000_000 + b"x"),
        ("quote.csv", lambda: b'"' + b"a,b\n" * 3_000_000),
        ("headers.eml", lambda: b"From: a\nDate: b\nMIME-Version: 1\n" + b"X-B: d\n" * 200_000),
        *(
            pytest.param(name, make, marks=pytest.mark.thorough)
            for name, make in (
                ("merged.xlsx", lambda: merged(1_100_000)),
                ("far.xlsx", far_cells),
                ("deep.html", lambda: b"<div>" * 300_000 + b"x"),
                ("table.html", lambda: wide_table(30)),
                ("brackets.md", lambda: b"![" * 2_000_000),
                ("million.xlsx", million_rows),
            )
        ),
    ],
)
def test_a_bomb_ends_and_the_next_file_is_read(
    name: str, make: Callable[[], bytes], reader: DocumentReader, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(make())
    try:
        document = reader.read(path, name)
        assert document.pages and len(document.pages) < 20_000
    except DocumentError as error:
        assert error.key in {
            "documents.too_slow", "documents.too_much_memory", "documents.reader_died",
            "documents.too_much_inside", "documents.damaged", "documents.empty",
            "documents.nothing_inside",
        }  # fmt: skip
    good = tmp_path / "good.docx"
    good.write_bytes(docx(p("よい文章。")))
    assert reader.read(good, "good.docx").pages[0].text == "よい文章。"


def test_a_mail_of_a_hundred_attachments_is_read_whole(
    reader: DocumentReader, tmp_path: Path
) -> None:
    path = tmp_path / "a.msg"
    path.write_bytes(attachments(100))
    document = reader.read(path, "a.msg")
    assert len(document.pages) == 101 and not document.left_out
    assert document.pages[-1].text.startswith("添付")
