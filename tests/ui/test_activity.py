"""The chip in the header: what the models do now. And the way out, where one has logged in."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, expect

from tests.api.servers import Server, serving
from tests.api.test_login import PASSWORD, app
from tests.site import ENDLESS, Site, standing_still
from tests.ui.actions import send, wait_for_answer
from tests.ui.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.thorough]


@pytest.fixture(scope="module")
def guarded(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    made = app("keys", "create", "taro", "--json", data_dir=folder / "data")
    assert json.loads(made.stdout)["key"]
    app("keys", "create", "taro", "--password", data_dir=folder / "data", typed=PASSWORD + "\n")
    with serving(folder, "--login", "on") as server:
        yield server


def test_the_chip_tells_what_the_model_does_and_lists_all(open_page: OpenPage, site: Site) -> None:
    page = open_page(f"/?chat={site.conversation(**ENDLESS)}")
    chip, shown = page.locator("#header .activity"), page.locator(".activity-list")
    send(page, "長く書いて")
    expect(page.locator(".live .answer .block").first).to_be_visible()
    with standing_still(site.process):
        expect(chip).to_contain_text("計算中")
        chip.click()
        expect(shown).to_contain_text("1 件に回答中")
        page.keyboard.press("Escape")
        expect(shown).to_be_hidden()
        page.get_by_role("button", name="停止").click()
    expect(chip).to_contain_text("読み込み済み 1")


def test_a_killed_worker_and_an_absent_server_are_told(open_page: OpenPage, site: Site) -> None:
    page = open_page(f"/?chat={site.conversation(max_tokens=4)}")
    chip = page.locator("#header .activity")
    send(page, "こんにちは")
    wait_for_answer(page)
    expect(chip).to_contain_text("読み込み済み")
    for child in psutil.Process(site.process.pid).children():
        if "webui.engine.worker.worker" in child.cmdline():
            child.kill()
    expect(chip).to_contain_text("モデルが停止しました")
    page.route("**/activity", lambda route: route.abort())
    expect(chip).to_contain_text("サーバーに接続できません")
    expect(chip).to_have_class(re.compile("away"))
    page.unroute("**/activity")
    expect(chip).to_contain_text("モデルが停止しました")
    send(page, "もう一度")
    expect(page.locator(".turn.assistant .statistics")).to_have_count(2)


def test_who_has_logged_in_can_log_out(browser: Browser, guarded: Server) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    try:
        page.goto(guarded.url + "/")
        page.get_by_label("名前").fill("taro")
        page.get_by_label("パスワード").fill(PASSWORD)
        page.get_by_role("button", name="ログイン").click()
        page.locator("#composer textarea").wait_for()
        expect(page.locator("#header .activity")).not_to_be_empty()
        page.locator(".nav-foot").click()
        page.get_by_role("menuitem", name="ログアウト（taro）").click()
        page.wait_for_url("**/login")
        page.goto(guarded.url + "/")
        expect(page).to_have_url(guarded.url + "/login")
    finally:
        context.close()
