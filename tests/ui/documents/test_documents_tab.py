"""The 資料 view in a real browser, with real files: add, read, search, see the page."""

import io
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psutil
import pypdfium2
import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.documents.makepdf import pdf, scanned, set_lines, wrapped
from tests.documents.reader.office import CASES, zipped
from tests.documents.reader.test_pdf import encrypted
from tests.site import OWNER, Site
from tests.ui.conftest import PHONE, OpenPage
from webui.documents.reader import ocr

pytestmark = pytest.mark.browser
READ = 60_000  # milliseconds; the machine may be busy
RULES = "年次有給休暇は、入社六か月後に十日を与える。出張の旅費は実費を支給し、五日以内に精算する。"
HOSTILE = "<img src=x onerror=alert(1)>.txt"


def file(name: str, data: bytes | str) -> FilePayload:
    content = data.encode() if isinstance(data, str) else data
    return FilePayload(name=name, mimeType="application/octet-stream", buffer=content)


RULES_PDF = file("規程.pdf", pdf([set_lines(["表紙である。"]), set_lines(wrapped(RULES, 30))]))


@pytest.fixture(autouse=True)
def empty_library(site: Site) -> Iterator[None]:
    """Each test begins without documents; the server sweeps their files at its next start."""
    yield
    for one in site.storage.documents.collections(OWNER):
        site.storage.documents.delete_collection(OWNER, one.id)


def visit(page: Page) -> Page:
    page.get_by_role("link", name="資料", exact=True).click()
    expect(page.locator(".drop")).to_be_visible()
    return page


def add(page: Page, *files: FilePayload) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="ファイルを選ぶ").click()
    chooser.value.set_files(list(files))


def row(page: Page, name: str) -> Locator:
    return page.locator(".document").filter(has=page.get_by_role("button", name=name, exact=True))


def is_ready(page: Page, name: str) -> Locator:
    found = row(page, name)
    expect(found).to_have_class("document ready", timeout=READ)
    return found


def test_from_a_file_to_its_place_on_the_page(page: Page, site: Site) -> None:
    visit(page)
    add(page, RULES_PDF, file(HOSTILE, "<script>alert(1)</script> 旅費の覚え書きである。"))
    expect(is_ready(page, "規程.pdf")).to_contain_text("2ページ")
    is_ready(page, HOSTILE)
    add(page, file("同じもの.pdf", RULES_PDF["buffer"]))
    expect(page.locator(".uploads")).to_contain_text("同じ内容の資料「規程.pdf」がすでにあります")

    page.get_by_role("searchbox").fill("有給休暇は何日")
    first = page.locator(".passage").first
    expect(first).to_contain_text("規程.pdf")
    expect(first).to_contain_text("p.2")
    expect(first.locator("mark").first).to_have_text("有給休暇")
    first.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="出典「規程.pdf」")
    expect(panel).to_contain_text("2 / 2 ページ")
    expect(panel.locator("mark")).to_contain_text("十日を与える")
    expect(panel.locator(".spot")).to_have_count(2)
    picture = panel.get_by_role("img", name="「規程.pdf」の 2 ページ")
    page.wait_for_function("image => image.naturalWidth > 300", arg=picture.element_handle())
    spot, paper = panel.locator(".spot").first.bounding_box(), picture.bounding_box()
    assert spot and paper and paper["x"] < spot["x"] < paper["x"] + paper["width"]
    panel.get_by_role("button", name="前のページ").click()
    expect(panel).to_contain_text("1 / 2 ページ")
    expect(panel.locator(".spot")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(first).to_be_focused()
    loaded = {Path(part.path).name for part in psutil.Process(site.process.pid).memory_maps()}
    assert not any(name.startswith("libtorch") for name in loaded), "torch is for the workers"


def test_what_has_the_words_is_told_from_what_only_comes_near(page: Page) -> None:
    """12 passages were said to be found, one of them had the word; # and headings stood twice."""
    party = "# 忘年会\n\n## 日時\n\n忘年会は**12月20日**の18時から開く。\n"
    visit(page)
    add(page, file("行事.md", party), file("会費.txt", "年会費は毎年4月に会計が集める。"))
    is_ready(page, "行事.md")
    is_ready(page, "会費.txt")
    page.get_by_role("searchbox").fill("忘年会")
    results = page.locator(".found")
    expect(results.locator("p").first).to_contain_text("1 件（キーワード検索）")
    hit = results.locator("ol").nth(0).locator(".passage")
    expect(hit).to_have_count(1)
    expect(hit.locator(".words")).to_contain_text("12月20日の18時")
    expect(hit.locator(".words")).not_to_contain_text(re.compile("[#*]"))
    expect(hit.locator("mark").first).to_have_text("忘年会")
    expect(results.get_by_role("heading")).to_have_text(re.compile("重なる箇所|近い箇所"))
    near = results.locator("ol").nth(1).locator(".passage")
    expect(near).to_contain_text("年会費")
    expect(near.locator("mark")).to_have_count(0)
    near.click()
    expect(page.get_by_role("dialog", name="出典「会費.txt」")).to_contain_text("年会費")
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").fill("会計監査人")
    expect(results.locator("p").first).to_contain_text("その言葉がある箇所はありません")


@pytest.mark.thorough
def test_files_that_cannot_be_read_say_why(page: Page) -> None:
    visit(page)
    add(
        page,
        file("空.txt", b""),
        file("偽物.pdf", b"MZ\x90\0" + b"\0" * 500),
        file("切れた.pdf", RULES_PDF["buffer"][:700]),
        file("秘密.pdf", encrypted("himitsu")),
        file("x" * 300 + "\U0001f4c4.txt", "長い名前の資料である。"),
    )
    expect(page.locator(".uploads")).to_contain_text("空.txt: 文字のない、空のファイルです")
    expect(row(page, "偽物.pdf")).to_contain_text("この形式のファイルは読めません", timeout=READ)
    expect(row(page, "切れた.pdf")).to_contain_text("ファイルが壊れていて読めません", timeout=READ)
    secret = row(page, "秘密.pdf")
    expect(secret).to_contain_text("パスワードのかかったファイルです", timeout=READ)
    password = secret.get_by_label("「秘密.pdf」のパスワード")
    password.fill("chigau")
    password.press("Enter")
    expect(secret).to_contain_text("パスワードが違います", timeout=READ)
    password.fill("himitsu")
    password.press("Enter")
    is_ready(page, "秘密.pdf").get_by_role("button", name="秘密.pdf", exact=True).click()
    picture = page.get_by_role("img", name="「秘密.pdf」の 1 ページ")
    page.wait_for_function("image => image.naturalWidth > 300", arg=picture.element_handle())
    expect(page.locator(".document.ready")).to_have_count(2)


@pytest.mark.thorough
def test_collections_and_documents_are_named_and_deleted(page: Page, site: Site) -> None:
    visit(page)
    page.get_by_role("button", name="新しいコレクション").click()
    page.get_by_role("textbox", name="新しいコレクションの名前").fill("<b>総務</b>")
    page.keyboard.press("Enter")
    expect(page.locator(".collection[aria-pressed=true]")).to_have_text("<b>総務</b>0")
    add(page, RULES_PDF)
    is_ready(page, "規程.pdf")
    page.get_by_role("button", name="「規程.pdf」の操作").click()
    page.get_by_role("menuitem", name="名前の変更").click()
    page.get_by_role("textbox", name="新しい名前").fill("就業規則.pdf")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="「就業規則.pdf」の操作").click()
    page.get_by_role("menuitem", name="検索の区切りを見る").click()
    expect(page.locator("dialog.chunks")).to_contain_text("十日を与える")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="「就業規則.pdf」の操作").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="新しい版に置き換える").click()
    chooser.value.set_files([file("就業規則.pdf", pdf([set_lines(["休暇は二十日である。"])]))])
    expect(page.locator(".documents")).to_contain_text("1ページ", timeout=READ)
    expect(page.locator(".document")).to_have_count(1)

    page.get_by_role("button", name="コレクションの操作").click()
    page.get_by_role("menuitem", name="削除").click()
    page.get_by_role("button", name="削除", exact=True).click()
    expect(page.locator(".collection")).to_have_count(0)
    assert site.storage.documents.documents(OWNER) == []


@pytest.mark.thorough
@pytest.mark.skipif(not ocr.is_available(), reason="tesseract with jpn is not installed")
def test_a_scan_is_read_on_a_phone(open_page: OpenPage) -> None:
    page = visit(open_page(viewport=PHONE))
    add(page, file("紙.pdf", scanned(pdf([set_lines(wrapped(RULES, 25), size=13)]), [1])))
    paper = row(page, "紙.pdf")
    expect(paper).to_contain_text("文字を取り出せるページがありません", timeout=READ)
    paper.get_by_role("button", name="OCR で文字を読み取る").click()
    is_ready(page, "紙.pdf").get_by_role("button", name="紙.pdf", exact=True).click()
    panel = page.get_by_role("dialog", name="出典「紙.pdf」")
    expect(panel).to_contain_text(re.compile("OCR（.+）で読み取った文字です"))
    expect(panel).to_contain_text(re.compile("有給休暇"))
    box = panel.bounding_box()
    assert box and (box["width"], box["height"]) == (PHONE["width"], PHONE["height"])
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.querySelector('.source').contains(document.activeElement)")


@pytest.mark.thorough
def test_files_and_a_folder_are_dropped_on_the_page(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "書類"
    (folder / "古い").mkdir(parents=True)
    for path in (folder / "一.txt", folder / "古い" / "二.txt", tmp_path / "三.txt"):
        path.write_text(f"{path.name}に書かれた文である。", encoding="utf-8")
    visit(page)
    drop(page, page.locator(".drop"), tmp_path / "三.txt")
    is_ready(page, "三.txt")
    drop(page, page.locator(".drop"), folder)
    is_ready(page, "一.txt")
    is_ready(page, "二.txt")


def drop(page: Page, place: Locator, path: Path) -> None:
    """As from the system's file manager."""
    box = place.bounding_box()
    assert box
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


@pytest.mark.thorough
def test_documents_of_another_embedder_are_embedded_anew(page: Page, site: Site) -> None:
    visit(page)
    add(page, file("規程.txt", RULES))
    is_ready(page, "規程.txt")
    line = page.locator(".embedder")
    expect(line).to_contain_text("の両方で探します", timeout=READ)
    with sqlite3.connect(site.storage_folder / "kajogaki.db") as database:
        made = database.execute(
            "INSERT INTO embedders (fingerprint, name, num_dimensions, query_prompt,"
            " document_prompt) VALUES ('other', '前のモデル', 4, '', '')"
        )
        database.execute("UPDATE vectors SET embedder_number = ?", (made.lastrowid,))
    database.close()
    page.reload()
    expect(line).to_contain_text("これまで: 前のモデル", timeout=READ)
    line.get_by_role("button", name="埋め込み直す").click()
    expect(line).to_contain_text("の両方で探します", timeout=READ)
    expect(line.get_by_role("button")).to_have_count(0)


@pytest.mark.thorough
def test_the_text_of_a_document_is_shown_as_it_was_read(page: Page, site: Site) -> None:
    """With the pages that are missing in it; a part leads to its page."""
    visit(page)
    add(page, file("規程.pdf", pdf([set_lines(["表紙である。"]), [], set_lines(["二条のみ。"])])))
    is_ready(page, "規程.pdf")
    page.get_by_role("button", name="「規程.pdf」の操作").click()
    page.get_by_role("menuitem", name="読み取った文字").click()
    dialog = page.locator("dialog.extracted")
    expect(dialog.locator("section")).to_have_count(3)
    expect(dialog.locator("section.missing")).to_contain_text("2ページ: 文字がありません")
    expect(dialog.locator("pre").first).to_have_text("表紙である。")
    if folder := os.environ.get("KAJOGAKI_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/extracted.png")
    dialog.get_by_role("button", name="3ページ").click()
    expect(page.get_by_role("img", name="「規程.pdf」の 3 ページ")).to_be_visible()


@pytest.mark.thorough
def test_a_picture_is_read_and_shown(page: Page, site: Site) -> None:
    visit(page)
    out = io.BytesIO()
    document = pypdfium2.PdfDocument(pdf([set_lines(["会議は三時から始まります。"], size=16)]))
    document[0].render(scale=2).to_pil().save(out, "PNG")
    document.close()
    add(page, file("写真.png", out.getvalue()))
    is_ready(page, "写真.png").get_by_role("button", name="写真.png", exact=True).click()
    picture = page.get_by_role("img", name="「写真.png」の 1 ページ")
    page.wait_for_function("image => image.naturalWidth > 300", arg=picture.element_handle())
    expect(page.locator("#source")).to_contain_text("PP-OCRv6")


def test_every_kind_goes_in_and_shows_its_own_places(page: Page, site: Site) -> None:
    """Sheets, mails and archives: the place of each, and what of them is not read."""
    visit(page)
    data = zipped({"報告.txt": "会議は八日に開く。".encode("cp932"), "道具.exe": b"MZ"})
    add(page, file("売上.xlsx", (CASES / "売上.xlsx").read_bytes()), file("一式.zip", data))
    is_ready(page, "売上.xlsx")
    expect(is_ready(page, "一式.zip")).to_contain_text("1 件は読まれていません: 道具.exe")

    page.get_by_role("searchbox").fill("仙台の売上")
    first = page.locator(".passage").first
    expect(first).to_contain_text("シート「4月」!A1:B2")
    first.click()
    panel = page.get_by_role("dialog", name="出典「売上.xlsx」")
    expect(panel.locator(".at")).to_have_text("シート「4月」!A1:B2")
    expect(panel.locator("mark")).to_contain_text("| 支店: 仙台 | 売上: 120 |")


def test_the_picker_offers_every_kind_that_can_be_read(page: Page, site: Site) -> None:
    visit(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="ファイルを選ぶ").click()
    accepted = page.evaluate("input => input.accept", chooser.value.element)
    assert {".xlsx", ".eml", ".zip", ".pdf"} <= set(accepted.split(","))
