"""HTML, Markdown, RTF, slides, mail, transcripts, books: as a person sees them."""

import email.message
import email.policy
from pathlib import Path
from typing import Any

import compressed_rtf
import pptx
import pytest
from pptx.util import Inches

from tests.documents.reader.office import case, read, zipped
from tests.documents.reader.olefiles import msg
from webui.documents.errors import DocumentError
from webui.documents.reader.loader import kind_of, load
from webui.text.pages import Kind

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def labels(path: Path) -> list[str]:
    return [place.label() for page in load(path) for _, place in page.places]


# --- HTML ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["断片.html", "head閉じなし.html"])
def test_tags_that_html_lets_out(name: str) -> None:
    assert case(name) == [
        "停電のお知らせ", "12月6日の午前1時から3時まで、本館は停電します。", "別館は停電しません。",
    ]  # fmt: skip


def test_unclosed_furigana() -> None:
    assert case("rt閉じなし.html") == [
        "図書館は山の麓にある。",
        "開館は午前9時、休館日は月曜日である。",
    ]


def test_hidden_and_deleted_html_and_its_tables(tmp_path: Path) -> None:
    html = (
        "<p>前<del>消す</del><span hidden>隠す</span><b style='display: none'>x</b>後"
        "<table><tr><td rowspan=2>部署<td colspan=2>2026年<tr><td>4月<td>5月"
        "<tr><td>営業課<td>30件<td><tr><td>総務課<td><td>7件</table>"
        "<table><tr><th>氏名<td>山田</table><ol start=3><li>三<li>四</ol>"
    )
    assert read(tmp_path, "a.html", html.encode()) == [
        "前後", "| 部署 | 2026年 |", "| 部署 | 4月 | 5月 |",
        "| 部署: 営業課 | 2026年 4月: 30件 | 2026年 5月: — |",
        "| 部署: 総務課 | 2026年 4月: — | 2026年 5月: 7件 |",
        "| 氏名: 山田 |", "3. 三", "4. 四",
    ]  # fmt: skip


def test_html_is_told_by_its_content(tmp_path: Path) -> None:
    assert read(tmp_path, "a.txt", b"<!-- x --><html><p>a<script>b</script>") == ["a"]


# --- Markdown ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "picture",
    [
        "![操作盤](data:image/png;base64,{})",
        "[操作盤]: data:image/png;base64,{}",
        '<img alt="x" src="data:image/png;base64,{}">',
    ],
)
def test_pictures_as_base64_are_as_if_not_there(picture: str, tmp_path: Path) -> None:
    text = (
        "# 手順書\n\n電源を入れる。\n\n"
        + picture.format("c6m+9Jm7" * 40_000)
        + "\n\n青いボタンを3秒押す。"
    )
    lines = read(tmp_path, "a.md", text.encode())
    assert [line for line in lines if line != "操作盤"] == [
        "# 手順書", "電源を入れる。", "青いボタンを3秒押す。",
    ]  # fmt: skip
    assert "c6m" not in "".join(read(tmp_path, "a.txt", text.encode()))


def test_a_markdown_table_carries_its_headers(tmp_path: Path) -> None:
    text = "# 表\n\n| 部署 | 4月 | 5月 |\n|---|:-:|---|\n| 営業課 | 30件 | |\n| 総務課 | | 7件 |\n"
    assert read(tmp_path, "a.md", text.encode())[2:] == [
        "| 部署: 営業課 | 4月: 30件 | 5月: — |", "| 部署: 総務課 | 4月: — | 5月: 7件 |",
    ]  # fmt: skip
    assert labels(tmp_path / "a.md")[-1] == "「表」4段落"


def test_code_is_no_table_and_no_heading(tmp_path: Path) -> None:
    text = "```\n# a | b\n---|---\n```\n"
    assert read(tmp_path, "a.md", text.encode()) == ["```", "# a | b", "---|---", "```"]


# --- RTF -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["案内.rtf", "案内.doc"])
def test_rtf_whatever_it_is_called(name: str) -> None:
    assert case(name) == ["集合は駅の北口、午前8時である。", "雨天のときは中止する。"]


def test_rtf_fonts_tables_and_hidden_text(tmp_path: Path) -> None:
    kana = "".join(f"\\'{byte:02x}" for byte in "表予算".encode("cp932"))
    data = (
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}{\f1\fnil\fcharset128 MS Gothic;}}"
        r"{\*\generator x;}{\pict\pngblip 89504e47}\f0 It\'92s {\v hidden}fine.\par\f1 "
        + kana
        + r"\par\trowd\cellx1000\cellx2000\cellx3000\intbl A\cell 4\u26376?\cell 5\u26376?\cell\row"
        r"\trowd\cellx1000\cellx2000\cellx3000\intbl X\cell 30\cell\cell\row\pard "
        r"\u-10179?\u-8704? {\field{\*\fldinst HYPERLINK x}{\fldrslt link}}\par}"
    )
    assert read(tmp_path, "a.rtf", data.encode("ascii")) == [
        "It’s fine.", "表予算", "| A | 4月 | 5月 |", "| A: X | 4月: 30 | 5月: — |", "😀 link",
    ]  # fmt: skip


# --- slides --------------------------------------------------------------------------------------


def add_field(paragraph: Any, before: str, value: str) -> None:
    """What PowerPoint keeps up to date, such as a date."""
    paragraph.add_run().text = before
    field = paragraph._p.makeelement(f"{A}fld", {"id": "{0}", "type": "datetime1"})
    field.append(field.makeelement(f"{A}t"))
    field[0].text = value
    paragraph._p.append(field)


def test_slides_with_titles_tables_and_notes(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "四半期の報告"
    slide.placeholders[1].text = "売上は120\n利益は30\nTotal\vCost"
    add_field(slide.placeholders[1].text_frame.add_paragraph(), "作成日: ", "2026年12月1日")
    table = slide.shapes.add_table(3, 3, Inches(1), Inches(5), Inches(5), Inches(1)).table
    rows = [["部署", "4月", "5月"], ["営業課", "30件", ""], ["総務課", "", "7件"]]
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    slide.notes_slide.notes_text_frame.text = "ここで質問を受ける"
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "次の予定"
    hidden = deck.slides.add_slide(deck.slide_layouts[5])
    hidden.shapes.title.text = "予備"
    hidden._element.set("show", "0")
    path = tmp_path / "a.pptx"
    deck.save(str(path))
    left_out: list[str] = []
    first, second = load(path, on_left_out=left_out.append)
    assert first.text.split("\n") == [
        "四半期の報告", "売上は120", "利益は30", "Total", "Cost", "作成日: 2026年12月1日",
        "| 部署 | 4月 | 5月 |", "| 部署: 営業課 | 4月: 30件 | 5月: — |",
        "| 部署: 総務課 | 4月: — | 5月: 7件 |",
        "ここで質問を受ける",
    ]  # fmt: skip
    assert labels(path) == ["スライド1", "スライド1のノート", "スライド2"]
    assert second.text == "次の予定" and left_out == ["非表示のスライド3"]


def test_a_presentation_without_its_parts_is_damaged() -> None:
    with pytest.raises(DocumentError) as caught:
        case("説明.pptx")
    assert caught.value.key == "documents.damaged"


# --- mail ----------------------------------------------------------------------------------------


def letter() -> email.message.EmailMessage:
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = "佐藤 花子 <sato@example.jp>"
    message["To"] = "営業課 <sales@example.jp>"
    message["Subject"] = "十二月の予定について"
    message["Date"] = "Tue, 01 Dec 2026 09:30:00 +0900"
    message.set_content("会議は八日です。\n場所は第二会議室です。", charset="iso-2022-jp")
    message.add_alternative("<p>会議は八日です。</p>", subtype="html")
    message.add_attachment("品名,数\n机,2\n".encode("cp932"), "text", "csv", filename="注文.csv")
    message.add_attachment(b"\x7fELF\x00", "application", "octet-stream", filename="道具.bin")
    return message


def test_a_mail_is_read_with_its_attachments(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(letter().as_bytes())
    left_out: list[str] = []
    pages = load(path, on_left_out=left_out.append)
    assert pages[0].text.split("\n") == [
        "差出人: 佐藤 花子 <sato@example.jp>", "宛先: 営業課 <sales@example.jp>",
        "日時: 2026-12-01 09:30", "件名: 十二月の予定について", "添付ファイル: 注文.csv、道具.bin",
        "会議は八日です。", "場所は第二会議室です。",
    ]  # fmt: skip
    assert pages[1].text.endswith("| 品名: 机 | 数: 2 |")
    assert labels(path) == ["メールの見出し", "メール本文", "注文.csv › A1:B1", "注文.csv › A2:B2"]
    assert left_out == ["道具.bin"]


def test_a_mails_source_as_text_is_a_mail(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(letter().as_bytes())
    assert kind_of(path) is Kind.MAIL
    path.write_text("From: here to there\nTo: be or not to be\n\nA poem.", encoding="utf-8")
    assert kind_of(path) is Kind.TEXT


def test_a_mail_in_html_only(tmp_path: Path) -> None:
    message = letter()
    message.clear_content()
    message.set_content("<p>会議は<b>八日</b>です。<br>以上</p>", subtype="html")
    assert read(tmp_path, "a.eml", message.as_bytes())[-2:] == ["会議は八日です。", "以上"]


def test_a_saved_page_is_its_page(tmp_path: Path) -> None:
    data = (
        b"From: <Saved by Blink>\r\nSnapshot-Content-Location: http://x/\r\nSubject: x\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="b"\r\n\r\n--b\r\n'
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
        b"\r\n<p>=E6=9C=AC=E6=96=87</p>\r\n--b--\r\n"
    )
    assert read(tmp_path, "a.mhtml", data) == ["本文"]


# --- transcripts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "lines", "first"),
    [
        (
            "a.vtt",
            "WEBVTT\n\n1\n00:00:01.000 --> 00:00:04.000\n<v 佐藤>始めます。</v>\n\n"
            "00:00:04.000 --> 00:00:06.000\n<v 佐藤>まず予算です。\n\n"
            "00:01:06.000 --> 00:01:09.000\n鈴木: 賛成です。",
            ["佐藤: 始めます。まず予算です。", "鈴木: 賛成です。"],
            "00:00:01–00:00:06 佐藤",
        ),
        (
            "a.srt",
            "1\r\n00:00:01,000 --> 00:00:04,000\r\nこんにちは。\r\n",
            ["こんにちは。"],
            "00:00:01–00:00:04",
        ),
        (
            "teams.txt",
            "佐藤 花子   0:05\n始めます。\n鈴木   0:10\nはい。\n佐藤 花子   1:05\n次です。",
            ["佐藤 花子: 始めます。", "鈴木: はい。", "佐藤 花子: 次です。"],
            "00:00:05 佐藤 花子",
        ),
        (
            "zoom.txt",
            "10:01:05 From 佐藤 to Everyone: 資料です\n10:02:00 From 鈴木: 了解\n"
            "10:03:00 From 佐藤: では",
            ["佐藤: 資料です", "鈴木: 了解", "佐藤: では"],
            "10:01:05 佐藤",
        ),
    ],
)
def test_transcripts_have_times_and_speakers(
    name: str, text: str, lines: list[str], first: str, tmp_path: Path
) -> None:
    assert read(tmp_path, name, text.encode()) == lines
    assert labels(tmp_path / name)[0].strip() == first


def test_an_agenda_is_no_transcript(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("本日の予定\n10:00 開会\n11:00 閉会\n以上です。\n", encoding="utf-8")
    assert kind_of(path) is Kind.TEXT


# --- books and archives --------------------------------------------------------------------------


def test_a_book_in_the_order_of_its_spine(tmp_path: Path) -> None:
    book = zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OPS/a.opf"/>'
            "</rootfiles></container>",
            "OPS/a.opf": '<package><manifest><item id="a" href="one.xhtml" media-type='
            '"application/xhtml+xml"/><item id="b" href="two.xhtml" media-type='
            '"application/xhtml+xml"/></manifest><spine><itemref idref="b"/><itemref idref="a"/>'
            "</spine></package>",
            "OPS/one.xhtml": "<html><body><h1>後</h1><p>終わり。</p></body></html>",
            "OPS/two.xhtml": "<html><h1>先</h1><p><ruby>猫<rt>ねこ</rt></ruby>。</p></html>",
        }
    )
    assert read(tmp_path, "a.epub", book) == ["先", "猫。", "後", "終わり。"]


def test_an_archive_is_its_files_and_says_what_is_left_out(tmp_path: Path) -> None:
    inner = zipped({"深い.txt": "奥の文章。"})
    data = zipped(
        {
            "a/報告.txt": "予算は百円。".encode("cp932"),
            "表.csv": "支店,4月,5月\n仙台,1,\n",
            "中.zip": inner,
            "動画.mp4": b"\0\0\0\x18ftypmp42",
            "壊.docx": b"PK\x03\x04xx",
            "__MACOSX/._x": b"x",
        }
    )
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    left_out: list[str] = []
    pages = load(path, on_left_out=left_out.append)
    assert [page.text.split("\n")[-1] for page in pages] == [
        "予算は百円。", "| 支店: 仙台 | 4月: 1 | 5月: — |", "奥の文章。",
    ]  # fmt: skip
    assert [page.number for page in pages] == [1, 2, 3]
    assert labels(path) == [
        "a/報告.txt", "表.csv › A1:C1", "表.csv › A2:B2", "中.zip › 深い.txt",
    ]  # fmt: skip
    assert left_out == ["動画.mp4", "壊.docx"]


def test_outlooks_own_mail(tmp_path: Path) -> None:
    path = tmp_path / "a.msg"
    path.write_bytes(
        msg(
            {
                0x0037: "予定の変更", 0x0C1A: "佐藤 花子", 0x0C1F: "sato@example.jp",
                0x0E04: "営業課",
                0x1000: "会議は九日に変わりました。",
            },
            [("表.csv", "品名,数\n机,2\n".encode("cp932")), ("大.txt", "長い文。".encode() * 900)],
        )
    )  # fmt: skip
    pages = load(path)
    assert pages[0].text.split("\n") == [
        "差出人: 佐藤 花子 <sato@example.jp>", "宛先: 営業課", "件名: 予定の変更",
        "添付ファイル: 表.csv、大.txt", "会議は九日に変わりました。",
    ]  # fmt: skip
    assert pages[1].text.endswith("| 品名: 机 | 数: 2 |") and pages[2].text.startswith("長い文。")


def test_no_attachment_is_passed_over_in_silence(tmp_path: Path) -> None:
    """A mail inside Outlook's was, and so was whatever stood behind the two hundredth."""
    files = [(f"{n}.txt", f"{n}番目".encode()) for n in range(210)]
    message = letter()
    for name, data in files:
        message.add_attachment(data, "text", "plain", filename=name)
    (tmp_path / "a.eml").write_bytes(message.as_bytes())
    (tmp_path / "a.msg").write_bytes(msg({0x0037: "転送"}, [*files, ("元の依頼", None)]))
    for name, missing in (("a.eml", "道具.bin"), ("a.msg", "元の依頼")):
        left_out: list[str] = []
        pages = load(tmp_path / name, on_left_out=left_out.append)
        assert pages[-1].text == "209番目" and left_out == [missing]
        assert missing in pages[0].text


def test_an_outlook_mail_in_rtf_alone(tmp_path: Path) -> None:
    rtf = rb"{\rtf1\ansi\ansicpg932 \'89\'ef\'8b\'63\par}"
    data = msg({0x0037: "x", 0x1009: compressed_rtf.compress(rtf)}, [])
    assert read(tmp_path, "a.msg", data)[-1] == "会議"
