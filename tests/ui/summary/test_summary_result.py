"""What can be done with a finished summary: looked up, changed, copied, made once more."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.site import Site
from tests.tasks.summary_world import document
from tests.ui.conftest import OpenPage
from tests.ui.summary.test_summarize_tab import choose, export, open_summary, start, summarize

pytestmark = [pytest.mark.browser, pytest.mark.thorough]
TEXT = document(4)


def words(page: Page) -> Locator:
    return page.locator("#summary-view .bullet .words")


def made(page: Page, count: int = 3) -> None:
    open_summary(page)
    page.locator("#summary-view textarea").fill(TEXT)
    choose(page, mode="verbatim", num_bullets=str(count))
    summarize(page)


def test_the_original_keeps_its_paragraphs_and_sentences_are_marked_inline(
    open_page: OpenPage,
) -> None:
    """The fault: sentences were boxes that broke the text into lines and lost its paragraphs."""
    page = open_page(viewport={"width": 700, "height": 800})
    made(page)
    original = page.locator("#summary-view .original")
    assert original.inner_text() == TEXT
    sentence = original.locator(".sentence").first
    assert sentence.evaluate("one => getComputedStyle(one).display") == "inline"
    assert sentence.evaluate("one => getComputedStyle(one).boxDecorationBreak") == "clone"
    first_line = sentence.evaluate("one => one.getClientRects()[0].height")
    assert first_line < 30  # a line, not a box around all lines
    sentence.press("Enter")
    expect(sentence).to_have_class(re.compile(r"\bon\b"))


def test_a_bullet_is_edited_deleted_and_put_back(page: Page) -> None:
    made(page)
    before = words(page).all_inner_texts()
    row = page.locator("#summary-view .bullet-row")
    row.first.hover()
    row.first.get_by_role("button", name="項目を編集").click()
    page.get_by_role("textbox", name="項目を編集").fill("売上は 999% 増えた。")
    page.get_by_role("textbox", name="項目を編集").press("Enter")
    expect(words(page).first).to_have_text("売上は 999% 増えた。")
    expect(page.locator("#summary-view .flags").first).to_contain_text("999")  # compared anew
    row.nth(1).hover()
    row.nth(1).get_by_role("button", name="項目を消す").click()
    expect(words(page)).to_have_count(2)
    page.get_by_role("button", name="元に戻す").click()
    expect(words(page)).to_have_count(3)
    page.reload()
    expect(words(page)).to_have_text(["売上は 999% 増えた。", *before[1:]])
    with page.expect_download() as download:
        export(page, "テキスト")
    saved = download.value.path().read_text(encoding="utf-8")
    assert "売上は 999% 増えた。" in saved and "人が編集した項目があります" in saved


def test_copies_carry_sources_also_without_a_clipboard_of_the_browser(page: Page) -> None:
    """Over plain http there is no navigator.clipboard."""
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    made(page)
    page.get_by_role("button", name="出典付きでコピー").click()
    expect(page.locator(".toast")).to_contain_text("コピーしました")
    box = page.locator("#summary-view .drop textarea")
    box.fill("")
    box.press("Control+V")
    copied = box.input_value()
    for text in words(page).all_inner_texts():
        assert f"・{text}" in copied and f"出典: 「{text}」" in copied
    assert "正しさを保証するものではありません" in copied


def test_once_more_with_other_options_and_both_stay(page: Page) -> None:
    made(page)
    page.get_by_role("button", name="もう一度").click()
    again = page.locator("#summary-view .again")
    expect(again.locator("select[name=num_bullets]")).to_have_value("3")
    expect(again.locator("select[name=model]")).to_have_value("standin")
    again.locator("select[name=num_bullets]").select_option("2")
    again.get_by_role("button", name="この設定で要約する").click()
    expect(words(page)).to_have_count(2)
    past = page.locator("#summary-view .past")
    past.nth(1).click()
    expect(words(page)).to_have_count(3)


def test_a_deleted_summary_comes_back(page: Page) -> None:
    made(page)
    past = page.locator("#summary-view .history li")
    expect(past.first).to_be_visible()
    count = past.count()
    past.first.get_by_role("button", name="消す").click()
    expect(past).to_have_count(count - 1)
    expect(words(page)).to_have_count(0)
    page.get_by_role("button", name="元に戻す").click()
    expect(past).to_have_count(count)


def test_a_dragged_text_arrives_in_the_box(page: Page) -> None:
    open_summary(page)
    box = page.locator("#summary-view textarea")
    box.fill("初めの行。")
    page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            const drop = { dataTransfer: data, bubbles: true, cancelable: true };
            const form = document.querySelector("#summary-view .form");
            form.dispatchEvent(new DragEvent("dragover", drop));
            form.dispatchEvent(new DragEvent("drop", drop));
        }""",
        "ほかの窓から来た文章。",
    )
    expect(box).to_have_value("初めの行。\nほかの窓から来た文章。")
    page.reload()
    expect(box).to_have_value("初めの行。\nほかの窓から来た文章。")


def test_a_long_message_of_the_chat_is_opened_here(page: Page, site: Site) -> None:
    long = document(12)
    site_page = f"/?chat={site.conversation(long, '分かりました。')}"
    page.goto(site.url + site_page)
    page.locator(".turn.user").hover()
    page.locator(".turn.user").get_by_role("button", name="要約で開く").click()
    box = page.locator("#summary-view textarea")
    expect(box).to_have_value(long)
    start(page)
    expect(words(page).first).to_be_visible()
