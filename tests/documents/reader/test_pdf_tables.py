"""Tables in PDFs: each row says which column a value is in, so that it cannot be misread."""

from pathlib import Path

import pytest

from tests.documents.makepdf import Piece, annotation, cells, pdf, set_lines, table, write
from webui.documents.errors import DocumentError
from webui.documents.process import DocumentReader
from webui.documents.reader.loader import load
from webui.text.pages import whole_text

MONTHS = [
    ["部署", "4月", "5月", "6月"],
    ["営業課", "30件", "", "12件"],
    ["総務課", "", "7件", "8件"],
    ["東京支社", "55件", "60件", "1件"],
]
READ = [
    "| 部署 | 4月 | 5月 | 6月 |",
    "| 部署: 営業課 | 4月: 30件 | 5月: — | 6月: 12件 |",
    "| 部署: 総務課 | 4月: — | 5月: 7件 | 6月: 8件 |",
    "| 部署: 東京支社 | 4月: 55件 | 5月: 60件 | 6月: 1件 |",
]
PEOPLE = [
    ["氏名", "内線", "担当"],
    ["北野", "301", "受付"],
    ["青葉", "", "会計"],
    ["森", "305", ""],
]
PEOPLE_READ = [
    "| 氏名 | 内線 | 担当 |",
    "| 氏名: 北野 | 内線: 301 | 担当: 受付 |",
    "| 氏名: 青葉 | 内線: — | 担当: 会計 |",
    "| 氏名: 森 | 内線: 305 | 担当: — |",
]
UP, DOWN, OVER = "0 1 -1 0 400 100", "0 -1 1 0 -300 700", "-1 0 0 -1 595 842"


def read(path: Path) -> list[str]:
    return whole_text(load(path)).split("\n")


@pytest.mark.parametrize(("rows", "lines"), [(MONTHS, READ), (PEOPLE, PEOPLE_READ)])
def test_an_empty_cell_keeps_its_column(
    rows: list[list[str]], lines: list[str], tmp_path: Path
) -> None:
    pieces, drawing = table(rows, top=700)
    pieces = [*set_lines(["件数を示す。"]), *pieces, (60.0, 500.0, 10.5, "以上である。")]
    path = write(tmp_path / "a.pdf", pdf([pieces], drawings=[drawing]))
    assert read(path) == ["件数を示す。", *lines, "以上である。"]


@pytest.mark.parametrize(("rows", "lines"), [(MONTHS, READ), (PEOPLE, PEOPLE_READ)])
@pytest.mark.parametrize("matrix", [UP, DOWN, OVER])
def test_a_table_set_sideways_is_the_same_table(
    matrix: str, rows: list[list[str]], lines: list[str], tmp_path: Path
) -> None:
    pieces, drawing = table(rows, x=60, top=380)
    path = write(tmp_path / "a.pdf", pdf([pieces], drawings=[drawing], matrix=matrix))
    assert read(path) == lines
    page = load(path)[0]
    start = page.text.index(lines[1][-5:-2])
    (box,) = page.boxes(start, start + 3)
    assert 0 <= box[0] < box[2] <= 595 and 0 <= box[1] < box[3] <= 842
    is_on_its_side = matrix != OVER
    assert (box[3] - box[1] > box[2] - box[0]) is is_on_its_side


def test_a_sideways_table_stands_beside_upright_text(tmp_path: Path) -> None:
    upright = set_lines(["横向きの表がある。"])
    pieces, drawing = table(MONTHS, x=0, top=0)
    sideways = b"q 0 1 -1 0 200 300 cm\n" + drawing + b"".join(map(shown, pieces)) + b"Q\n"
    assert read(write(tmp_path / "a.pdf", pdf([upright], drawings=[sideways]))) == [
        "横向きの表がある。",
        *READ,
    ]


def shown(piece: Piece) -> bytes:
    x, y, size, text = piece
    code = text.encode("utf-16-be").hex().encode()
    return b"BT /F1 %g Tf 1 0 0 1 %g %g Tm <%s> Tj ET\n" % (size, x, y, code)


@pytest.mark.parametrize(("rows", "lines"), [(MONTHS, READ), (PEOPLE, PEOPLE_READ)])
def test_columns_without_rules_are_columns(
    rows: list[list[str]], lines: list[str], tmp_path: Path
) -> None:
    pieces, _ = table(rows, top=700)
    assert read(write(tmp_path / "a.pdf", pdf([pieces]))) == lines


def test_joined_cells_count_for_all_that_they_span(tmp_path: Path) -> None:
    pieces, drawing = cells(
        [
            (0, 2, 0, 1, "支社"), (0, 2, 1, 2, "課"), (0, 1, 2, 4, "上期"),
            (1, 2, 2, 3, "4月"), (1, 2, 3, 4, "5月"),
            (2, 4, 0, 1, "東京支社"), (2, 3, 1, 2, "営業課"), (2, 3, 2, 3, "30件"),
            (2, 3, 3, 4, ""),
            (3, 4, 1, 2, "総務課"), (3, 4, 2, 4, "55件"),
            (4, 5, 0, 4, "大阪支社は集計中である"),
        ]
    )  # fmt: skip
    assert read(write(tmp_path / "a.pdf", pdf([pieces], drawings=[drawing]))) == [
        "| 支社 | 課 | 上期 |",
        "| 支社 | 課 | 4月 | 5月 |",
        "| 支社: 東京支社 | 課: 営業課 | 上期 4月: 30件 | 上期 5月: — |",
        "| 支社: 東京支社 | 課: 総務課 | 上期 4月・上期 5月: 55件 |",
        "大阪支社は集計中である",
    ]


def test_a_form_has_labels_and_no_headers(tmp_path: Path) -> None:
    rows = [["氏名", "山田太郎", "部署", "営業部"], ["社員番号", "1234", "内線", "567"]]
    pieces, drawing = table(rows)
    assert read(write(tmp_path / "a.pdf", pdf([pieces], drawings=[drawing]))) == [
        "| 氏名 | 山田太郎 | 部署 | 営業部 |",
        "| 社員番号 | 1234 | 内線 | 567 |",
    ]


def test_a_frame_is_no_table(tmp_path: Path) -> None:
    lines = ["枠で囲んだ注意書きである。", "二行目もある。"]
    drawing = b"50 700 400 100 re S 50 740 m 450 740 l S\n"
    text = read(write(tmp_path / "a.pdf", pdf([set_lines(lines)], drawings=[drawing])))
    assert "".join(text) == "".join(lines)


def test_a_table_goes_on_on_the_next_page_with_its_headers(tmp_path: Path) -> None:
    first, drawing = table(MONTHS, top=200)
    second, its_drawing = table([["大阪支社", "", "9件", "2件"], ["仙台支社", "4件", "", "3件"]])
    path = write(tmp_path / "a.pdf", pdf([first, second], drawings=[drawing, its_drawing]))
    assert load(path)[1].text.split("\n") == [
        "| 部署: 大阪支社 | 4月: — | 5月: 9件 | 6月: 2件 |",
        "| 部署: 仙台支社 | 4月: 4件 | 5月: — | 6月: 3件 |",
    ]


def test_a_value_keeps_its_place_and_copied_headers_have_none(tmp_path: Path) -> None:
    pieces, drawing = table(MONTHS)
    page = load(write(tmp_path / "a.pdf", pdf([pieces], drawings=[drawing])))[0]
    start = page.text.index("12件")
    (box,) = page.boxes(start, start + 3)
    assert box[0] == pytest.approx(60 + 3 * 90 + 3, abs=1)
    assert box[1] < 842 - 780 + 20 + 14 < box[3] + 1


@pytest.mark.thorough
def test_a_page_full_of_lines_cells_and_fields_ends_within_the_limits(tmp_path: Path) -> None:
    """Read, or told in one sentence; the reader is there for the next file."""
    places = [(5 * column, 5 * row) for row in range(150) for column in range(110)]
    squares = b"".join(b"%d %d 5 5 re S\n" % place for place in places)
    letters = [(x + 1.0, y + 1.0, 3.0, "字") for x, y in places]
    crowd = [annotation("Widget", (n % 500, n // 9, n % 500 + 5, n // 9 + 5),
                        b"/F 4/FT/Tx/T(f%d)/V(%d)" % (n, n)) for n in range(4_000)]  # fmt: skip
    reader = DocumentReader()
    try:
        for name, data in (
            ("squares.pdf", pdf([letters], drawings=[squares])),
            ("fields.pdf", pdf([letters], annotations=crowd)),
        ):
            try:
                assert "字" in reader.read(write(tmp_path / name, data), name).pages[0].text
            except DocumentError as error:
                assert error.key in ("documents.too_slow", "documents.too_much_memory")
        pieces, drawing = table(MONTHS)
        path = write(tmp_path / "a.pdf", pdf([pieces], drawings=[drawing]))
        assert reader.read(path, "a.pdf").pages[0].text.split("\n") == READ
    finally:
        reader.stop()
