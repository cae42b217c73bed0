"""The sidebar in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.site import OWNER, Site
from tests.ui.conftest import OpenPage
from webui.storage import NotFoundError

pytestmark = pytest.mark.browser


def test_search_finds_titles_and_contents(open_page: OpenPage, site: Site) -> None:
    site.conversation("経費の話", "カピバラは温泉が好きです。", title="動物の雑談")
    site.conversation("別の話", "はい", title="買い物メモ")
    long = (
        "会議の記録を読んで要点をまとめました。\U0001f4dd" * 9
        + "話者Bの発言は三つです。"
        + "以上。" * 40
    )
    site.conversation("議事", long, title="議事録")
    page = open_page()
    box = page.get_by_role("searchbox", name="会話を検索")
    box.fill("カピバラ")
    expect(page.locator(".conv")).to_have_count(1)
    expect(page.locator(".conv")).to_contain_text("動物の雑談")
    expect(page.locator(".conv-snippet")).to_contain_text("カピバラ")
    box.fill("話者Ｂ")
    expect(page.locator(".conv-snippet mark")).to_have_text("話者B")  # as it is written there
    seen = page.locator(".conv-snippet mark").bounding_box()
    row = page.locator(".conv-snippet").bounding_box()
    assert seen and row and seen["x"] + seen["width"] <= row["x"] + row["width"]
    box.fill("買い物")
    expect(page.locator(".conv-title")).to_have_text("買い物メモ")
    box.fill("どこにもない言葉")
    expect(page.get_by_text("見つかりませんでした")).to_be_visible()
    box.press("Escape")
    expect(page.locator(".conv", has_text="動物の雑談")).to_be_visible()


def test_rename_in_place(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("こんにちは", "はい", title="古い名前")
    page = open_page(f"/?chat={chat}")
    entry = page.locator(".conv", has_text="古い名前")
    entry.hover()
    entry.get_by_role("button", name="名前を変更").click()
    box = page.get_by_role("textbox", name="名前を変更")
    box.fill("新しい名前")
    box.press("Escape")
    expect(page.locator(".conv", has_text="古い名前")).to_be_visible()
    entry.hover()
    entry.get_by_role("button", name="名前を変更").click()
    box.fill("新しい名前")
    box.press("Enter")
    expect(page.locator(".conv", has_text="新しい名前")).to_be_visible()
    expect(page.locator("h1")).to_have_text("新しい名前")
    page.reload()
    expect(page.locator(".conv", has_text="新しい名前")).to_be_visible()


@pytest.mark.thorough
def test_delete_can_be_taken_back(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("消える", "はい", title="消される会話")
    page = open_page(f"/?chat={chat}")
    entry = page.locator(".conv", has_text="消される会話")
    entry.hover()
    entry.get_by_role("button", name="削除").click()
    expect(entry).to_have_count(0)
    expect(page.locator(".turn")).to_have_count(0)
    with pytest.raises(NotFoundError):
        site.storage.conversation(OWNER, chat)
    page.locator(".toast").get_by_role("button", name="元に戻す").click()
    expect(entry).to_be_visible()
    assert site.storage.conversation(OWNER, chat).title == "消される会話"


@pytest.mark.thorough
def test_back_returns_to_the_previous_conversation(open_page: OpenPage, site: Site) -> None:
    site.conversation("一", "1", title="戻る先")
    site.conversation("二", "2", title="今の会話")
    page = open_page()
    page.get_by_role("link", name="戻る先").click()
    expect(page.locator(".bubble")).to_have_text("一")
    page.get_by_role("link", name="今の会話").click()
    expect(page.locator(".bubble")).to_have_text("二")
    page.go_back()
    expect(page.locator(".bubble")).to_have_text("一")
    page.get_by_role("link", name="新しいチャット").click()
    expect(page.locator(".turn")).to_have_count(0)
    assert not re.search("chat=", page.url)


@pytest.mark.thorough
def test_a_draft_waits_in_its_conversation(open_page: OpenPage, site: Site) -> None:
    site.conversation("あ", "い", title="下書きの会話")
    page = open_page()
    page.get_by_role("link", name="下書きの会話").click()
    expect(page.locator(".turn")).to_have_count(2)
    box = page.locator("#composer textarea")
    box.fill("書きかけの文")
    page.get_by_role("link", name="新しいチャット").click()
    expect(box).to_have_value("")
    page.get_by_role("link", name="下書きの会話").click()
    expect(box).to_have_value("書きかけの文")
    stored = "Object.values(localStorage).some((text) => text.includes('書きかけの文'))"
    page.wait_for_function(stored)  # a moment after the last key
    page.reload()
    expect(box).to_have_value("書きかけの文")


def test_what_was_deleted_is_erased_on_request(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("消してほしい質問", "消してほしい答え", title="消す会話")
    page = open_page(f"/?chat={chat}")
    page.locator(".conv.on").hover()
    page.locator(".conv.on").get_by_role("button", name="削除").click()
    expect(page.locator(".toast")).to_contain_text("消す会話")
    page.get_by_role("button", name="書き出し・読み込み").click()
    page.get_by_role("menuitem", name="削除したものを完全に消す").click()
    page.get_by_role("dialog").get_by_role("button", name="完全に消す").click()
    expect(page.locator(".toast").last).to_contain_text("1件を完全に消しました")
    with pytest.raises(NotFoundError):
        site.storage.restore_conversation(OWNER, chat)


@pytest.mark.thorough
def test_conversations_are_exported_and_imported_again(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("質問です", "答えです", title="持ち出す会話")
    page = open_page(f"/?chat={chat}")
    page.get_by_role("button", name="書き出し・読み込み").click()
    with page.expect_download() as markdown:
        page.get_by_role("menuitem", name="この会話を書き出す (Markdown)").click()
    assert markdown.value.suggested_filename == "持ち出す会話.md"
    assert "答えです" in markdown.value.path().read_text(encoding="utf-8")
    page.get_by_role("button", name="書き出し・読み込み").click()
    with page.expect_download() as exported:
        page.get_by_role("menuitem", name="この会話を書き出す (JSON)").click()
    site.storage.delete_conversation(OWNER, chat)
    page.get_by_role("button", name="書き出し・読み込み").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="会話を読み込む").click()
    chooser.value.set_files(exported.value.path())
    expect(page.locator(".toast")).to_contain_text("1件")
    expect(page.locator(".conv.on")).to_contain_text("持ち出す会話")
    expect(page.locator(".turn.assistant .answer")).to_have_text("答えです")
