"""Pieces of Markdown that stay what they are, whatever text is put into them. Pure."""

import re

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$!&])")
_LINE_END = re.compile(r"\r\n?|\n")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def escaped(label: str) -> str:
    """A label on one line that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(label.split()))


def quoted(passage: str) -> str:
    """A block quote; nothing in the passage can end it."""
    lines = _LINE_END.split(closed(passage))
    return "\n".join(f"> {line}" if line else ">" for line in lines)


def closed(passage: str) -> str:
    """The passage with its last code block closed, so that it cannot swallow what follows.

    Half-written answers often end inside one.
    """
    fence = ""
    for line in _LINE_END.split(passage):
        match = _FENCE.match(line)
        if match is None:
            continue
        marks, rest = match.groups()
        if not fence:
            is_opening = marks[0] == "~" or "`" not in rest
            fence = marks if is_opening else ""
        elif marks.startswith(fence) and not rest.strip():
            fence = ""
    return f"{passage.rstrip()}\n{fence}" if fence else passage.strip("\n")
