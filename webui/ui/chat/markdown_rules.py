"""Two rules that CommonMark lacks: emphasis beside Japanese, and TeX formulas.

Plugins for markdown-it-py; know nothing about messages or pages.
"""

import html
import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

CJK = re.compile(
    r"[\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]"
)
DISPLAY_MATH = {"$$": "$$", "\\[": "\\]"}
INLINE_MATH = {"$$": "$$", "$": "$", "\\(": "\\)", "\\[": "\\]"}
MAX_MATH_CHARS = 10_000
MAX_MATH_LINES = 100  # a formula that goes on for longer is none


def japanese_emphasis(md: MarkdownIt) -> None:
    """Let `**「重要」**は` be bold: CommonMark wants a space there, Japanese has none.

    The amendment is that of https://github.com/tats-u/markdown-cjk-friendly.
    """
    md.inline.ruler.at("emphasis", _emphasis)


def formulas(md: MarkdownIt) -> None:
    """`$…$`, `$$…$$`, `\\(…\\)` and `\\[…\\]` become math tokens with the TeX as content."""
    md.inline.ruler.before("escape", "inline_math", _inline_math)
    md.block.ruler.before(
        "fence", "display_math", _display_math, {"alt": ["paragraph", "blockquote", "list"]}
    )
    md.add_render_rule("math", _render_math)


def _emphasis(state: StateInline, silent: bool) -> bool:
    """markdown-it's own rule, with open and close also allowed next to a CJK character."""
    start, marker = state.pos, state.src[state.pos]
    if silent or marker not in "_*":
        return False
    scanned = state.scanDelims(start, marker == "*")
    end = start + scanned.length
    before = state.src[start - 1] if start else " "
    after = state.src[end] if end < state.posMax else " "
    beside_cjk = marker == "*"
    can_open = scanned.can_open or (beside_cjk and _is_cjk(before) and not after.isspace())
    can_close = scanned.can_close or (beside_cjk and _is_cjk(after) and not before.isspace())
    for _ in range(scanned.length):
        state.push("text", "", 0).content = marker
        state.delimiters.append(
            Delimiter(
                marker=ord(marker),
                length=scanned.length,
                token=len(state.tokens) - 1,
                end=-1,
                open=can_open,
                close=can_close,
            )
        )
    state.pos = end
    return True


def _is_cjk(character: str) -> bool:
    return CJK.match(character) is not None


def _inline_math(state: StateInline, silent: bool) -> bool:
    opening = next((mark for mark in INLINE_MATH if state.src.startswith(mark, state.pos)), "")
    if not opening:
        return False
    closing, start = INLINE_MATH[opening], state.pos + len(opening)
    end = state.src.find(closing, start, min(state.posMax, start + MAX_MATH_CHARS))
    tex = state.src[start:end]
    if (
        end < 0
        or not tex.strip()
        or (opening == "$" and not _is_formula(tex, state.src[end + 1 : end + 2]))
    ):
        return False
    if not silent:
        token = state.push("math", "span", 0)
        token.content, token.meta = tex.strip(), {"display": opening in DISPLAY_MATH}
    state.pos = end + len(closing)
    return True


def _is_formula(tex: str, after: str) -> bool:
    """Whether `$tex$` is meant as a formula rather than as two prices."""
    return not (tex[0].isspace() or tex[-1].isspace() or "\n" in tex or after.isdigit())


def _display_math(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    first = state.bMarks[start_line] + state.tShift[start_line]
    opening = state.src[first : first + 2]
    if opening not in DISPLAY_MATH or state.is_code_block(start_line):
        return False
    closing = DISPLAY_MATH[opening]
    last_line = _closing_line(state, start_line, end_line, closing)
    if last_line is None:
        return False
    if not silent:
        lines = state.getLines(start_line, last_line + 1, state.blkIndent, False).strip()
        token = state.push("math", "div", 0)
        token.content = lines.removeprefix(opening).removesuffix(closing).strip()
        token.meta, token.map, token.block = {"display": True}, [start_line, last_line + 1], True
        state.line = last_line + 1
    return True


def _closing_line(state: StateBlock, start_line: int, end_line: int, closing: str) -> int | None:
    """The line that ends with `closing`, before a blank line; None when there is none."""
    for line in range(start_line, min(end_line, start_line + MAX_MATH_LINES)):
        begin = state.bMarks[line] + state.tShift[line] + (2 if line == start_line else 0)
        content = state.src[begin : state.eMarks[line]].rstrip()
        if content.endswith(closing):
            return line
        if not content and line > start_line:
            return None
        if closing in content:
            return None
    return None


def _render_math(
    _renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any
) -> str:
    token = tokens[index]
    kind = "math math-display" if token.meta["display"] else "math"
    return f'<{token.tag} class="{kind}">{html.escape(token.content)}</{token.tag}>'
