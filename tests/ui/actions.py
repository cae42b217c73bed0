"""What a person does in the chat, for the browser tests."""

import re
import time
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

PATIENCE_S = 60


def composer(page: Page) -> Locator:
    return page.get_by_role("textbox", name="メッセージ", exact=True)


def send(page: Page, text: str) -> None:
    composer(page).fill(text)
    composer(page).press("Enter")


def wait_for_answer(page: Page) -> Locator:
    """The last answer, once it is complete."""
    last = page.locator(".turn.assistant").last
    expect(last.locator(".statistics")).to_be_visible()
    expect(page.get_by_role("button", name="送信")).to_be_visible()
    return last


def conversation_of(page: Page) -> str:
    found = re.search(r"chat=([\w-]+)", page.url)
    assert found
    return found[1]


def until(condition: Callable[[], object]) -> None:
    """Wait for something that the page does not show, such as what the server has stored."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
