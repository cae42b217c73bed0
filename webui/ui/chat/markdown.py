"""Markdown of a model's answer → inert HTML, block by block, so that a stream only redraws its end.

Nothing here passes markup of the source through: raw HTML is escaped, images become links (an
image would let an answer send data out), links keep only http, https and mailto.

A text may come from a stranger's file and have ten million characters. So the work is bounded: only
the first MAX_DRAWN_CHARS are Markdown, what follows is shown as it is, and the highlighting of one
text has a budget. Even so it may take a second: call it in a thread.
"""

import html
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import format
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from webui.ui.chat.markdown_rules import (
    DISPLAY_MATH,
    MAX_MATH_LINES,
    formulas,
    japanese_emphasis,
)

SAFE_LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
MAX_DRAWN_CHARS = 60_000  # at most about 0.7 s on one core, whatever they are
MAX_BLOCKS = 2_000  # each is an element that the browser keeps; more come together in the last
MAX_NESTING = 20
# Lexers are grammars of regular expressions, some of them quadratic in blank lines or quotes: in
# 8,000 characters of these none holds a single match for long, and the budget ends the many.
MAX_HIGHLIGHTED_CHARS = 8_000
HIGHLIGHT_S = 0.3  # of processor time, for all code of one text
HIGHLIGHTED = frozenset(
    "bash c c# c++ cc cmake cpp cs csharp css cxx dart diff docker dockerfile go golang h haskell "
    "hpp hs html java javascript jl js json jsx julia kotlin kt latex less lua md markdown nginx "
    "nix patch perl php pl powershell ps1 py python python3 r rb rs ruby rust scala scss sh shell "
    "sql svg swift tex toml ts tsx typescript vim xml yaml yml zsh".split()
)

_SPENT = "highlight_s"
_Piece = tuple[Any, str]  # of a lexer: what it is, its text


class StreamingMarkdown:
    """The blocks of a text that only grows; those that can no longer change are drawn once."""

    def __init__(self) -> None:
        self._finished: list[str] = []
        self._offset = 0  # where the first block begins that may still change

    def blocks(self, text: str) -> list[str]:
        """HTML of each top-level block of `text`, which must continue the text given before."""
        formatted, plain = _parted(_with_line_feeds(text))
        if self._offset > len(formatted):  # more was drawn while the text was short enough
            plain = _with_line_feeds(text)[self._offset :]
        tail = formatted[self._offset :]
        drawn = _blocks(tail)
        # The last line may still become anything: "-" a list, "-x" a line of the paragraph above.
        num_whole_lines = tail.count("\n")
        # And a formula that is still open may take all blocks behind it into itself.
        limit = min(num_whole_lines, _open_formula(tail.split("\n")) + 1)
        last = max((i for i, (line, _) in enumerate(drawn) if line < limit), default=0)
        blocks = [*self._finished, *(markup for _, markup in drawn), *_plain(plain)]
        self._finished += [markup for _, markup in drawn[:last]]
        if last:
            self._offset += _line_offset(tail, drawn[last][0])
        return _few(blocks)


def to_blocks(text: str) -> list[str]:
    """HTML of each top-level block of `text`."""
    formatted, plain = _parted(_with_line_feeds(text))
    return _few([*(markup for _, markup in _blocks(formatted)), *_plain(plain)])


def plain_blocks(text: str) -> list[str]:
    """`text` as it is, where there is no time to format it."""
    return _plain(_with_line_feeds(text))


def _blocks(text: str) -> list[tuple[int, str]]:
    """First line and HTML of every top-level block."""
    tokens = _parser().parse(text)
    groups: list[list[Token]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0:
            groups.append([])
        groups[-1].append(token)
    renderer, options = _parser().renderer, _parser().options
    env: dict[str, float] = {}  # what the code of this text has cost
    return [
        (group[0].map[0] if group[0].map else 0, renderer.render(group, options, env))
        for group in groups
    ]


def _parted(text: str) -> tuple[str, str]:
    """What is drawn as Markdown, and the rest: from the last paragraph that begins in time."""
    if len(text) <= MAX_DRAWN_CHARS:
        return text, ""
    end = text.rfind("\n\n", 0, MAX_DRAWN_CHARS)
    end = end if end > MAX_DRAWN_CHARS // 2 else text.rfind("\n", 0, MAX_DRAWN_CHARS)
    end = end + 1 if end > MAX_DRAWN_CHARS // 2 else MAX_DRAWN_CHARS
    return text[:end], text[end:]


def _plain(text: str) -> list[str]:
    return [f'<p class="plain">{html.escape(text)}</p>'] if text.strip() else []


def _few(blocks: list[str]) -> list[str]:
    first, rest = blocks[:MAX_BLOCKS], blocks[MAX_BLOCKS:]
    return [*first, "".join(rest)] if rest else first


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _open_formula(lines: list[str]) -> int:
    """Where the lines begin that a displayed formula, still open, may change; else len(lines).

    It may also turn out to be none, and then goes on with the paragraph right above it.
    """
    for start, line in enumerate(lines):
        closing = DISPLAY_MATH.get(line.lstrip()[:2])
        last = min(start + MAX_MATH_LINES, len(lines) - 1)
        if closing and not _is_settled(lines[start:last], closing):
            while start and lines[start - 1].strip():
                start -= 1
            return start
    return len(lines)


def _is_settled(whole_lines: list[str], closing: str) -> bool:
    """Whether what follows `whole_lines` cannot change any more if a formula begins them."""
    if not whole_lines:
        return False
    if len(whole_lines) == MAX_MATH_LINES:  # too long for one
        return True
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


def _code(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    token = tokens[index]
    language = (token.info.split() or [""])[0]
    name = f"<span>{html.escape(language)}</span>" if language else "<span></span>"
    code = _highlighted(token.content, language, env)
    return (
        f'<figure class="code"><figcaption>{name}<button type="button" data-copy-code></button>'
        f'</figcaption><pre tabindex="0"><code>{code}</code></pre></figure>'
    )


def _table_open(*_: Any) -> str:
    return '<div class="table" tabindex="0"><table>'


def _table_close(*_: Any) -> str:
    return "</table></div>"


def _highlighted(code: str, language: str, env: dict[str, float]) -> str:
    """The code in colours where its language is known, it is short, and there is time left."""
    spent = env.get(_SPENT, 0.0)
    is_known = language.lower() in HIGHLIGHTED and len(code) <= MAX_HIGHLIGHTED_CHARS
    if not is_known or spent >= HIGHLIGHT_S:
        return html.escape(code)
    began = time.thread_time()
    try:
        tokens = get_lexer_by_name(language, stripnl=False).get_tokens(code)
        within = _within(tokens, began + HIGHLIGHT_S - spent)
        return str(format(within, HtmlFormatter(nowrap=True)))
    except (_TooSlowError, ClassNotFound):
        return html.escape(code)
    finally:
        env[_SPENT] = spent + time.thread_time() - began


def _within(tokens: Iterable[_Piece], deadline: float) -> Iterator[_Piece]:
    """Raises _TooSlowError when this thread's processor time is past the deadline."""
    for token in tokens:
        if time.thread_time() > deadline:
            raise _TooSlowError
        yield token


class _TooSlowError(Exception):
    pass


_RENDER_RULES = {
    "link_open": _link_open,
    "image": _image,
    "fence": _code,
    "code_block": _code,
    "table_open": _table_open,
    "table_close": _table_close,
}
