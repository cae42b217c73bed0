"""A conversation's automatic title: the beginning of its first message."""

import re

MAX_TITLE_CHARS = 30
MAX_LOOKED_AT = 2_000
SENTENCE_END = re.compile(r"(?<=[。！？!?])|\n")


def title_from(text: str) -> str:
    """The first sentence of `text`, at most MAX_TITLE_CHARS characters; "" for empty text."""
    first = next(
        (
            part
            for part in SENTENCE_END.split(text.lstrip()[:MAX_LOOKED_AT])
            if part and part.strip()
        ),
        "",
    )
    line = " ".join(first.split()).strip().lstrip("#>*-・ ").rstrip("。")
    return line if len(line) <= MAX_TITLE_CHARS else line[: MAX_TITLE_CHARS - 1] + "…"
