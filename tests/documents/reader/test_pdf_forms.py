"""What people see on a PDF page that is not its plain text: filled fields, notes, bold by twice."""

from pathlib import Path

import pytest

from tests.documents.makepdf import (
    Piece,
    annotation,
    note,
    pdf,
    set_lines,
    table,
    text_string,
    write,
)
from tests.places import ROOT
from webui.documents.reader.loader import load
from webui.text.pages import whole_text

FILES = ROOT / "tests" / "data" / "documents"


def read(path: Path) -> list[str]:
    return whole_text(load(path)).split("\n")


# --- drawn twice, and not at all -----------------------------------------------------------------


def test_a_notice_that_is_drawn_twice_is_read_once() -> None:
    text = "".join(read(FILES / "お知らせ.pdf"))
    assert text == (
        "重要なお知らせ受付時間は午前9時30分から午後4時までです。手数料は1,122円です。"
        "二二が四、ははと笑う。ささいなことに気をつける。締切は12月25日"
    )


@pytest.mark.parametrize(
    "line",
    ["手数料は1,122円です。", "二二が四、ははと笑う。", "すもももももももものうち、ぺらぺら話す。"],
)
@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_the_second_layer_of_a_whole_page_is_dropped(
    line: str, shift: float, tmp_path: Path
) -> None:
    """pdfium drops a double that follows at once; shadows are a layer of their own."""
    first = set_lines([line, "次の行である。"], size=14)
    second = [(x + shift, y - shift / 2, size, text) for x, y, size, text in first]
    path = write(tmp_path / "a.pdf", pdf([[*second, *first]]))
    assert "".join(read(path)) == f"{line}次の行である。"


def test_narrow_true_doubles_stay(tmp_path: Path) -> None:
    body = b"BT /F2 10 Tf 60 700 Td (Hello, all 1111 ill... too) Tj ET\n"
    font = b"/F1 3 0 R/F2<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    data = pdf([[]], drawings=[body]).replace(b"/F1 3 0 R", font)
    assert read(write(tmp_path / "a.pdf", data)) == ["Hello, all 1111 ill... too"]


# --- fields --------------------------------------------------------------------------------------


def test_a_filled_form_has_its_values_beside_their_labels() -> None:
    assert read(FILES / "休暇申請書.pdf") == [
        "休暇申請書",
        "申請者の部署 資材管理課",
        "休暇の開始日 2026年12月21日",
        "理由 引っ越しのため",
        "有給休暇を使う ☑",
        "連絡方法 電子メール",
    ]


def field(kind: str, box: tuple[float, float, float, float], more: bytes) -> bytes:
    return annotation("Widget", box, b"/F 4/FT/%s/T(f%d)" % (kind.encode(), int(box[1])) + more)


def value(text: str) -> bytes:
    return b"/V" + text_string(text)


def test_a_survey_says_what_was_ticked_and_what_was_not(tmp_path: Path) -> None:
    labels: list[Piece] = [
        (60, 700, 12, "参加する"), (60, 670, 12, "参加しない"), (60, 640, 12, "ご意見"),
        (60, 560, 12, "人数"), (200, 560, 12, "人で参加"),
    ]  # fmt: skip
    on = b"/AP<</N<</On 900 0 R/Off 900 0 R>>>>"
    fields = [
        field("Btn", (150, 698, 164, 712), b"/V/On/AS/On" + on),
        field("Btn", (150, 668, 164, 682), b"/V/Off/AS/Off" + on),
        field("Tx", (60, 590, 400, 630), value("駅から遠いです。\n送迎はありますか。")),
        field("Tx", (120, 558, 190, 574), value("三")),
        field("Tx", (60, 500, 190, 520), value("暗証番号 0000") + b"/Ff 8192"),
        field("Tx", (60, 470, 190, 490), value("見えない値") + b"/F 2"),
        field("Btn", (60, 440, 190, 460), b"/Ff 65536/MK<</CA(Send)>>"),
    ]
    assert read(write(tmp_path / "a.pdf", pdf([labels], annotations=fields))) == [
        "参加する ☑",
        "参加しない ☐",
        "ご意見",
        "駅から遠いです。",
        "送迎はありますか。",
        "人数 三 人で参加",
    ]


def test_a_field_in_a_ruled_cell_is_the_cell(tmp_path: Path) -> None:
    pieces, drawing = table(
        [["品名", "数量", "単価"], ["用紙", "", "300円"], ["封筒", "", "120円"]]
    )
    fields = [field("Tx", (153, 742, 230, 758), value("5箱"))]
    path = write(tmp_path / "a.pdf", pdf([pieces], drawings=[drawing], annotations=fields))
    assert read(path) == [
        "| 品名 | 数量 | 単価 |",
        "| 品名: 用紙 | 数量: 5箱 | 単価: 300円 |",
        "| 品名: 封筒 | 数量: — | 単価: 120円 |",
    ]


# --- notes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "more", "line"),
    [
        ("FreeText", "見積は12月4日まで有効", b"/F 4", "〔注釈: 見積は12月4日まで有効〕"),
        (
            "Text",
            "この額でよいか確認",
            b"/F 4/T" + text_string("青葉"),
            "〔注釈（青葉）: この額でよいか確認〕",
        ),
        ("Highlight", "ここは削る\n予定", b"", "〔注釈: ここは削る 予定〕"),
        ("Stamp", "承認済", b"/F 4", "〔注釈: 承認済〕"),
    ],
)
def test_a_note_is_read_and_marked_as_one(
    kind: str, text: str, more: bytes, line: str, tmp_path: Path
) -> None:
    page = set_lines(["費用は三万円である。"])
    notes = [
        note(kind, (300, 700, 500, 720), text, more),
        note(kind, (300, 600, 500, 620), "隠された文", b"/F 2"),
        note("Popup", (300, 500, 400, 600), "同じものの窓"),
        note("Link", (60, 770, 200, 790), "行き先"),
    ]
    path = write(tmp_path / "a.pdf", pdf([page], annotations=notes))
    assert read(path) == ["費用は三万円である。", line]
    shown = load(path)[0]
    (box,) = shown.boxes(shown.text.index(line), len(shown.text))
    assert box[:2] == pytest.approx((300, 842 - 720), abs=1)
