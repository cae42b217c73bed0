"""Japanese input: neither Enter nor Esc may do anything while text is being composed.

Key orders as browsers send them: Chrome's Enter while composing (key code 229), Safari's after
compositionend (still 229), and Esc, which only withdraws the candidates.
"""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.site import ENDLESS, Site, standing_still
from tests.ui.conftest import OpenPage

pytestmark = pytest.mark.browser

WORD = "日本語"


class InputMethod:
    """Types like an input method, over the DevTools protocol."""

    def __init__(self, page: Page) -> None:
        self._devtools: Any = page.context.new_cdp_session(page)

    def compose(self) -> None:
        self._devtools.send(
            "Input.imeSetComposition",
            {"text": WORD, "selectionStart": len(WORD), "selectionEnd": len(WORD)},
        )

    def commit(self) -> None:
        self._devtools.send("Input.insertText", {"text": WORD})

    def key(self, name: str) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self._devtools.send(
                "Input.dispatchKeyEvent",
                {"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": 229},
            )


def compose_with_enter_and_escape(page: Page, box: Locator) -> None:
    """Every order of keys; afterwards the box holds WORD twice."""
    method = InputMethod(page)
    box.click()
    box.fill("")
    method.compose()
    method.key("Escape")
    method.compose()
    method.key("Enter")  # Chrome: before the commit
    method.commit()
    method.compose()
    method.commit()
    method.key("Enter")  # Safari: after it
    expect(box).to_have_value(WORD * 2)


def composer(page: Page) -> Locator:
    return page.locator("#composer textarea")


def rename(page: Page) -> Locator:
    page.locator(".conv").first.hover()
    page.locator(".conv").first.get_by_role("button", name="名前を変更").click()
    return page.get_by_role("textbox", name="名前を変更")


def edit(page: Page) -> Locator:
    page.locator(".turn.user").hover()
    page.get_by_role("button", name="編集").click()
    return page.get_by_role("textbox", name="編集")


def search(page: Page) -> Locator:
    return page.get_by_role("searchbox")


def system_prompt(page: Page) -> Locator:
    page.get_by_role("button", name="生成の設定").click()
    return page.locator("#system-prompt textarea")


def preset_name(page: Page) -> Locator:
    page.get_by_role("button", name="生成の設定").click()
    return page.locator("#preset-name :is(input, textarea)")


def template(page: Page) -> Locator:
    page.get_by_role("button", name="プロンプトを見る").click()
    page.locator("#inspector .prompt-text span").first.wait_for()
    page.get_by_text("テンプレートを編集").click()
    return page.locator("#inspector textarea")


def family_name(page: Page) -> Locator:
    template(page)
    return page.locator("#inspector input[type=text]")


def text_to_summarize(page: Page) -> Locator:
    page.get_by_role("link", name="要約", exact=True).click()
    return page.locator("#summary-view textarea")


BOXES = (
    rename,
    edit,
    search,
    system_prompt,
    preset_name,
    template,
    family_name,
    text_to_summarize,
)


@pytest.mark.parametrize(
    "box_of", [composer, *(pytest.param(box, marks=pytest.mark.thorough) for box in BOXES)]
)
def test_composing_does_nothing_else(
    open_page: OpenPage, site: Site, box_of: Callable[[Page], Locator]
) -> None:
    chat = site.conversation("質問", "答え", title="変換の試験")
    before = (site.path(chat), site.storage.presets("local"))
    page = open_page(f"/?chat={chat}")
    expect(page.locator(".turn")).to_have_count(2)
    box = box_of(page)
    compose_with_enter_and_escape(page, box)
    page.wait_for_timeout(400)
    expect(box).to_be_visible()  # neither sent, nor saved, nor left
    expect(box).to_have_value(WORD * 2)
    expect(page.locator(".turn")).to_have_count(2)
    assert (site.path(chat), site.storage.presets("local")) == before


@pytest.mark.thorough
def test_a_plain_enter_afterwards_sends(page: Page) -> None:
    compose_with_enter_and_escape(page, composer(page))
    composer(page).press("Enter")
    expect(page.locator(".bubble")).to_have_text(WORD * 2)


@pytest.mark.thorough
def test_escape_while_composing_does_not_stop_the_answer(open_page: OpenPage, site: Site) -> None:
    page = open_page(f"/?chat={site.conversation(**ENDLESS)}")
    composer(page).fill("続けて")
    composer(page).press("Enter")
    expect(page.locator(".live .answer .block").first).to_be_visible()
    method = InputMethod(page)
    with standing_still(site.process):
        composer(page).click()
        method.compose()
        method.key("Escape")
        page.wait_for_timeout(300)
        expect(page.get_by_role("button", name="停止")).to_be_visible()
    method.commit()
    composer(page).press("Escape")
    expect(page.get_by_role("button", name="送信")).to_be_visible()
    expect(composer(page)).to_have_value(WORD)


@pytest.mark.thorough
def test_a_composition_survives_the_whole_stream(page: Page) -> None:
    composer(page).fill("こんにちは")
    composer(page).press("Enter")
    expect(page.locator(".bubble")).to_be_visible()
    InputMethod(page).compose()
    expect(page.locator(".turn.assistant .statistics")).to_be_visible()
    InputMethod(page).commit()
    expect(composer(page)).to_have_value(WORD)
