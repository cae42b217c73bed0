"""要約 goes on without the page and always ends: reloads, second tabs, busy cores."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.site import OWNER, Site, standing_still
from tests.tasks.summary_world import document
from tests.ui.conftest import OpenPage
from tests.ui.summary.test_summarize_tab import choose, confirm_if_asked, open_summary, start
from webui.tasks.summarize.summarizer import RATES_SETTING

pytestmark = pytest.mark.browser
LONG = document(40)


@contextmanager
def busy_cores() -> Iterator[None]:
    """As many programs as there are cores, each taking one as a normal program may."""
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 2)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@contextmanager
def slow_by_estimate(site: Site) -> Iterator[None]:
    """The plan of any text says that it takes more than a minute."""
    name = f"{RATES_SETTING}standin"
    before = site.storage.setting(OWNER, name)
    site.storage.set_setting(OWNER, name, json.dumps({"prefill": 1, "decode": 1, "factor": 1}))
    try:
        yield
    finally:
        site.storage.set_setting(OWNER, name, before)


def run_text(page: Page) -> str:
    return page.locator("#summary-view .run-text").inner_text()


def begin(page: Page, text: str = LONG) -> None:
    """A summary whose first part is being written."""
    open_summary(page)
    page.locator("#summary-view textarea").fill(text)
    choose(page, mode="abstract", num_bullets="5", granularity="terse")
    start(page)
    confirm_if_asked(page)
    page.locator("#summary-view .live").first.wait_for()


def test_a_reload_in_the_middle_shows_it_going_on_and_finishing(page: Page, site: Site) -> None:
    begin(page)
    running = page.locator("#summary-view .run-text")
    with standing_still(site.process):
        page.reload()
        expect(running).to_contain_text("処理中")
        expect(page.locator("#summary-view .live").first).to_be_visible()
        expect(page.locator("#summary-view textarea")).to_have_value(LONG)  # the draft
        expect(page.locator("#summary-view .plan")).to_contain_text("文字")
    expect(page.locator("#summary-view .bullet")).to_have_count(5)
    page.reload()  # what was shown is shown again
    expect(page.locator("#summary-view .bullet")).to_have_count(5)


@pytest.mark.thorough
def test_times_go_on_by_the_clock_while_the_model_says_nothing(page: Page, site: Site) -> None:
    """The fault: a poll that was only armed when a value changed died, and 要約 hung for ever."""
    begin(page)
    with standing_still(site.process):
        page.wait_for_timeout(1500)
        before = run_text(page)
        expect(page.locator("#summary-view .run-text")).not_to_have_text(before)
    expect(page.locator("#summary-view .bullet")).to_have_count(5)


@pytest.mark.thorough
def test_it_ends_while_other_programs_take_all_cores(page: Page) -> None:
    with busy_cores():
        begin(page, document(12))
        expect(page.locator("#summary-view .bullet")).to_have_count(5, timeout=300_000)


@pytest.mark.thorough
def test_a_closed_page_does_not_stop_it_and_the_next_one_shows_how_it_ended(
    page: Page, open_page: OpenPage, site: Site
) -> None:
    begin(page)
    made = site.storage.summaries.newest(OWNER)[0].id
    page.close()
    later = open_page()
    open_summary(later)
    expect(later.locator("#summary-view .bullet")).to_have_count(5)
    assert site.storage.summaries.get(OWNER, made).result


@pytest.mark.thorough
def test_a_second_tab_joins_and_can_stop_it(page: Page, open_page: OpenPage, site: Site) -> None:
    begin(page)
    with standing_still(site.process):
        second = open_page()
        open_summary(second)
        expect(second.locator("#summary-view .run-text")).to_contain_text("処理中")
        second.get_by_role("button", name="止める").click()
    for tab in (page, second):
        expect(tab.locator("#summary-view .run")).to_contain_text("止めました")
        expect(tab.locator("#summary-view .past", has_text="途中まで").first).to_be_visible()


@pytest.mark.thorough
def test_only_long_work_asks_and_the_question_survives_a_reload(page: Page, site: Site) -> None:
    question = page.locator("#summary-view .asking:visible")
    with slow_by_estimate(site):
        open_summary(page)
        page.locator("#summary-view textarea").fill(document(2))
        choose(page, mode="verbatim", num_bullets="2")
        start(page)
        expect(question).to_contain_text("分かかります")
        page.reload()
        expect(question).to_contain_text("分かかります")
        expect(question.locator(".danger")).to_have_count(0)
        question.get_by_role("button", name="やめる").click()
        expect(question).to_be_hidden()
        assert page.locator("#summary-view .bullet").count() == 0
        start(page)
        question.get_by_role("button", name="始める").click()
        expect(page.locator("#summary-view .bullet")).to_have_count(2)
    start(page)  # by its true speed it asks nothing
    expect(page.locator("#summary-view .bullet")).to_have_count(2)
