"""Spreadsheets and CSV: each row with its header, values as shown, cells as places."""

import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from tests.documents.reader.office import CASES, case, read, zipped
from webui.documents.errors import DocumentError
from webui.documents.reader.loader import load
from webui.documents.reader.number_formats import shown


def book(write: Any) -> bytes:
    data = BytesIO()
    workbook = xlsxwriter.Workbook(data)
    write(workbook)
    workbook.close()
    return data.getvalue()


def labels(path: Path) -> list[str]:
    return [place.label() for page in load(path) for _, place in page.places]


def test_a_small_sheet_has_cells_as_places() -> None:
    assert case("売上.xlsx") == ["| 支店 | 売上 |", "| 支店: 仙台 | 売上: 120 |"]
    assert labels(CASES / "売上.xlsx") == ["シート「4月」!A1:B1", "シート「4月」!A2:B2"]


def test_a_csv_has_them_too() -> None:
    assert case("売上.csv")[1:] == [
        "| 支店: 仙台 | 4月: 120 | 5月: 135 |",
        "| 支店: 金沢 | 4月: 98 | 5月: — |",
    ]
    assert labels(CASES / "売上.csv") == ["A1:C1", "A2:C2", "A3:B3"]


def sales(workbook: Any) -> None:
    sheet = workbook.add_worksheet("4月")
    bold, day = workbook.add_format({"bold": 1}), workbook.add_format({"num_format": "yyyy/m/d"})
    share = workbook.add_format({"num_format": "0%"})
    yen = workbook.add_format({"num_format": '#,##0"円"'})
    sheet.write(0, 0, "売上一覧")
    sheet.write_row(2, 1, ["日付", "支店", "売上", "達成率"], bold)
    sheet.merge_range(3, 2, 4, 2, "仙台")
    for row, (number, amount) in enumerate([(1, 1200), (2, 900)], start=3):
        sheet.write(row, 1, datetime.date(2026, 12, number), day)
        sheet.write(row, 3, amount, yen)
    sheet.write(3, 4, 0.35, share)
    sheet.write_comment("D4", "速報値", {"author": "佐藤"})
    hidden = workbook.add_worksheet("下書き")
    hidden.write(0, 0, "見えない")
    hidden.hide()


def test_numbers_dates_and_joined_cells_are_as_a_person_sees_them(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(book(sales))
    left_out: list[str] = []
    (page,) = load(path, on_left_out=left_out.append)
    assert page.text.split("\n") == [
        "売上一覧",
        "| 日付 | 支店 | 売上 | 達成率 |",
        "| 日付: 2026/12/1 | 支店: 仙台 | 売上: 1,200円 | 達成率: 35% |",
        "| 日付: 2026/12/2 | 支店: 仙台 | 売上: 900円 | 達成率: — |",
        "コメント（佐藤）: 速報値",
    ]
    assert left_out == ["非表示のシート「下書き」"]
    assert labels(path)[2:] == [
        "シート「4月」!B4:E4", "シート「4月」!B5:D5", "シート「4月」!D4",
    ]  # fmt: skip


def test_hidden_rows_and_columns_are_left_out(tmp_path: Path) -> None:
    def write(workbook: Any) -> None:
        sheet = workbook.add_worksheet("表")
        for row, values in enumerate([["名", "内", "数"], ["甲", "x", 1], ["乙", "y", 2]]):
            sheet.write_row(row, 0, values)
        sheet.set_column(1, 1, None, None, {"hidden": True})
        sheet.set_row(2, None, None, {"hidden": True})

    assert read(tmp_path, "a.xlsx", book(write)) == ["| 名 | 数 |", "| 名: 甲 | 数: 1 |"]


def test_a_form_on_graph_paper_is_read_line_by_line(tmp_path: Path) -> None:
    def write(workbook: Any) -> None:
        sheet = workbook.add_worksheet("申請書")
        sheet.set_column(0, 40, 2)
        sheet.merge_range(0, 0, 0, 20, "出張申請書")
        rows: list[list[object]] = [["氏名", "山田", "所属", "営業部"], ["行先", "盛岡", "日数", 3]]
        for row, texts in enumerate(rows):
            for number, text in enumerate(texts):
                sheet.merge_range(row + 2, 5 * number, row + 2, 5 * number + 4, text)

    assert read(tmp_path, "a.xlsx", book(write)) == [
        "出張申請書", "| 氏名 | 山田 | 所属 | 営業部 |", "| 行先 | 盛岡 | 日数 | 3 |",
    ]  # fmt: skip


def test_a_table_on_graph_paper_keeps_its_headers(tmp_path: Path) -> None:
    def write(workbook: Any) -> None:
        sheet = workbook.add_worksheet("表")
        rows: list[list[object]] = [
            ["品名", "数量", "単価"],
            ["机", 2, 300],
            ["椅子", 4, 100],
            ["棚", "", 50],
        ]
        for row, texts in enumerate(rows):
            for number, text in enumerate(texts):
                sheet.merge_range(row, 4 * number, row, 4 * number + 3, text)

    assert read(tmp_path, "a.xlsx", book(write))[1:] == [
        "| 品名: 机 | 数量: 2 | 単価: 300 |",
        "| 品名: 椅子 | 数量: 4 | 単価: 100 |",
        "| 品名: 棚 | 数量: — | 単価: 50 |",
    ]


def test_two_tables_on_a_sheet_have_their_own_headers(tmp_path: Path) -> None:
    def write(workbook: Any) -> None:
        sheet = workbook.add_worksheet("表")
        rows = [["支店", "4月"], ["仙台", 1], [], ["課", "5月"], ["営業", 2], [], ["総務", 3]]
        for row, values in enumerate(rows):
            sheet.write_row(row, 0, values)

    assert read(tmp_path, "a.xlsx", book(write)) == [
        "| 支店 | 4月 |", "| 支店: 仙台 | 4月: 1 |", "| 課 | 5月 |", "| 課: 営業 | 5月: 2 |",
        "| 課: 総務 | 5月: 3 |",
    ]  # fmt: skip


def test_readings_of_japanese_excel_are_no_text(tmp_path: Path) -> None:
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.xml": '<workbook xmlns:r="x"><sheets><sheet name="表" r:id="a"/></sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": '<R><Relationship Id="a" Type="x/worksheet" Target="s.xml"/>'
        '<Relationship Id="b" Type="x/sharedStrings" Target="t.xml"/></R>',
        "xl/s.xml": '<worksheet><sheetData><row><c r="A1" t="s"><v>0</v></c></row>'
        "</sheetData></worksheet>",
        "xl/t.xml": "<sst><si><r><t>東</t></r><r><t>京</t></r><rPh><t>トウキョウ</t>"
        "</rPh></si></sst>",
    }
    assert read(tmp_path, "a.xlsx", zipped(parts)) == ["東京"]


def test_a_semicolon_and_quoted_line_breaks_in_csv(tmp_path: Path) -> None:
    data = '品名;備考;数\n机;"白; 大\n二段";3\n'.encode()
    assert read(tmp_path, "a.csv", data)[1] == "| 品名: 机 | 備考: 白; 大 二段 | 数: 3 |"
    assert read(tmp_path, "b.txt", "氏名\t点\t組\n佐藤\t8\t甲\n鈴木\t\t乙\n".encode("cp932"))[
        2
    ] == ("| 氏名: 鈴木 | 点: — | 組: 乙 |")


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (1234567, "#,##0", "1,234,567"), (0.35, "0%", "35%"), (0.1234, "0.0%", "12.3%"),
        (1234, '#,##0"円"', "1,234円"), (-5, '#,##0;"△"#,##0', "△5"), (7, "000", "007"),
        (-5, "#,##0;[Red]-#,##0", "-5"), (2.5, "0", "3"), (0.1 + 0.2, "General", "0.3"),
        (0, '#,##0;-#,##0;"-"', "-"), (1234567, "#,##0,", "1,235"), (1.2, "0.##", "1.2"),
        (1234, '_ * #,##0_ ;_ * -#,##0_ ;_ * "-"_ ;_ @_ ', "1,234"), (12, "[$¥-411]#,##0", "¥12"),
        (46357, "yyyy/m/d", "2026/12/1"), (46357, "yyyy-mm-dd;@", "2026-12-01"),
        (46357, 'm"月"d"日"(aaa)', "12月1日(火)"), (46357, "mmm-yy", "Dec-26"),
        (46357, '[$-411]ggge"年"m"月"d"日"', "令和8年12月1日"), (0.5, "h:mm", "12:00"),
        (46357.75, "yyyy/m/d h:mm", "2026/12/1 18:00"), (1.5, "[h]:mm", "36:00"),
        (123456, "0.00E+00", "1.23E+05"), (43585, "[$-411]ge.m.d", "H31.4.30"),
    ],
)  # fmt: skip
def test_number_formats(value: float, form: str, text: str) -> None:
    assert shown(value, form) == text


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_half_a_workbook_is_damaged(cut: float, tmp_path: Path) -> None:
    data = book(sales)
    with pytest.raises(DocumentError) as caught:
        read(tmp_path, "a.xlsx", data[: int(cut * len(data))])
    assert caught.value.key == "documents.damaged"


def test_a_sheet_without_a_cell_is_empty(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        read(tmp_path, "a.xlsx", book(lambda workbook: workbook.add_worksheet("空")))
    assert caught.value.key == "documents.empty"


def test_an_open_document_sheet_is_read_by_calamine(tmp_path: Path) -> None:
    names = "office table text"
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in names.split()
    )

    def cell(value: str) -> str:
        if value.replace(".", "").isdigit():
            kind = f'office:value-type="float" office:value="{value}"'
            return f"<table:table-cell {kind}><text:p>{value}</text:p></table:table-cell>"
        if not value:
            return "<table:table-cell/>"
        shown = f"<text:p>{value}</text:p>"
        return f'<table:table-cell office:value-type="string">{shown}</table:table-cell>'

    rows = [["支店", "4月", "5月"], ["仙台", "120", "135"], ["金沢", "", "98.5"]]
    body = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
    data = zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": f"<office:document-content {spaces}><office:body><office:spreadsheet>"
            f'<table:table table:name="表">{body}</table:table></office:spreadsheet></office:body>'
            "</office:document-content>",
        }
    )
    assert read(tmp_path, "a.ods", data)[1:] == [
        "| 支店: 仙台 | 4月: 120 | 5月: 135 |", "| 支店: 金沢 | 4月: — | 5月: 98.5 |",
    ]  # fmt: skip
    assert labels(tmp_path / "a.ods")[1] == "シート「表」!A2:C2"
