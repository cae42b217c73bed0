"""A long, real-looking document of each kind against its truth: every word, every cell.

The same report (chapters, prose, tables with empty cells) is written as each kind by what writes
that kind; what is read must be the report, in its order.
"""

import email.message
import random
import re
import unicodedata
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pptx
import pytest
import xlsxwriter
from pptx.util import Inches
from rapidfuzz.distance import Levenshtein

from tests.documents.reader.office import docx, p, zipped
from tests.documents.reader.olefiles import msg
from webui.documents.reader.loader import load

MAX_CER = 0.01
NUM_CHAPTERS = 20
_SUBJECTS = "本年度の予算 支店の売上 設備の点検 新しい契約 研修の計画 在庫の管理 利用者の声".split()
_VERBS = "を見直した を確認した を報告する について協議した は前年を上回った".split()
_MONTHS = ["部署", "4月", "5月", "6月"]
_SECTIONS = "営業課 総務課 経理課 資材課 企画課 広報課".split()

Table = list[list[str]]
Chapter = tuple[str, list[str], Table]


def report(seed: int = 11) -> list[Chapter]:
    chance = random.Random(seed)

    def sentence() -> str:
        number = f"{chance.randrange(10_000):,}"
        what, who = chance.choice(_SUBJECTS) + chance.choice(_VERBS), chance.choice(_SECTIONS)
        return f"{what}（{number}件、担当は{who}）。"

    chapters = []
    for number in range(1, NUM_CHAPTERS + 1):
        paragraphs = ["".join(sentence() for _ in range(4)) for _ in range(8)]
        rows = [
            [name, *("" if chance.random() < 0.3 else f"{chance.randrange(100)}件" for _ in "456")]
            for name in chance.sample(_SECTIONS, 4)
        ]
        chapters.append((f"第{number}章 {chance.choice(_SUBJECTS)}", paragraphs, [_MONTHS, *rows]))
    return chapters


REPORT = report()


def rows_of(table: Table) -> list[str]:
    """What the rows must say: each value behind its header, each empty cell in its column."""
    head, *rows = table
    lines = ["| " + " | ".join(head) + " |"]
    for row in rows:
        cells = [f"{name}: {text or '—'}" for name, text in zip(head, row, strict=True)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def truth() -> list[str]:
    return [line for title, body, table in REPORT for line in (title, *body, *rows_of(table))]


def as_docx() -> bytes:
    def cell(text: str) -> str:
        return f"<w:tc>{p(text) if text else '<w:p/>'}</w:tc>"

    styles = '<w:style w:styleId="h"><w:name w:val="heading 1"/></w:style>'
    body = "".join(
        p(title, '<w:pStyle w:val="h"/>')
        + "".join(map(p, paragraphs))
        + "<w:tbl>"
        + "".join("<w:tr>" + "".join(map(cell, row)) + "</w:tr>" for row in table)
        + "</w:tbl>"
        for title, paragraphs, table in REPORT
    )
    return docx(body, styles=styles)


def html_text() -> str:
    return "".join(
        f"<h1>{title}<p>{'<p>'.join(body)}<table>"
        + "".join(f"<tr>{''.join(f'<td>{text}' for text in row)}" for row in table)
        + "</table>"
        for title, body, table in REPORT
    )


def as_markdown() -> bytes:
    parts = []
    for title, body, table in REPORT:
        rows = ["| " + " | ".join(row) + " |" for row in table]
        parts += [f"# {title}", *body, "\n".join([rows[0], "|---" * 4 + "|", *rows[1:]])]
    return "\n\n".join(parts).encode()


def as_rtf() -> bytes:
    def text(line: str) -> str:
        return "".join(f"\\'{byte:02x}" for byte in line.encode("cp932"))

    parts = []
    for title, body, table in REPORT:
        parts += [text(line) + "\\par\n" for line in (title, *body)]
        for row in table:
            ends = "".join(f"\\cellx{1000 * n}" for n in range(1, 5))
            parts.append(
                f"\\trowd{ends}\\intbl " + "".join(text(one) + "\\cell " for one in row) + "\\row\n"
            )
        parts.append("\\pard ")
    return ("{\\rtf1\\ansi\\ansicpg932 " + "".join(parts) + "}").encode("ascii")


def as_pptx() -> bytes:
    deck, data = pptx.Presentation(), BytesIO()
    for title, body, table in REPORT:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(body)
        place = (Inches(1), Inches(6), Inches(8), Inches(1))
        shown = slide.shapes.add_table(len(table), 4, *place).table
        for row, texts in enumerate(table):
            for column, text in enumerate(texts):
                shown.cell(row, column).text = text
    deck.save(data)
    return data.getvalue()


def as_xlsx() -> bytes:
    data = BytesIO()
    book = xlsxwriter.Workbook(data)
    for title, body, table in REPORT:
        sheet = book.add_worksheet(re.sub(r"[\s]", "", title)[:31])
        for row, line in enumerate((title, *body)):
            sheet.write(row, 0, line)
        for row, texts in enumerate(table, start=len(body) + 2):
            sheet.write_row(row, 0, texts)
    book.close()
    return data.getvalue()


def as_epub() -> bytes:
    items = "".join(
        f'<item id="c{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(2)
    )
    middle = html_text().index("<h1>第11章")
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<c><rootfiles><rootfile full-path="a.opf"/></rootfiles></c>',
            "a.opf": f"<package><manifest>{items}</manifest><spine>"
            '<itemref idref="c0"/><itemref idref="c1"/></spine></package>',
            "0.xhtml": html_text()[:middle],
            "1.xhtml": html_text()[middle:],
        }
    )


def as_mail(kind: str) -> bytes:
    if kind == "msg":
        return msg({0x1013: html_text().encode("utf-8")}, [])
    message = email.message.EmailMessage()
    message["From"], message["Date"] = "a@example.jp", "Tue, 01 Dec 2026 09:30:00 +0900"
    message["MIME-Version"] = "1.0"
    message.set_content(html_text(), subtype="html", charset="utf-8")
    return message.as_bytes()


MAKERS: dict[str, Callable[[], bytes]] = {
    "a.docx": as_docx,
    "a.html": lambda: html_text().encode("cp932"),
    "a.md": as_markdown,
    "a.rtf": as_rtf,
    "a.pptx": as_pptx,
    "a.xlsx": as_xlsx,
    "a.epub": as_epub,
    "a.eml": lambda: as_mail("eml"),
    "a.msg": lambda: as_mail("msg"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_long_report_is_read_as_it_is(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(MAKERS[name]())
    lines = [line.lstrip("# ") for page in load(path) for line in page.text.split("\n")]
    lines = [line for line in lines if not re.match(r"(差出人|日時): ", line)]
    read, wanted = _bare("".join(lines)), _bare("".join(truth()))
    assert Levenshtein.distance(read, wanted) <= MAX_CER * len(wanted)
    shown = set(lines)
    for _, _, table in REPORT:
        assert set(rows_of(table)) <= shown


def test_a_long_table_of_each_month_as_csv(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["番号", *_MONTHS]]
    rows += [[n, *row] for n, (_, _, table) in enumerate(REPORT) for row in table[1:]]
    path = tmp_path / "a.csv"
    path.write_bytes("\r\n".join(",".join(map(str, row)) for row in rows).encode("cp932"))
    assert [line for page in load(path) for line in page.text.split("\n")] == rows_of(
        [[str(one) for one in row] for row in rows]
    )


def test_a_long_transcript(tmp_path: Path) -> None:
    said = [
        (f"話者{n % 3}", line)
        for n, line in enumerate(one for _, body, _ in REPORT for one in body)
    ]
    cues = (
        f"00:{n // 60:02}:{n % 60:02}.000 --> 00:{n // 60:02}:{n % 60:02}.900\n"
        f"<v {who}>{line}</v>\n"
        for n, (who, line) in enumerate(said)
    )
    path = tmp_path / "a.vtt"
    path.write_text("WEBVTT\n\n" + "\n".join(cues), encoding="utf-8")
    lines = [line for page in load(path) for line in page.text.split("\n")]
    assert lines == [f"{who}: {line}" for who, line in said]


def _bare(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))
