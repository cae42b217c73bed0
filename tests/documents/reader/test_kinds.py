"""What a file is, by its content; text and HTML and Word in short; what cannot be read is named."""

import zipfile
from pathlib import Path

import pytest

from webui.documents.errors import DocumentError
from webui.documents.reader.loader import kind_of, load
from webui.text.characters import is_garbled, repaired_text
from webui.text.pages import Kind

TEXT = "吾輩は猫である。名前はまだ無い。\nデータは①で㈱です。"


def loaded(tmp_path: Path, name: str, data: bytes) -> str:
    path = tmp_path / name
    path.write_bytes(data)
    (page,) = load(path, name)
    return page.text


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp932", "euc_jp", "iso2022_jp"]
)
def test_every_encoding_of_japanese(encoding: str, tmp_path: Path) -> None:
    text = TEXT if encoding not in ("euc_jp", "iso2022_jp") else TEXT.replace("①で㈱", "社")
    assert loaded(tmp_path, "a.txt", text.encode(encoding)) == text


def test_line_ends_and_half_width_kana_are_one_kind(tmp_path: Path) -> None:
    assert loaded(tmp_path, "a.txt", "ﾃﾞｰﾀ\r\nか\u3099き\r終".encode()) == "データ\nがき\n終"


def test_binary_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="text"):
        loaded(tmp_path, "a.txt", bytes(range(1, 256)) * 20)


def test_html_shows_what_a_browser_shows(tmp_path: Path) -> None:
    html = """<!doctype html><html><head><title>題</title><style>p{}</style></head><body>
      <script>alert(1)</script><h1>見出し</h1><p>吾輩は<ruby>猫<rp>(</rp><rt>ねこ</rt></ruby>で
      ある。</p><ul><li>りんご<li>みかん</ul><table><tr><td>年度<td>12,345</tr></table>&lt;b&gt;</body>"""
    assert loaded(tmp_path, "a.html", html.encode()).split("\n") == [
        "見出し",
        "吾輩は猫で ある。",
        "・りんご",
        "・みかん",
        "| 年度 | 12,345 |",
        "<b>",
    ]


def test_html_says_its_encoding(tmp_path: Path) -> None:
    html = '<html><meta charset="shift_jis"><p>日本語の文章。</p></html>'
    assert loaded(tmp_path, "a.htm", html.encode("cp932")) == "日本語の文章。"


WORD = (
    '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    "<w:body>{}</w:body></w:document>"
)


def word(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", WORD.format(body))
    return path


def test_word_paragraphs_tables_and_changes(tmp_path: Path) -> None:
    path = word(
        tmp_path,
        "<w:p><w:r><w:t>一つ目。</w:t></w:r><w:del><w:r><w:t>消した</w:t></w:r></w:del></w:p>"
        "<w:p><w:r><w:ruby><w:rt><w:r><w:t>ねこ</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>猫</w:t>"
        "</w:r></w:rubyBase></w:ruby><w:br/><w:t>次の行</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>年度</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>2024"
        "</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
    )
    assert kind_of(path) is Kind.WORD
    assert load(path)[0].text.split("\n") == ["一つ目。", "猫", "次の行", "| 年度 | 2024 |"]


def test_an_entity_bomb_in_word_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>')
    with pytest.raises(DocumentError) as caught:
        load(path)
    assert caught.value.key == "documents.damaged"


@pytest.mark.thorough
def test_a_packed_bomb_in_word_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * 201_000_000)
    with pytest.raises(DocumentError) as caught:
        load(path)
    assert caught.value.key == "documents.too_much_inside"


@pytest.mark.parametrize(
    ("head", "key"),
    [
        (b"\xd0\xcf\x11\xe0" + b"x" * 100, "documents.damaged"),
        (b"PK\x03\x04" + b"x" * 100, "documents.damaged"),
        (b"\0\0\0\x18ftypmp42" + b"x" * 100, "documents.unsupported"),
        (b" \n\t ", "documents.empty"),
    ],
)
def test_other_files_are_named(head: bytes, key: str, tmp_path: Path) -> None:
    path = tmp_path / "文書📄.pdf"
    path.write_bytes(head)
    with pytest.raises(DocumentError) as caught:
        kind_of(path)
    assert caught.value.key == key


def test_radicals_become_the_characters_they_look_like() -> None:
    assert repaired_text("⺠⻄⻑⼈⽇﨑ﬁ①㈱（") == "民西長人日﨑fi①㈱（"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("日本語とEnglishとΩ、①②③。" * 10, False),
        ("한국어로 쓴 문장입니다" * 10, False),
        ("अमर्त्य सेन は経済学者", False),
        ("名前は\ufffd\ufffd\ufffdという学者である。" * 2, False),
        ("".join(map(chr, range(0x590, 0x1000, 7))), True),
        ("\ufffd\ufffd読", True),
        ("日本語の文章の中に" * 90 + "".join(map(chr, range(0x590, 0x900, 9))), True),
    ],
)
def test_garble_is_told_from_other_languages(text: str, expected: bool) -> None:
    assert is_garbled(text) is expected
