"""PDFs with known text: what comes out, where it stood, and what is said about bad ones."""

import io
import math
import zlib
from array import array
from pathlib import Path

import pypdf
import pytest

from tests.documents.makepdf import (
    CODECS,
    columns,
    file_of,
    pdf,
    set_lines,
    stream,
    wrapped,
    write,
)
from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.messages import CODEC, PageRead
from webui.documents.reader.layout import Line
from webui.documents.reader.loader import kind_of, load
from webui.documents.reader.repair import PageLines, repaired_pages
from webui.strings import Language
from webui.text.pages import Kind, Page, PageProblem, Reader, TextRun, whole_text

PARAGRAPH = (
    "梅雨（つゆ、ばいう）は、北海道と小笠原諸島を除く日本、朝鮮半島南部、中国の南部から長江流域にかけての沿海部、および台湾など、"
    "東アジアの広範囲においてみられる特有の気象現象で、5月から7月にかけて来る曇りや雨の多い期間のこと。雨季の一種である。"
)
SECOND = (
    "国際連合平和維持活動は、国連憲章でうたわれた集団安全保障を実現し、紛争において平和的解決の基盤を築くことにより、"
    "紛争当事者に間接的に平和的解決を促す国際連合の活動である。日本ではPKOと称されることが多い。"
)


def text_of(path: Path, **options: str) -> str:
    return whole_text(load(path, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", [name for name in CODECS if not name.endswith("V")])
def test_every_legacy_encoding_gives_the_text(encoding: str, tmp_path: Path) -> None:
    full_width = PARAGRAPH.translate({ord("5"): "５", ord("7"): "７"})  # JIS has no other
    text = full_width if encoding == "H" else PARAGRAPH
    path = write(tmp_path / "a.pdf", pdf([set_lines(wrapped(text))], encoding))
    assert text_of(path) == text


def test_lines_become_paragraphs_and_headings_stay_apart(tmp_path: Path) -> None:
    lines = ["梅雨", *wrapped(PARAGRAPH), "国際連合平和維持活動", *wrapped(SECOND)]
    path = write(tmp_path / "a.pdf", pdf([set_lines(lines)]))
    assert text_of(path) == "\n".join(["梅雨", PARAGRAPH, "国際連合平和維持活動", SECOND])


def test_a_list_keeps_its_items_and_a_middle_dot_in_a_name_is_none(tmp_path: Path) -> None:
    lines = [
        "・りんご",
        "・みかんとぶどう",
        "創業者はラリー・ペイジとセルゲイ",
        "・ブリンの二人である。",
    ]
    path = write(tmp_path / "a.pdf", pdf([set_lines(lines)]))
    assert text_of(path).split("\n") == [*lines[:2], lines[2] + lines[3]]


def test_vertical_columns_read_from_right_to_left(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", pdf([columns(wrapped(PARAGRAPH))], "UniJIS-UCS2-V"))
    assert text_of(path) == PARAGRAPH
    page = load(path)[0]
    first, later = page.boxes(0, 3)[0], page.boxes(45, 48)[0]
    assert first[3] - first[1] > 25 > first[2] - first[0]  # taller than wide
    assert later[2] <= first[0] + 1  # the next column is to the left


def test_furigana_are_left_out_but_small_notes_stay(tmp_path: Path) -> None:
    body = [
        (60.0, 780.0, 10.0, "吾輩は猫である。名前はまだ無い。どこで生れたか見当がつかぬ。"),
        (60.0, 791.0, 5.0, "わがはい"),
        (90.0, 791.0, 5.0, "ねこ"),
        (60.0, 700.0, 6.0, "注：ひらがなも漢字もある小さな文字。"),
    ]
    path = write(tmp_path / "a.pdf", pdf([body]))
    assert text_of(path).split("\n") == [body[0][3], body[3][3]]


def test_running_heads_and_page_numbers_go(tmp_path: Path) -> None:
    pages = [
        [
            (60.0, 820.0, 9.0, f"社外秘　令和{number}年度版"),
            *set_lines(["同じ言葉で始まる本文。", f"{number}の話。", "これは本文。"], top=780),
            (290.0, 30.0, 9.0, f"- {number} -"),
        ]
        for number in range(1, 5)
    ]
    text = text_of(write(tmp_path / "a.pdf", pdf(pages)))
    assert "社外秘" not in text and "- 2 -" not in text
    assert text.count("同じ言葉で始まる本文。") == text.count("これは本文。") == 4


def test_a_paragraph_goes_on_over_the_page(tmp_path: Path) -> None:
    lines = wrapped(PARAGRAPH)
    pages = [set_lines(lines[:2]), set_lines(lines[2:])]
    loaded = load(write(tmp_path / "a.pdf", pdf(pages)))
    assert loaded[0].continues
    assert whole_text(loaded) == PARAGRAPH


def test_each_character_keeps_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", pdf([set_lines(["梅雨は雨季の一種", "である。"])]))
    page = load(path)[0]
    start = page.text.index("雨季")
    (box,) = page.boxes(start, start + 2)
    assert box[0] == pytest.approx(60 + 3 * 10.5, abs=1)
    assert box[2] == pytest.approx(60 + 5 * 10.5, abs=1)
    assert box[1] < 842 - 780 < box[3]
    assert len(page.boxes(0, len(page.text))) == 2  # two printed lines


def test_a_rotated_page_is_placed_as_it_is_shown(tmp_path: Path) -> None:
    data = pdf([set_lines(["梅雨は雨季の一種である。"])])
    writer = pypdf.PdfWriter(io.BytesIO(data))
    writer.pages[0].rotate(90)
    writer.write(tmp_path / "a.pdf")
    page = load(tmp_path / "a.pdf")[0]
    assert (page.width, page.height) == (842, 595)
    (box,) = page.boxes(0, 4)
    assert box[3] - box[1] > box[2] - box[0]  # the line now runs downwards
    assert box[2] > 700  # its top was at the top, which is now on the right


def test_a_picture_page_and_a_garbled_one_are_named(tmp_path: Path) -> None:
    garbled = "ΑऀԱ" + "".join(chr(code) for code in range(0x600, 0x6FF, 5)) + "݀ހࠀࡀࢠ"
    pages = [set_lines(["読めるページである。"]), [], set_lines([garbled])]
    loaded = load(write(tmp_path / "a.pdf", pdf(pages)))
    assert [page.problem for page in loaded] == [
        PageProblem.NONE,
        PageProblem.NO_TEXT,
        PageProblem.GARBLED,
    ]
    assert loaded[2].text == ""


def encrypted(password: str) -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(pdf([set_lines(["秘密の文書である。"])])))
    writer.encrypt(password, "owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("reader", list(Reader))
def test_a_password_is_asked_for(reader: Reader, tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", encrypted("himitsu"))
    with pytest.raises(PasswordNeededError) as first:
        load(path, reader=reader)
    assert not first.value.was_given
    with pytest.raises(PasswordNeededError) as second:
        load(path, reader=reader, password="chigau")
    assert second.value.was_given
    assert whole_text(load(path, reader=reader, password="himitsu")) == "秘密の文書である。"


def test_a_file_with_only_an_owner_password_opens(tmp_path: Path) -> None:
    assert text_of(write(tmp_path / "a.pdf", encrypted(""))) == "秘密の文書である。"


def test_the_second_reader_reads_the_same(tmp_path: Path) -> None:
    """pypdf lacks this CMap by itself."""
    path = write(tmp_path / "a.pdf", pdf([set_lines(wrapped(PARAGRAPH))], "90msp-RKSJ-H"))
    assert text_of(path, reader=Reader.PYPDF) == PARAGRAPH


WHOLE = pdf([set_lines([SECOND[:40]])] * 3)


@pytest.mark.parametrize(
    ("name", "data", "key"),
    [
        ("empty.pdf", b"", "documents.empty"),
        ("zeros.pdf", b"\0" * 5000, "documents.empty"),
        ("program.pdf", b"MZ\x90\0" + b"\0" * 500, "documents.unsupported"),
        ("half.pdf", WHOLE[: len(WHOLE) // 3], "documents.damaged"),
        ("junk.pdf", b"%PDF-1.4\n" + bytes(range(256)) * 40, "documents.damaged"),
        ("cycle.pdf", file_of({1: b"<</Type/Catalog/Pages 2 0 R>>",
                               2: b"<</Type/Pages/Count 1/Kids[2 0 R]>>"}), "documents.damaged"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_clear_sentence(name: str, data: bytes, key: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        load(write(tmp_path / name, data))
    assert caught.value.key == key
    for language in Language:
        assert "\n" not in caught.value.message(language)


def test_a_wrong_xref_and_leading_junk_do_no_harm(tmp_path: Path) -> None:
    data = b"junk\n" + WHOLE[: WHOLE.rfind(b"startxref")] + b"startxref\n17\n%%EOF"
    assert SECOND[:40] in text_of(write(tmp_path / "a.pdf", data))


def test_one_damaged_page_costs_only_itself(tmp_path: Path) -> None:
    broken = WHOLE.replace(
        b"/Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]",
        b"/Type/Pagf/Parent 2 0 R/MediaBox[0 0 595 842]",
        1,
    )
    pages = load(write(tmp_path / "a.pdf", broken))
    assert sum(not page.problem for page in pages) >= 2


def test_the_kind_is_in_the_content_not_in_the_name(tmp_path: Path) -> None:
    assert kind_of(write(tmp_path / "a.txt", WHOLE)) is Kind.PDF
    assert kind_of(write(tmp_path / "b.pdf", "ただの文章。".encode())) is Kind.TEXT


def test_packed_pages_are_read_too(tmp_path: Path) -> None:
    """Content in an array of streams, as several makers write it."""
    half = b"BT /F1 10 Tf 60 700 Td (Hello) Tj ET\n"
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Count 1/Kids[4 0 R]>>",
        3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        4: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>"
        b"/Contents[5 0 R 6 0 R]>>",
        5: stream(zlib.compress(half)),
        6: stream(zlib.compress(half.replace(b"700", b"600"))),
    }
    assert text_of(write(tmp_path / "a.pdf", file_of(objects))) == "Hello\nHello"


@pytest.mark.parametrize("edge", [1e12, -1e12, math.inf, math.nan])
def test_a_reader_that_finds_impossible_places_gives_the_text(edge: float) -> None:
    text = "遠い文章である。"
    edges = array("f", [10, edge] * len(text))
    (page,) = repaired_pages([PageLines(1, [Line(text, edges, 10.0, 20.0, 10.0)], 600.0, 800.0)])
    assert page.text == text
    assert all(abs(tenth) <= 1e9 for run in page.runs for tenth in run.edges)


def test_a_worker_that_lies_about_places_is_not_believed() -> None:
    page = Page(1, "文", (TextRun(0, False, 0.0, 1.0, array("i", [0, 1])),))
    frame = CODEC.encode(PageRead(page))
    assert CODEC.decode(frame) == PageRead(page)
    for lie in (b"[0, 9999999999]", b'"ab"', b"[0.5, 1]", b"[null]"):
        with pytest.raises(ValueError):
            CODEC.decode(frame.replace(b"[0, 1]", lie))
