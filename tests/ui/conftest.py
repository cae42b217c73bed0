"""The browser for the page's tests. Every test also asserts: nothing loaded from outside, no
error in the page."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.site import Site

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
NO_BROWSER = (
    "no Chromium found: the browser tests did not run "
    "(install Debian's chromium, or set KAJOGAKI_CHROMIUM to one)"
)

PATIENCE_MS = 60_000  # the machine may be busy; what is there is seen at once

OpenPage = Callable[..., Page]


def chromium() -> str | None:
    """Path of the browser, None where there is none."""
    chosen = os.environ.get("KAJOGAKI_CHROMIUM")
    return chosen or next((path for name in NAMES if (path := shutil.which(name))), None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if chromium() is None:
        terminalreporter.write_line(NO_BROWSER, yellow=True)


# Not for the session: while Playwright runs, asyncio.run() fails in this thread.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def desktop(browser: Browser) -> Iterator[BrowserContext]:
    """One context for most tests, so that Gradio's files are loaded and compiled once."""
    context = browser.new_context(viewport=DESKTOP, locale="en-US")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def open_page(browser: Browser, desktop: BrowserContext, site: Site) -> Iterator[OpenPage]:
    """open_page(path, **options of a browser context) → a page that is ready."""
    outside: list[str] = []
    errors: list[str] = []
    contexts: list[BrowserContext] = []

    def watch(page: Page) -> None:
        page.on("request", lambda request: _note_outside(request.url, site.url, outside))
        page.on("pageerror", lambda error: errors.append(str(error)))

    def open_page(path: str = "/", **options: Any) -> Page:
        context = desktop
        if options:
            context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-US", **options})
            context.set_default_timeout(PATIENCE_MS)
            context.on("page", watch)
            contexts.append(context)
        page = context.new_page()
        page.goto(site.url + path)
        page.locator("#composer textarea").wait_for()
        page.locator("#conversations :is(.conv, .conv-empty)").first.wait_for(state="attached")
        return page

    desktop.on("page", watch)
    yield open_page
    desktop.remove_listener("page", watch)
    _forget(desktop, site.url)
    for context in contexts:
        context.close()
    assert not outside, f"the page asked for {outside}"
    assert not errors


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A new conversation on a desktop, in Japanese."""
    return open_page()


def _forget(context: BrowserContext, url: str) -> None:
    """What a test leaves behind, except the cache."""
    for page in context.pages:
        page.close()
    page = context.new_page()
    page.goto(url + "/login")  # data runs no script
    page.evaluate("localStorage.clear()")
    page.close()
    context.clear_cookies()
    context.clear_permissions()


def _note_outside(url: str, own: str, outside: list[str]) -> None:
    if not url.startswith((own, "data:", "blob:")):
        outside.append(url)
