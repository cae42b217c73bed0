"""An answer goes on without its page, and every page that comes shows it growing."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.site import ENDLESS, Site, standing_still
from tests.ui.actions import composer, send, until, wait_for_answer
from tests.ui.conftest import OpenPage
from webui.storage import Status

pytestmark = pytest.mark.browser
LONG: dict[str, Any] = {"ignore_eos": True, "max_tokens": 3000, "seed": 1}


def growing(page: Page) -> Locator:
    return page.locator(".turn.live .answer .block").first


def length_of(page: Page) -> int:
    return len(page.locator(".turn.live .answer").inner_text())


def test_a_reload_in_the_middle_shows_it_growing_and_finishing(
    open_page: OpenPage, site: Site
) -> None:
    """The fault: a reload killed the answer, for the tabs that watched it, too."""
    chat = site.conversation(**LONG)
    page = open_page(f"/?chat={chat}")
    send(page, "長く書いて")
    expect(growing(page)).to_be_visible()
    with standing_still(site.process):
        page.reload()
        expect(growing(page)).to_be_visible()
        before = length_of(page)
    page.wait_for_function(
        "n => (document.querySelector('.turn.live .answer')?.innerText.length ?? 9e9) > n",
        arg=before,
    )
    wait_for_answer(page)
    answer = site.path(chat)[-1]
    assert (answer.status, answer.stats["completion_tokens"]) == (Status.COMPLETE, 3000)
    assert answer.num_versions == 1  # nothing was begun anew


@pytest.mark.thorough
def test_a_closed_page_does_not_stop_it(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation(**LONG)
    page = open_page(f"/?chat={chat}")
    send(page, "長く書いて")
    expect(growing(page)).to_be_visible()
    page.close()
    until(lambda: site.path(chat)[-1].status is Status.COMPLETE)
    assert site.path(chat)[-1].stats["completion_tokens"] == 3000


@pytest.mark.thorough
def test_after_a_reload_stop_stops_it(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation(**ENDLESS)
    page = open_page(f"/?chat={chat}")
    send(page, "続けて")
    expect(growing(page)).to_be_visible()
    with standing_still(site.process):
        page.reload()
        expect(growing(page)).to_be_visible()
        page.get_by_role("button", name="停止").click()
    expect(page.locator(".turn.assistant .notice")).to_contain_text("途中で止まった")
    expect(page.get_by_role("button", name="送信")).to_be_visible()
    send(page, "次の質問")  # the conversation is free again
    expect(growing(page)).to_be_visible()
    page.get_by_role("button", name="停止").click()
    until(lambda: site.path(chat)[-1].status is Status.PARTIAL)


@pytest.mark.thorough
def test_a_tab_that_is_open_already_joins_and_the_list_shows_where(
    open_page: OpenPage, site: Site
) -> None:
    chat, other = site.conversation(**LONG, title="本を読む"), site.conversation(title="海へ行く")
    page, second = open_page(f"/?chat={chat}"), open_page(f"/?chat={chat}")
    elsewhere = open_page(f"/?chat={other}")
    send(page, "長く書いて")
    expect(growing(page)).to_be_visible()
    row = elsewhere.locator(f".conv[data-id='{chat}'] .conv-sign")
    with standing_still(site.process):  # both look now and then
        expect(growing(second)).to_be_visible()
        expect(row).to_have_class(re.compile("answering_now"))
    wait_for_answer(second)
    expect(row).to_have_class(re.compile("answered_unseen"))
    elsewhere.locator(f".conv[data-id='{chat}'] .conv-open").click()
    expect(row).to_have_count(0)


@pytest.mark.thorough
def test_stopped_before_the_first_character_says_so_and_offers_another(
    open_page: OpenPage, site: Site
) -> None:
    chat = site.conversation(**ENDLESS)
    page = open_page(f"/?chat={chat}")
    with standing_still(site.process):
        send(page, "続けて")
        expect(page.locator(".turn.live .status")).to_be_visible()
        page.get_by_role("button", name="停止").click()
        notice = page.locator(".turn.assistant .notice")
        expect(notice).to_contain_text("回答は始まっていません")
    expect(page.locator(".turn.assistant [data-tool=copy]")).to_have_count(0)
    notice.get_by_role("button", name="もう一度生成").click()
    expect(growing(page)).to_be_visible()
    page.get_by_role("button", name="停止").click()
    until(lambda: site.path(chat)[-1].status is not Status.WRITING)


@pytest.mark.thorough
def test_the_activity_shows_jobs_and_stops_them(
    open_page: OpenPage, site: Site, tmp_path: Path
) -> None:
    chat = site.conversation(**ENDLESS, title="とても長い話")
    page = open_page(f"/?chat={chat}")
    send(page, "続けて")
    expect(growing(page)).to_be_visible()
    with standing_still(site.process):
        page.get_by_role("link", name="新しいチャット").click()
        page.locator("#header .activity").click()
        job = page.locator(".activity-job", has_text="とても長い話")
        expect(job).to_contain_text("経過")
        page.screenshot(path=tmp_path / "activity.png")
        job.get_by_role("button", name="止める").click()
    expect(job).to_have_count(0)
    until(lambda: site.path(chat)[-1].status is Status.PARTIAL)
    assert composer(page).is_visible()
