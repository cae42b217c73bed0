"""What a reader can set, in a real browser: sampling, presets, model, colours, language."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.site import OWNER, Site
from tests.ui.actions import conversation_of, send, until, wait_for_answer
from tests.ui.conftest import OpenPage
from webui.storage import Status

pytestmark = pytest.mark.browser


@pytest.mark.thorough
def test_the_model_is_chosen_per_conversation(
    open_page: OpenPage, site: Site, standin: Path
) -> None:
    own = site.models_folder / "my-model.gguf"
    shutil.copy(standin, own)
    try:
        chat = site.conversation("どのモデル", "これです")
        page = open_page(f"/?chat={chat}")
        models = page.get_by_role("combobox", name="モデル")
        expect(models.locator("option")).to_have_count(3)
        models.select_option("kajogaki")
        expect(page.locator(".note")).to_contain_text("同梱")
        models.select_option("my-model")
        expect(page.locator(".note")).to_be_empty()
        models.select_option("standin")
        expect(page.locator(".note")).to_contain_text("代役")
        assert site.storage.conversation(OWNER, chat).model_id == "standin"
        page.reload()
        expect(models).to_have_value("standin")
    finally:
        own.unlink()
        site.storage.set_setting(OWNER, "model_id", "")


@pytest.mark.thorough
def test_a_conversation_stays_with_its_model_when_another_is_loaded(
    open_page: OpenPage, site: Site
) -> None:
    chat = site.conversation(max_tokens=4)
    page = open_page(f"/?chat={chat}")
    models = page.get_by_role("combobox", name="モデル")
    first = models.input_value()
    send(page, "どのモデル")
    wait_for_answer(page)
    other = "kajogaki" if first == "standin" else "standin"
    made = site.storage.create_conversation(OWNER, model_id=other, sampling={"max_tokens": 4})
    page.goto(f"{site.url}/?chat={made.id}")
    expect(models).to_have_value(other)
    send(page, "こちらは")
    wait_for_answer(page)
    page.goto(f"{site.url}/?chat={chat}")
    expect(models).to_have_value(first)
    send(page, "いまは")
    until(lambda: len(site.path(chat)) == 4 and site.path(chat)[-1].status is Status.COMPLETE)
    assert site.path(chat)[-1].model_id == first


@pytest.mark.thorough
def test_a_missing_model_is_named_and_another_can_be_chosen(
    open_page: OpenPage, site: Site
) -> None:
    lost = site.storage.create_conversation(
        OWNER, model_id="lost-0.5b-q4_k_m", sampling={"max_tokens": 4}
    )
    page = open_page(f"/?chat={lost.id}")
    models, told = page.get_by_role("combobox", name="モデル"), page.locator(".note")
    shown = models.locator("option:checked")
    expect(shown).to_have_text("（見つかりません）lost-0.5b Q4_K_M")
    expect(shown).to_be_disabled()
    expect(told).to_contain_text("別のモデルを選ぶと")
    send(page, "答えられますか")
    notice = page.locator(".turn .notice span")
    expect(notice).to_have_text(re.compile("「lost-0.5b Q4_K_M」が見つかりません"))
    assert told.inner_text().strip() not in notice.inner_text()
    models.select_option("standin")
    expect(models.locator("option", has_text="見つかりません")).to_have_count(0)
    send(page, "これなら？")
    answer = wait_for_answer(page)
    expect(answer.locator(".written-by")).to_have_text("Kajogaki stand-in")
    site.storage.set_setting(OWNER, "model_id", "")


@pytest.mark.thorough
def test_settings_belong_to_the_conversation(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("設定", "はい")
    page = open_page(f"/?chat={chat}")
    page.get_by_role("button", name="生成の設定").click()
    page.locator("#system-prompt textarea").fill("簡潔に答えてください。")
    page.locator("#knob-temperature input[type=number]").fill("0.3")
    page.locator("#knob-temperature input[type=number]").press("Tab")
    until(lambda: site.storage.conversation(OWNER, chat).sampling)
    stored = site.storage.conversation(OWNER, chat)
    assert stored.system_prompt == "簡潔に答えてください。"
    assert stored.sampling == {"temperature": 0.3}
    page.locator("#preset-name :is(input, textarea)").fill("私の設定")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#preset input")).to_have_value("私の設定")
    until(lambda: "私の設定" in site.storage.presets(OWNER))
    other = open_page(f"/?chat={site.conversation('別の会話')}")
    expect(other.locator("#system-prompt textarea")).to_be_visible()  # the panel stays open
    expect(other.locator("#system-prompt textarea")).to_have_value("")
    other.locator("#preset input").click()
    other.get_by_role("option", name="私の設定").click()
    expect(other.locator("#system-prompt textarea")).to_have_value("簡潔に答えてください。")
    expect(other.locator("#knob-temperature input[type=number]")).to_have_value("0.3")
    other.locator("#preset-delete").click()
    until(lambda: site.storage.presets(OWNER) == {})


@pytest.mark.thorough
def test_settings_made_before_the_first_message_count(page: Page, site: Site) -> None:
    page.get_by_role("button", name="生成の設定").click()
    page.locator("#knob-max_tokens input[type=number]").fill("32")
    page.locator("#knob-max_tokens input[type=number]").press("Tab")
    send(page, "短く")
    wait_for_answer(page)
    assert site.storage.conversation(OWNER, conversation_of(page)).sampling == {"max_tokens": 32}


@pytest.mark.thorough
def test_how_to_answer_is_set_before_the_first_message(open_page: OpenPage, site: Site) -> None:
    site.storage.set_setting(OWNER, "family:standin", "gpt-oss")
    try:
        page = open_page()
        page.get_by_role("button", name="生成の設定").click()
        page.get_by_role("combobox", name="考える量").select_option("high")
        page.get_by_role("combobox", name="考えてから答える").select_option("off")
        page.locator("#system-prompt textarea").fill("短く。")
        page.get_by_role("button", name="プロンプトを見る").click()
        prompt = page.locator("#inspector .prompt-text")
        expect(prompt).to_contain_text("Reasoning: high")
        expect(prompt).to_contain_text("短く。")
        expect(prompt).to_contain_text("<|channel|>final<|message|>")  # not thinking
        send(page, "はい")
        wait_for_answer(page)
        made = site.storage.conversation(OWNER, conversation_of(page))
        assert made.sampling["variables"] == {"reasoning_effort": "high"}
        assert made.sampling["thinking"] is False and made.system_prompt == "短く。"
    finally:
        site.storage.set_setting(OWNER, "family:standin", "")


@pytest.mark.thorough
def test_the_panel_shows_what_the_makers_recommend(open_page: OpenPage, site: Site) -> None:
    """It showed the engine's defaults, and setting one of those changed nothing."""
    chat = site.conversation("設定", "はい")
    page = open_page(f"/?chat={chat}")
    page.get_by_role("button", name="生成の設定").click()
    temperature = page.locator("#knob-temperature input[type=number]")
    expect(temperature).to_have_value("0.7")
    page.get_by_role("button", name="プロンプトを見る").click()
    try:
        page.get_by_role("combobox", name="形式").select_option("gemma3")
        expect(page.locator("#inspector .prompt-text")).to_contain_text("<start_of_turn>")
        page.get_by_role("button", name="生成の設定").click()
        expect(temperature).to_have_value("1")
        temperature.fill("0.7")
        temperature.press("Tab")
        until(lambda: site.storage.conversation(OWNER, chat).sampling == {"temperature": 0.7})
        page.reload()
        expect(temperature).to_have_value("0.7")
    finally:
        site.storage.set_setting(OWNER, "family:standin", "")


@pytest.mark.thorough
def test_what_goes_wrong_is_told_in_one_sentence(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    page.get_by_role("button", name="生成の設定").click()
    page.locator("#preset-save").click()
    expect(page.get_by_role("alert")).to_contain_text("プリセットの名前を")


def test_dark_light_and_system_colours(open_page: OpenPage) -> None:
    page = open_page("/", color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(22, 23, 27)"
    page.get_by_role("button", name="表示", exact=True).click()
    page.get_by_role("menuitemradio", name="明るい").click()
    assert page.evaluate(background) == "rgb(251, 250, 247)"
    page.reload()
    page.locator("#composer textarea").wait_for()
    assert page.evaluate(background) == "rgb(251, 250, 247)"
    assert "dark" not in (page.locator("body").get_attribute("class") or "")


@pytest.mark.thorough
def test_english_is_remembered(page: Page) -> None:
    page.get_by_role("button", name="表示", exact=True).click()
    page.get_by_role("menuitemradio", name="English").click()
    expect(page.get_by_role("link", name="New chat")).to_be_visible()
    page.reload()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    page.get_by_role("button", name="Generation settings").click()
    expect(page.locator("#knob-temperature")).to_contain_text("Temperature")
    assert page.evaluate("document.documentElement.lang") == "en"


def paste(page: Page, box: Locator, text: str) -> None:
    """From the clipboard, as Ctrl+V does, which no key press tells of."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    box.click()
    page.keyboard.press("Control+V")


def compose(page: Page, box: Locator, text: str) -> None:
    box.click()
    method = page.context.new_cdp_session(page)
    whole = {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}
    method.send("Input.imeSetComposition", whole)
    method.send("Input.insertText", {"text": text})


@pytest.mark.parametrize("enter", [compose, pytest.param(paste, marks=pytest.mark.thorough)])
def test_a_system_prompt_is_kept_however_it_was_entered(
    open_page: OpenPage, site: Site, enter: Callable[[Page, Locator, str], None]
) -> None:
    """What an input method or the clipboard brought was used by no answer, and lost."""
    chat = site.conversation("設定", "はい")

    def kept() -> str:
        return site.storage.conversation(OWNER, chat).system_prompt

    page = open_page(f"/?chat={chat}")
    page.get_by_role("button", name="生成の設定").click()
    box = page.locator("#system-prompt textarea")
    enter(page, box, "敬語で答えてください。")
    expect(page.locator("#panel").get_by_role("status")).to_have_text("保存しました")
    assert kept() == "敬語で答えてください。"
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    until(lambda: kept() == "")
    enter(page, box, "短く。")
    page.locator("#composer textarea").click()
    until(lambda: kept() == "短く。")
    page.reload()
    expect(box).to_have_value("短く。")


@pytest.mark.thorough
def test_a_pasted_value_is_kept(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("設定", "はい")
    page = open_page(f"/?chat={chat}")
    page.get_by_role("button", name="生成の設定").click()
    for name, value in (("#knob-temperature input[type=number]", "0.3"), ("#knob-seed input", "7")):
        box = page.locator(name)
        box.fill("")
        paste(page, box, value)
    until(
        lambda: site.storage.conversation(OWNER, chat).sampling == {"temperature": 0.3, "seed": 7}
    )


@pytest.mark.thorough
def test_what_was_just_typed_goes_to_the_conversation_it_was_typed_in(
    open_page: OpenPage, site: Site
) -> None:
    chat = site.conversation("設定", "はい", title="はじめの会話")
    other = site.conversation("別", "はい", title="別の会話")
    page = open_page(f"/?chat={chat}")
    page.get_by_role("button", name="生成の設定").click()
    compose(page, page.locator("#system-prompt textarea"), "敬語で。")
    page.get_by_role("link", name="別の会話").click()
    until(lambda: site.storage.conversation(OWNER, chat).system_prompt == "敬語で。")
    expect(page.locator("#system-prompt textarea")).to_have_value("")
    assert site.storage.conversation(OWNER, other).system_prompt == ""
