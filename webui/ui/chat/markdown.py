"""Markdown of a model's answer → inert HTML, block by block, so that a stream only redraws its end.

Nothing here passes markup of the source through: raw HTML is escaped, images become links (an
image would let an answer send data out), links keep only http, https and mailto.
"""

import html
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from webui.ui.chat.markdown_rules import DISPLAY_MATH, formulas, japanese_emphasis

SAFE_LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
MAX_HIGHLIGHTED_CHARS = 20_000
MAX_NESTING = 20


class StreamingMarkdown:
    """The blocks of a text that only grows; those that can no longer change are drawn once."""

    def __init__(self) -> None:
        self._finished: list[str] = []
        self._offset = 0  # where the first block begins that may still change

    def blocks(self, text: str) -> list[str]:
        """HTML of each top-level block of `text`, which must continue the text given before."""
        tail = _with_line_feeds(text)[self._offset :]
        drawn = _blocks(tail)
        # The last line may still become anything: "-" a list, "-x" a line of the paragraph above.
        num_whole_lines = tail.count("\n")
        # And a formula that is still open may take all blocks behind it into itself.
        limit = min(num_whole_lines, _open_formula(tail.split("\n")) + 1)
        last = max((i for i, (line, _) in enumerate(drawn) if line < limit), default=0)
        blocks = [*self._finished, *(markup for _, markup in drawn)]
        self._finished += [markup for _, markup in drawn[:last]]
        if last:
            self._offset += _line_offset(tail, drawn[last][0])
        return blocks


def to_blocks(text: str) -> list[str]:
    """HTML of each top-level block of `text`."""
    return [markup for _, markup in _blocks(_with_line_feeds(text))]


def _blocks(text: str) -> list[tuple[int, str]]:
    """First line and HTML of every top-level block."""
    tokens = _parser().parse(text)
    groups: list[list[Token]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0:
            groups.append([])
        groups[-1].append(token)
    renderer, options = _parser().renderer, _parser().options
    return [
        (group[0].map[0] if group[0].map else 0, renderer.render(group, options, {}))
        for group in groups
    ]


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _open_formula(lines: list[str]) -> int:
    """Where the lines begin that a displayed formula, still open, may change; else len(lines).

    It may also turn out to be none, and then goes on with the paragraph right above it.
    """
    for start, line in enumerate(lines):
        closing = DISPLAY_MATH.get(line.lstrip()[:2])
        if closing and not _is_settled(lines[start:-1], closing):
            while start and lines[start - 1].strip():
                start -= 1
            return start
    return len(lines)


def _is_settled(whole_lines: list[str], closing: str) -> bool:
    """Whether what follows `whole_lines` cannot change any more if a formula begins them."""
    if not whole_lines:
        return False
    first, *later = whole_lines
    ends = closing in first.lstrip()[2:] or any(closing in line for line in later)
    return ends or any(not line.strip() for line in later)


def _line_offset(text: str, line: int) -> int:
    offset = 0
    for _ in range(line):
        offset = text.index("\n", offset) + 1
    return offset


@cache
def _parser() -> MarkdownIt:
    # References are off: a definition could change blocks that were drawn long before.
    md = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING})
    md.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])
    japanese_emphasis(md)
    formulas(md)
    md.validateLink = _is_safe_link  # type: ignore[method-assign]
    for kind, rule in _RENDER_RULES.items():
        md.add_render_rule(kind, rule)
    return md


def _is_safe_link(url: str) -> bool:
    return SAFE_LINK.match(url.strip()) is not None


def _link_open(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    if not token.attrGet("href"):  # [text]() is no link
        return "<a>"
    token.attrSet("target", "_blank")
    token.attrSet("rel", "noopener noreferrer nofollow")
    return str(renderer.renderToken(tokens, index, options, env))


def _image(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    url = html.escape(str(token.attrGet("src")))
    alt = html.escape(renderer.renderInlineAsText(token.children or [], options, env)) or url
    if not url:
        return alt
    return f'<a class="image-link" href="{url}" target="_blank" rel="noopener noreferrer">{alt}</a>'


def _code(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    language = (token.info.split() or [""])[0]
    name = f"<span>{html.escape(language)}</span>" if language else "<span></span>"
    code = _highlighted(token.content, language)
    return (
        f'<figure class="code"><figcaption>{name}<button type="button" data-copy-code></button>'
        f'</figcaption><pre tabindex="0"><code>{code}</code></pre></figure>'
    )


def _table_open(*_: Any) -> str:
    return '<div class="table" tabindex="0"><table>'


def _table_close(*_: Any) -> str:
    return "</table></div>"


def _highlighted(code: str, language: str) -> str:
    if not language or len(code) > MAX_HIGHLIGHTED_CHARS:
        return html.escape(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return html.escape(code)
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))


_RENDER_RULES = {
    "link_open": _link_open,
    "image": _image,
    "fence": _code,
    "code_block": _code,
    "table_open": _table_open,
    "table_close": _table_close,
}
