"""The built-in character recognition: what it reads on pictures of pages, in which order, and how
pictures become documents."""

import contextlib
import io
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pypdf
import pypdfium2
import pytest
from PIL import Image
from pypdf.annotations import FreeText
from rapidfuzz.distance import Levenshtein

from tests.documents.makepdf import columns, pdf, scanned, set_lines, table, wrapped, write
from webui.documents.errors import DocumentError
from webui.documents.process import DocumentReader
from webui.documents.reader import rapid
from webui.documents.reader.images import is_image
from webui.documents.reader.loader import kind_of, load
from webui.documents.reader.lookalikes import corrected
from webui.documents.reader.ocr import Recognition
from webui.documents.reader.reading_order import SeenLine, in_order
from webui.documents.reader.upright import merged
from webui.text.pages import Kind, Page, whole_text

TEXT = (
    "市立図書館は、山の麓の公園の中にあります。開館時間は午前九時から午後六時までで、毎週月曜日は休館日です。"
    "本を借りるには、カードを受付で作ってください。「予約」の本が届いたら、電話でお知らせします。"
)
SECOND = (
    "駐車場は三十台分あり、二時間まで無料です。自転車は正面玄関の左側に置いてください。"
    "コピー機は二階にあり、一枚十円で使えます。"
)


def picture(data: bytes, dots_per_inch: int = 200, turn: float = 0.0) -> Image.Image:
    """The first page of a PDF."""
    document = pypdfium2.PdfDocument(data)
    image = document[0].render(scale=dots_per_inch / 72, grayscale=True).to_pil()
    document.close()
    turned: Image.Image = image.rotate(turn, resample=Image.Resampling.BICUBIC, fillcolor=255)
    return turned


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, dpi=(200, 200), **options)
    return path


def error_rate(pages: list[Page], truth: str) -> float:
    read, meant = (
        "".join(unicodedata.normalize("NFKC", text).split()) for text in (whole_text(pages), truth)
    )
    return Levenshtein.distance(read, meant) / len(meant)


# --- pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0.0, pytest.param(1.5, marks=pytest.mark.thorough)])
def test_a_picture_of_a_page_is_read(turn: float, tmp_path: Path) -> None:
    data = pdf([set_lines(wrapped(TEXT, 32), size=13)])
    pages = load(saved(tmp_path / "a.png", picture(data, turn=turn)))
    assert error_rate(pages, TEXT) <= 0.01
    assert pages[0].is_recognised and pages[0].engine == rapid.NAME and pages[0].confidence > 0.9
    start = pages[0].text.index("麓")
    (box,) = pages[0].boxes(start, start + 1)
    assert box[0] == pytest.approx(60 + 13 * TEXT.index("麓"), abs=8 + 8 * turn)
    assert box[1] - 8 < 842 - 780 < box[3] + 8


@pytest.mark.parametrize("turn", [0.0, pytest.param(1.5, marks=pytest.mark.thorough)])
def test_a_vertical_page_is_read_with_its_marks(turn: float, tmp_path: Path) -> None:
    data = pdf([columns(wrapped(TEXT, 36), size=13)], "UniJIS-UCS2-V")
    pages = load(saved(tmp_path / "a.png", picture(data, turn=turn)))
    assert error_rate(pages, TEXT) <= 0.03
    assert "、" in pages[0].text and "カード" in pages[0].text


@pytest.mark.thorough
def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    left, right = wrapped(TEXT, 16), wrapped(SECOND, 16)
    pieces = [
        (60.0, 800.0, 18.0, "図書館のご案内と駐車場について"),
        *set_lines(left, x=60, top=750, size=13),
        *set_lines(right, x=320, top=750, size=13),
    ]
    pages = load(saved(tmp_path / "a.png", picture(pdf([pieces]))))
    assert error_rate(pages, pieces[0][3] + TEXT + SECOND) <= 0.02


@pytest.mark.thorough
def test_a_table_on_a_picture_stays_a_table(tmp_path: Path) -> None:
    rows = [
        ["部署", "四月", "五月"],
        ["営業課", "30", "12"],
        ["総務課", "7", "8"],
        ["支社", "5", "9"],
    ]
    pieces, _ = table(rows, height=26)
    text = load(saved(tmp_path / "a.png", picture(pdf([pieces]))))[0].text
    assert "部署: 営業課 | 四月: 30 | 五月: 12" in text


@pytest.mark.thorough
def test_a_scan_with_a_note_has_both(tmp_path: Path) -> None:
    data = scanned(pdf([set_lines(wrapped(TEXT, 32), size=13)]), [1])
    marked = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    marked.add_annotation(0, FreeText(text="済", rect=(60, 400, 300, 430)))
    marked.write(tmp_path / "a.pdf")
    with contextlib.closing(Recognition()) as recognition:
        text = whole_text(load(tmp_path / "a.pdf", recognition=recognition))
    assert "市立図書館" in text and text.endswith("〔注釈: 済〕")


# --- picture files -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"])
def test_picture_files_are_known_by_their_content(kind: str, tmp_path: Path) -> None:
    image = Image.new("L", (200, 100), 255)
    path = tmp_path / "写真.bin"
    image.save(path, kind)
    assert kind_of(path) is Kind.IMAGE


def test_the_beginning_of_a_heic_file_is_known() -> None:
    assert is_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert not is_image(b"\0\0\0\x18ftypmp42\0\0\0\0")


@pytest.mark.thorough
def test_every_page_of_a_tiff_is_read(tmp_path: Path) -> None:
    pictures = [picture(pdf([set_lines([line], size=14)])) for line in ("一枚目の紙", "二枚目の紙")]
    path = saved(tmp_path / "a.tif", pictures[0], save_all=True, append_images=pictures[1:])
    assert [page.text for page in load(path)] == ["一枚目の紙", "二枚目の紙"]


def test_a_damaged_or_huge_picture_is_one_sentence(tmp_path: Path) -> None:
    image = Image.new("L", (400, 200), 255)
    out = io.BytesIO()
    image.save(out, "PNG")
    half = out.getvalue()
    for name, data, key in (
        ("a.png", half[:60], "documents.damaged"),
        ("b.png", half[:16] + b"\0\1\0\0\0\1\0\0" + half[24:], "documents.too_much_inside"),
    ):
        with pytest.raises(DocumentError) as caught:
            load(write(tmp_path / name, data))
        assert caught.value.key in (key, "documents.damaged")


@pytest.mark.thorough
def test_the_worker_reads_a_picture_within_its_limits_and_draws_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", picture(pdf([set_lines(wrapped(TEXT, 32), size=13)])))
    reader = DocumentReader()
    try:
        read = reader.read(path, path.name)
        assert read.kind == Kind.IMAGE and error_rate(read.pages, TEXT) <= 0.01
        shown = Image.open(io.BytesIO(reader.draw(path, 1, 300)))
        assert shown.width == 300
    finally:
        reader.stop()


def test_nothing_is_fetched_and_only_its_own_process_loads_it() -> None:
    """The models are files of the package; a socket would be an error."""
    program = (
        "import socket, sys\n"
        "def no(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = no; socket.getaddrinfo = no\n"
        "from webui.documents.reader.recogniser import Engine\n"
        "Engine()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    program = (
        "import sys, webui.documents.library, webui.documents.worker\n"
        "assert not {'rapidocr', 'cv2', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


# --- order, marks, look-alikes -------------------------------------------------------------------


def seen(text: str, left: float, top: float, width: float = 200) -> SeenLine:
    return SeenLine(text, 1.0, left, top, left + width, top + 10)


def test_titles_part_the_columns_above_and_below_them() -> None:
    lines = [seen("題", 0, 0, 420)]
    lines += [seen(f"左{n}", 0, 20 + 12 * n) for n in range(3)]
    lines += [seen(f"右{n}", 220, 20 + 12 * n) for n in range(3)]
    lines.append(seen("次の題", 0, 70, 420))
    lines += [seen(f"左{n}", 0, 90 + 12 * n) for n in range(3, 6)]
    lines += [seen(f"右{n}", 220, 90 + 12 * n) for n in range(3, 6)]
    read = [line.text for line in in_order(lines[::-1])]
    assert read == [
        "題", "左0", "左1", "左2", "右0", "右1", "右2",
        "次の題", "左3", "左4", "左5", "右3", "右4", "右5",
    ]  # fmt: skip


def test_cells_are_read_row_by_row() -> None:
    lines = [
        seen(f"{row}{column}", 100 * column, 20 * row, 40)
        for row in range(4)
        for column in range(3)
    ]
    read = [line.text for line in in_order(lines[::-1])]
    assert read == sorted(read)


@pytest.mark.parametrize(
    ("words", "marks", "whole"),
    [
        ("梅雨つゆは雨季である", "梅雨（つゆ）は、雨季である。", "梅雨（つゆ）は、雨季である。"),
        ("ヨロパとベルギ", "ヨーロッパとベルギー", "ヨーロッパとベルギー"),
        ("しきよう", "しきょう", "しきょう"),
        ("日本ではPKOと称する", "日本ではヌと称する。", "日本ではPKOと称する。"),
        ("人口約701万人である", "人口約ヒカ人である。", "人口約701万人である。"),
    ],
)
def test_the_words_of_one_reading_get_the_marks_of_the_other(
    words: str, marks: str, whole: str
) -> None:
    assert merged(words, marks) == whole


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("置かれてー元的に", "置かれて一元的に"),
        ("統ーする", "統一する"),
        ("らーめんとコーヒー", "らーめんとコーヒー"),
        ("カ学と能カ", "力学と能力"),
        ("三カ国とカメラ、1カ月", "三カ国とカメラ、1カ月"),
        ("会議(第二回)", "会議（第二回）"),
        ("f(x) = (a)", "f(x) = (a)"),
    ],
)
def test_look_alikes_are_told_apart_by_their_neighbours(read: str, meant: str) -> None:
    assert corrected(read) == meant
