"""From view to view in a real browser: tabs, addresses, keys, the bar of a phone."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.site import Site
from tests.ui.conftest import PHONE, OpenPage

pytestmark = pytest.mark.browser


def tab(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="画面の切り替え").get_by_role("link", name=name).click()


@pytest.mark.thorough
def test_views_have_addresses_and_keep_the_conversation(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("旅費は？", "実費です", title="旅費の話")
    page = open_page(f"/?chat={chat}")
    expect(page).to_have_title("旅費の話 — Kajogaki")
    tab(page, "要約")
    expect(page.locator("#summary-view textarea")).to_be_visible()
    expect(page.locator("#composer")).to_be_hidden()
    expect(page).to_have_title("要約 — Kajogaki")
    tab(page, "モデル")
    expect(page.locator("#models-view h1")).to_be_visible()
    page.go_back()
    expect(page.locator("#summary-view textarea")).to_be_visible()
    page.reload()
    expect(page.locator("#summary-view textarea")).to_be_visible()
    tab(page, "チャット")
    expect(page.locator(".bubble")).to_have_text("旅費は？")
    assert page.url.endswith(f"/?chat={chat}")


@pytest.mark.thorough
def test_the_tabs_are_reached_and_told_by_keys(page: Page) -> None:
    page.get_by_role("link", name="チャット", exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#summary-view textarea")).to_be_visible()
    current = page.locator("#navigation [aria-current=page]")
    expect(current).to_have_text("要約")


@pytest.mark.thorough
def test_an_unknown_view_is_the_chat(open_page: OpenPage) -> None:
    page = open_page("/?view=%3Cimg%20src%3Dx%3E")
    expect(page.locator("#composer textarea")).to_be_visible()


def test_a_phone_has_its_tabs_within_reach(open_page: OpenPage) -> None:
    page = open_page(viewport=PHONE)
    bar = page.locator("#navigation").bounding_box()
    composer = page.locator("#composer").bounding_box()
    assert bar and composer
    assert bar["y"] + bar["height"] == PHONE["height"]
    assert composer["y"] + composer["height"] <= bar["y"], "nothing lies under the bar"
    tab(page, "要約")
    expect(page.locator("#summary-view textarea")).to_be_visible()


@pytest.mark.thorough
def test_beside_the_chat_stands_one_pane(page: Page) -> None:
    page.get_by_role("button", name="生成の設定").click()
    expect(page.locator("#system-prompt")).to_be_visible()
    page.get_by_role("button", name="プロンプトを見る").click()
    expect(page.locator("#inspector-view h2")).to_be_visible()
    expect(page.locator("#panel")).to_be_hidden()
    page.get_by_role("button", name="生成の設定").click()
    expect(page.locator("#inspector")).to_be_hidden()


@pytest.mark.thorough
@pytest.mark.parametrize("width", [1024, 1101, 1280, 1440])
def test_the_header_keeps_title_and_buttons_beside_every_pane(
    open_page: OpenPage, site: Site, width: int
) -> None:
    chat = site.conversation("問い", "答え", title="明日の会議で使う資料の題名を相談する会話")
    page = open_page(f"/?chat={chat}", viewport={"width": width, "height": 800})
    for pane in ("panel-open", "inspector-open", "source-open"):
        page.evaluate("name => document.documentElement.classList.add(name)", pane)
        expect(page.locator("#header .head-title")).to_have_text(re.compile("明日の会議"))
        header = page.evaluate(MEASURED)
        assert header["overflow"] <= 0, (width, pane, header)
        assert header["title"] >= 48, (width, pane, header)
        assert min(header["buttons"]) >= 30, (width, pane, header)
        page.evaluate("name => document.documentElement.classList.remove(name)", pane)


MEASURED = """() => {
  const head = document.querySelector("#header .head"), edge = head.getBoundingClientRect().right;
  const shown = [...head.children].filter((one) => one.checkVisibility() && !one.popover);
  return {
    overflow: Math.max(...shown.map((one) => one.getBoundingClientRect().right - edge)),
    title: head.querySelector(".head-title").getBoundingClientRect().width,
    buttons: [...head.querySelectorAll(".icon-button")].filter((one) => one.checkVisibility())
      .map((one) => one.getBoundingClientRect().width),
  };
}"""
