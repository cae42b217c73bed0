"""Word files as Word shows them: numbers, tables, notes, changes, symbols."""

from pathlib import Path

import pytest

from tests.documents.reader.office import case, docx, p, read
from webui.documents.reader.loader import load
from webui.documents.reader.word_numbering import formatted


def test_automatic_numbers_are_text() -> None:
    """第4条 could not be asked for: its number stood only in numbering.xml."""
    lines = case("契約書.docx")
    assert lines[1] == "第1条（目的）本契約は、甲が乙に委託する保守業務の条件を定める。"
    assert lines[2:4] == ["① 対象は本社の設備とする。", "② 支店の設備は含まない。"]
    assert [line[:3] for line in lines if line.startswith("第")] == [
        "第1条", "第2条", "第3条", "第4条", "第5条",
    ]  # fmt: skip
    assert next(line for line in lines if "秘密保持" in line).startswith("第4条")
    assert lines[lines.index("① 期間は契約終了後3年とする。") - 1].startswith("第4条")  # restarts


def numbering(*levels: tuple[str, str], start: int = 1) -> str:
    shown = "".join(
        f'<w:lvl w:ilvl="{n}"><w:start w:val="{start}"/><w:numFmt w:val="{form}"/>'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
        for n, (form, text) in enumerate(levels)
    )
    return (
        f'<w:abstractNum w:abstractNumId="0">{shown}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
    )


def item(text: str, level: int = 0) -> str:
    return p(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="1"/></w:numPr>')


def test_numbers_of_several_levels_stand_in_one_mark(tmp_path: Path) -> None:
    levels = numbering(("decimal", "%1"), ("decimal", "%1.%2"), ("lowerLetter", "(%3)"))
    body = item("章") + item("節", 1) + item("節", 1) + item("項", 2) + item("章") + item("節", 1)
    assert read(tmp_path, "a.docx", docx(body, numbering=levels)) == [
        "1 章", "1.1 節", "1.2 節", "(a) 項", "2 章", "2.1 節",
    ]  # fmt: skip


def test_a_style_may_number_its_paragraphs(tmp_path: Path) -> None:
    styles = (
        '<w:style w:styleId="J"><w:name w:val="条"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr>'
        '</w:pPr></w:style><w:style w:styleId="K"><w:basedOn w:val="J"/></w:style>'
    )
    body = p("目的", '<w:pStyle w:val="J"/>') + p("期間", '<w:pStyle w:val="K"/>')
    data = docx(body, styles=styles, numbering=numbering(("japaneseCounting", "第%1条　"), start=9))
    assert read(tmp_path, "a.docx", data) == ["第九条 目的", "第十条 期間"]


@pytest.mark.parametrize(
    ("form", "number", "shown"),
    [
        ("decimalFullWidth", 12, "１２"), ("decimalEnclosedCircle", 3, "③"),
        ("aiueo", 2, "イ"), ("iroha", 2, "ロ"), ("japaneseCounting", 121, "百二十一"),
        ("japaneseLegal", 12, "壱拾弐"), ("upperRoman", 14, "XIV"), ("lowerLetter", 27, "aa"),
        ("ideographTraditional", 2, "乙"), ("ordinal", 12, "12th"), ("none", 1, ""),
        ("decimal", 7, "7"),
    ],
)  # fmt: skip
def test_each_form_of_number(form: str, number: int, shown: str) -> None:
    assert formatted(number, form) == shown


# --- tables --------------------------------------------------------------------------------------


def test_empty_and_joined_cells_keep_their_columns() -> None:
    """An empty cell made 「5月は30件」 of the 30 of June."""
    assert case("月別件数.docx")[1:] == [
        "| 部署 | 4月 | 5月 | 6月 |",
        "| 部署: 営業課 | 4月: 10件 | 5月: — | 6月: 30件 |",
        "| 部署: 総務課 | 4月: — | 5月: 7件 | 6月: 8件 |",
        "| 部署: 東京支社 | 4月・5月: 契約 41件 | 6月: 解約 2件 |",
        "| 部署: 東京支社 | 4月・5月: 見積 55件 | 6月: 問合せ 9件 |",
    ]


def table(*rows: str) -> str:
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{p(text) if text else '<w:p/>'}</w:tc>"


def test_a_header_of_two_rows_names_its_columns(tmp_path: Path) -> None:
    body = table(
        cell("部署", '<w:vMerge w:val="restart"/>') + cell("2026年", '<w:gridSpan w:val="2"/>'),
        cell("", "<w:vMerge/>") + cell("4月") + cell("5月"),
        cell("営業課") + cell("") + cell("30件"),
    )
    assert read(tmp_path, "a.docx", docx(body))[-1] == (
        "| 部署: 営業課 | 2026年 4月: — | 2026年 5月: 30件 |"
    )


def test_a_row_that_begins_further_right(tmp_path: Path) -> None:
    indent = '<w:trPr><w:gridBefore w:val="1"/></w:trPr>'
    body = table(
        cell("部署") + cell("4月") + cell("5月"),
        cell("営業課") + cell("1件") + cell("2件"),
        indent + cell("3件") + cell("4件"),
    )
    assert read(tmp_path, "a.docx", docx(body))[-1] == "| 部署: — | 4月: 3件 | 5月: 4件 |"


# --- what stands beside the text -----------------------------------------------------------------


def test_notes_comments_headers_and_boxes_are_read_at_their_place(tmp_path: Path) -> None:
    body = (
        '<w:p><w:r><w:t>価格は百円</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r>'
        '<w:r><w:t>である。</w:t></w:r><w:r><w:commentReference w:id="5"/></w:r></w:p>'
        "<w:p><w:r><w:pict><w:txbxContent>" + p("枠の中") + "</w:txbxContent></w:pict></w:r></w:p>"
        '<w:p><w:r><w:t>次</w:t></w:r><w:r><w:endnoteReference w:id="1"/></w:r></w:p>'
    )
    data = docx(
        body,
        footnotes='<w:footnote w:id="2">' + p("税込み") + "</w:footnote>",
        endnotes='<w:endnote w:id="1">' + p("文献") + "</w:endnote>",
        comments='<w:comment w:id="5" w:author="佐藤">' + p("要確認") + "</w:comment>",
        header=p("社外秘"),
        footer=p("3"),
    )
    assert read(tmp_path, "a.docx", data) == [
        "社外秘", "価格は百円※1である。", "※1 税込み", "コメント（佐藤）: 要確認", "枠の中",
        "次※2", "※2 文献",
    ]  # fmt: skip
    labels = [place.label() for _, place in load(tmp_path / "a.docx")[0].places]
    assert labels == [
        "ヘッダー", "1段落", "脚注", "コメント", "テキストボックス", "2段落", "文末脚注",
    ]  # fmt: skip


def test_changes_hidden_and_struck_text(tmp_path: Path) -> None:
    body = (
        "<w:p><w:ins><w:r><w:t>足す。</w:t></w:r></w:ins><w:del><w:r><w:delText>消す。</w:delText>"
        "</w:r></w:del><w:moveTo><w:r><w:t>来た。</w:t></w:r></w:moveTo><w:moveFrom><w:r><w:t>去った。"
        "</w:t></w:r></w:moveFrom><w:r><w:rPr><w:vanish/></w:rPr><w:t>隠す。</w:t></w:r>"
        "<w:r><w:rPr><w:strike/></w:rPr><w:t>取消。</w:t></w:r>"
        '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>見える。</w:t></w:r></w:p>'
    )
    assert read(tmp_path, "a.docx", docx(body)) == ["足す。来た。見える。"]


def test_signs_that_are_no_text(tmp_path: Path) -> None:
    body = (
        "<w:p><w:r><w:t>03</w:t><w:noBreakHyphen/><w:t>1234</w:t><w:noBreakHyphen/><w:t>5678</w:t>"
        '</w:r><w:r><w:sym w:font="Wingdings" w:char="F0FE"/><w:t>済</w:t></w:r>'
        '<w:r><w:sym w:font="Symbol" w:char="F061"/></w:r></w:p>'
    )
    assert read(tmp_path, "a.docx", docx(body)) == ["03-1234-5678☑済α"]


def test_the_main_part_may_have_any_name(tmp_path: Path) -> None:
    data = docx(p("本文はここ。"), main="word/document2.xml")
    assert read(tmp_path, "a.docx", data) == ["本文はここ。"]


def test_a_text_box_is_not_read_twice(tmp_path: Path) -> None:
    box = "<w:txbxContent>" + p("枠") + "</w:txbxContent>"
    body = (
        '<w:p><w:r><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/'
        f'markup-compatibility/2006"><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>'
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert read(tmp_path, "a.docx", docx(body)) == ["枠"]


def test_a_paragraph_stands_below_its_heading(tmp_path: Path) -> None:
    styles = '<w:style w:styleId="a"><w:name w:val="heading 1"/></w:style>'
    data = docx(p("概要", '<w:pStyle w:val="a"/>') + p("一。") + p("二。"), styles=styles)
    read(tmp_path, "a.docx", data)
    page = load(tmp_path / "a.docx")[0]
    place = page.place_of(page.text.index("二"), len(page.text))
    assert place and place.label() == "「概要」3段落"
