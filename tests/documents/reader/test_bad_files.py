"""Files that are no good: encrypted, cut, renamed, empty, hostile. Each is one sentence."""

import random
import re
import zipfile
from io import BytesIO
from pathlib import Path

import msoffcrypto.format.ooxml
import pytest

from tests.documents.reader.office import CASES, case, docx, p, read, zipped
from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.reader.loader import load
from webui.strings import Language


def key_of(tmp_path: Path, name: str, data: bytes, **options: str) -> str:
    with pytest.raises(DocumentError) as caught:
        read(tmp_path, name, data, **options)
    for language in Language:
        message = caught.value.message(language)
        assert message and "\n" not in message
    return caught.value.key


def encrypted(data: bytes, password: str) -> bytes:
    plain, locked = BytesIO(data), BytesIO()
    with zipfile.ZipFile(plain, "a") as archive:  # the library encrypts no small file rightly
        archive.writestr("word/media/a.bin", random.Random(1).randbytes(20_000))
    msoffcrypto.format.ooxml.OOXMLFile(plain).encrypt(password, locked)
    return locked.getvalue()


def test_a_password_is_asked_for_and_opens_the_file(tmp_path: Path) -> None:
    data = encrypted((CASES / "契約書.docx").read_bytes(), "ひみつ")
    path = tmp_path / "a.docx"
    path.write_bytes(data)
    with pytest.raises(PasswordNeededError) as caught:
        load(path)
    assert not caught.value.was_given
    with pytest.raises(PasswordNeededError) as caught:
        load(path, password="x")
    assert caught.value.was_given
    assert load(path, password="ひみつ")[0].text.startswith("保守業務委託契約書")


def test_a_package_that_cannot_be_decrypted_says_so() -> None:
    with pytest.raises(PasswordNeededError):
        case("パスワード付き.docx")
    with pytest.raises(DocumentError) as caught:
        load(CASES / "パスワード付き.docx", password="x")
    assert caught.value.key == "documents.password_unsupported"


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("name", ["契約書.docx", "売上.xlsx"])
def test_half_a_package_is_damaged(name: str, cut: float, tmp_path: Path) -> None:
    data = (CASES / name).read_bytes()
    assert key_of(tmp_path, name, data[: int(cut * len(data))]) == "documents.damaged"


@pytest.mark.parametrize(
    ("name", "wrong"), [("契約書.docx", "a.xlsx"), ("売上.xlsx", "a.pdf"), ("案内.rtf", "a.docx")]
)
def test_a_renamed_file_is_what_it_is(name: str, wrong: str, tmp_path: Path) -> None:
    assert read(tmp_path, wrong, (CASES / name).read_bytes()) == case(name)


@pytest.mark.parametrize(
    "name", ["a.docx", "a.xlsx", "a.csv", "a.eml", "a.vtt", "a.zip", "a.html", "a.rtf", "a.msg"]
)
def test_an_empty_file_is_empty(name: str, tmp_path: Path) -> None:
    for data in (b"", b"\xef\xbb\xbf", b"\n \n"):
        assert key_of(tmp_path, name, data) == "documents.empty"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.docx", docx("")),
        ("a.html", b"<html><body></body></html>"),
        ("a.rtf", b"{\\rtf1\\ansi }"),
        ("a.csv", b",,,\n,,\n"),
        ("a.vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\n"),
        ("a.md", b"![](data:image/png;base64,AAAA)"),
    ],
)
def test_a_file_without_text_is_empty(name: str, data: bytes, tmp_path: Path) -> None:
    assert key_of(tmp_path, name, data) == "documents.empty"


def test_an_archive_without_readable_files(tmp_path: Path) -> None:
    assert key_of(tmp_path, "a.zip", zipped({"a.exe": b"MZ"})) == "documents.nothing_inside"


@pytest.mark.parametrize("name", ["WordDocument", "PowerPoint Document"])
def test_old_office_files_say_how_to_save_them(name: str, tmp_path: Path) -> None:
    from tests.documents.reader.olefiles import compound

    assert key_of(tmp_path, "a.doc", compound({name: b"x" * 100})) == "documents.old_office"


# --- hostile -------------------------------------------------------------------------------------

BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.docx", {"word/document.xml": BOMB + "<x>&b;</x>"}),
        ("a.xlsx", {"[Content_Types].xml": "<T/>", "xl/workbook.xml": BOMB + "<x>&b;</x>"}),
        (
            "a.xlsx",
            {
                "[Content_Types].xml": "<T/>",
                "xl/workbook.xml": '<w xmlns:r="r"><sheets><sheet name="s" r:id="a"/></sheets></w>',
                "xl/_rels/workbook.xml.rels": '<R><Relationship Id="a" Type="/worksheet" '
                'Target="s.xml"/></R>',
                "xl/s.xml": BOMB + "<worksheet><sheetData>&b;</sheetData></worksheet>",
            },
        ),
        ("a.pptx", {"[Content_Types].xml": "<T/>", "ppt/presentation.xml": BOMB + "<x>&b;</x>"}),
        (
            "a.epub",
            {"mimetype": "application/epub+zip", "META-INF/container.xml": BOMB + "<x>&b;</x>"},
        ),
    ],
)
def test_entities_are_never_expanded(
    name: str, parts: dict[str, str | bytes], tmp_path: Path
) -> None:
    assert key_of(tmp_path, name, zipped(parts)) == "documents.damaged"


def test_an_archive_that_unpacks_to_far_too_much(tmp_path: Path) -> None:
    data = zipped({"a.txt": b"\0" * 60_000_000, "b.txt": "読める。".encode()})
    assert key_of(tmp_path, "a.zip", data) == "documents.too_much_inside"


def test_archives_in_archives_end(tmp_path: Path) -> None:
    data = zipped({"a.txt": "奥".encode()})
    for _ in range(8):
        data = zipped({"in.zip": data, "x.txt": "ここ".encode()})
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    left_out: list[str] = []
    pages = load(path, on_left_out=left_out.append)
    assert [page.text for page in pages] == ["ここ"] * 3 and "in.zip" in left_out


def test_macros_are_not_run_and_links_not_followed(tmp_path: Path) -> None:
    body = p("本文。") + (
        '<w:p><w:r><w:instrText>INCLUDETEXT "http://127.0.0.1:9/x"</w:instrText></w:r>'
        "<w:r><w:t>結果</w:t></w:r></w:p>"
    )
    data = BytesIO(docx(body))
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("word/vbaProject.bin", b"\xd0\xcf\x11\xe0 Sub AutoOpen()")
        archive.writestr(
            "word/_rels/settings.xml.rels",
            '<R><Relationship Id="r" Type="x/attachedTemplate" TargetMode="External" '
            'Target="http://127.0.0.1:9/t.dotm"/></R>',
        )
    assert read(tmp_path, "a.docm", data.getvalue()) == ["本文。", "結果"]
    html = b'<p>a<img src="http://127.0.0.1:9/x"><iframe src="file:///etc/passwd">b</iframe>'
    assert read(tmp_path, "a.html", html) == ["a"]


def test_no_place_outside_the_package_is_read(tmp_path: Path) -> None:
    data = docx(p("本文。"), main="word/../../../etc/passwd")
    assert key_of(tmp_path, "a.docx", re.sub(b"unused", b"", data)) in (
        "documents.damaged", "documents.unsupported",
    )  # fmt: skip
