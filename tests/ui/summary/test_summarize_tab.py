"""The 要約 view in a real browser: from the text to the sources, files, history, phone, dark."""

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.documents.reader.test_pdf import encrypted
from tests.site import OWNER, Site, standing_still
from tests.tasks.summary_world import document
from tests.ui.conftest import PHONE, OpenPage

pytestmark = pytest.mark.browser
TEXT = document(4)


def open_summary(page: Page) -> None:
    page.get_by_role("link", name="要約", exact=True).click()
    page.locator("#summary-view textarea").wait_for()


def choose(page: Page, **options: str) -> None:
    for name, value in options.items():
        page.locator(f"#summary-view select[name={name}]").select_option(value)


def start(page: Page) -> None:
    page.get_by_role("button", name="要約する", exact=True).click()


def confirm_if_asked(page: Page) -> None:
    question = page.get_by_role("button", name="始める", exact=True)
    expect(question.or_(page.locator("#summary-view .live")).first).to_be_visible()
    if question.is_visible():
        question.click()


def export(page: Page, kind: str) -> None:
    page.get_by_role("button", name="書き出す").click()
    page.get_by_role("menuitem", name=kind).click()


def summarize(page: Page) -> None:
    start(page)
    page.locator("#summary-view .bullet").first.wait_for()


def test_quotes_from_text_to_sources(page: Page, tmp_path: Path) -> None:
    open_summary(page)
    page.locator("#summary-view textarea").fill(TEXT)
    choose(page, mode="verbatim", num_bullets="3")
    summarize(page)
    bullets = page.locator("#summary-view .bullet")
    expect(bullets).to_have_count(3)
    for words in page.locator("#summary-view .bullet .words").all_inner_texts():
        assert words in TEXT.replace("\n", "")
    bullets.nth(1).click()
    marked = page.locator("#summary-view .sentence.on")
    expect(marked).to_have_text(page.locator("#summary-view .bullet .words").nth(1).inner_text())
    page.locator("#summary-view .sentence").first.click()
    expect(bullets.first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#summary-view .coverage")).to_contain_text("%")
    with page.expect_download() as download:
        export(page, "JSON")
    saved = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert len(saved["bullets"]) == 3 and saved["bullets"][0]["sources"][0]["score"] == 1
    with page.expect_download() as download:
        export(page, "Word")
    assert Path(download.value.path()).read_bytes().startswith(b"PK")
    page.screenshot(path=tmp_path / "quotes.png")


@pytest.mark.thorough
def test_several_files_get_a_summary_each_and_bullets_are_copied(
    page: Page, tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("一月の報告.txt", "二月の報告.txt")]
    for number, path in enumerate(paths):
        path.write_text(document(2 + number), encoding="utf-8")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_summary(page)
    page.locator("#summary-view input[type=file]").set_input_files(paths)
    for path in paths:
        expect(page.locator("#summary-view .files")).to_contain_text(path.name)
    choose(page, mode="verbatim", num_bullets="2")
    summarize(page)
    for path in paths:
        past = page.locator("#summary-view .past", has_text=path.stem).first
        past.click()
        expect(page.locator("#summary-view .bullet")).to_have_count(2)
        page.get_by_role("button", name="コピー", exact=True).click()
        words = page.locator("#summary-view .bullet .words").all_inner_texts()
        expect(page.locator("#summary-view .result")).to_be_visible()
        copied = "\n".join(f"・{text}" for text in words)
        assert page.evaluate("navigator.clipboard.readText()") == copied


@pytest.mark.thorough
def test_a_file_is_dropped_in_and_found_in_the_history(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "報告書.txt"
    path.write_text(document(3), encoding="cp932")
    open_summary(page)
    page.locator("#summary-view input[type=file]").set_input_files(path)
    expect(page.locator("#summary-view .files")).to_contain_text("報告書.txt")
    choose(page, mode="verbatim", num_bullets="2")
    summarize(page)
    expect(page.locator("#summary-view .bullet")).to_have_count(2)
    page.reload()  # the view is still open: it has an address of its own
    page.locator("#summary-view .past", has_text="報告書").first.click()
    expect(page.locator("#summary-view .bullet")).to_have_count(2)


@pytest.mark.thorough
def test_a_file_without_text_says_so(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("  \n", encoding="utf-8")
    open_summary(page)
    page.locator("#summary-view input[type=file]").set_input_files(path)
    expect(page.locator(".toast")).to_contain_text("empty.txt")


@pytest.mark.thorough
def test_a_password_is_asked_for(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "secret.pdf"
    path.write_bytes(encrypted("himitsu"))
    open_summary(page)
    page.locator("#summary-view input[type=file]").set_input_files(path)
    for password in ("chigau", "himitsu"):
        field = page.locator("dialog[open] input[type=password]")
        field.fill(password)
        field.press("Enter")
    expect(page.locator("#summary-view .files")).to_contain_text("secret.pdf")


@pytest.mark.thorough
def test_nothing_in_the_text_becomes_markup(page: Page) -> None:
    open_summary(page)
    evil = "これは<img src=x onerror=alert(1)>という文字を含む最初の文です。次も長めの文です。"
    page.locator("#summary-view textarea").fill(evil)
    choose(page, mode="verbatim", num_bullets="1")
    summarize(page)
    assert page.locator("#summary-view img").count() == 0


@pytest.mark.thorough
def test_a_long_run_can_be_stopped_and_continued(page: Page, site: Site) -> None:
    open_summary(page)
    page.locator("#summary-view textarea").fill(document(60))
    choose(page, mode="abstract", num_bullets="5", granularity="terse")
    start(page)
    progress = page.locator("#summary-view .run-text")
    confirm_if_asked(page)
    summaries = site.storage.summaries
    deadline = time.monotonic() + 60
    while not any(run.num_parts_done and not run.result for run in summaries.newest(OWNER)):
        assert time.monotonic() < deadline, "no section is done"
        time.sleep(0.005)  # the page tells it later, perhaps when all is done
    past = page.locator("#summary-view .past", has_text="途中").first
    with standing_still(site.process):
        expect(progress).to_have_text(re.compile("処理中 [1-9]"))
        page.get_by_role("button", name="止める").click()
        expect(past).to_be_visible()
        stopped = summaries.newest(OWNER)[0]
    assert stopped.num_parts_done >= 1
    past.click()
    expect(page.locator("#summary-view .bullet")).to_have_count(5)
    assert summaries.newest(OWNER)[0].id == stopped.id


@pytest.mark.thorough
def test_continue_in_chat_brings_the_text(page: Page) -> None:
    open_summary(page)
    page.locator("#summary-view textarea").fill(TEXT)
    choose(page, mode="verbatim", num_bullets="1")
    summarize(page)
    page.get_by_role("button", name="チャットで質問する").click()
    expect(page.locator("#composer textarea")).to_have_value(re.compile("について質問します"))


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(
    open_page: OpenPage, scheme: str, tmp_path: Path
) -> None:
    page = open_page(viewport=PHONE, color_scheme=scheme)
    open_summary(page)
    page.locator("#summary-view textarea").fill(TEXT)
    choose(page, mode="verbatim", num_bullets="2")
    summarize(page)
    assert page.evaluate("document.querySelector('.summary-scroll').scrollWidth") <= 390
    page.screenshot(path=tmp_path / f"phone-{scheme}.png", full_page=True)
