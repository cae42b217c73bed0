"""Text as storage needs it: clean, comparable, cut to a snippet. Knows nothing about SQL."""

import json
import re
import unicodedata
from bisect import bisect_right
from typing import Any

from webui.errors import AppError

MAX_TITLE_CHARS = 200
MAX_TEXT_CHARS = 10_000_000

_SNIPPET_CHARS_BEFORE = 20
_SNIPPET_CHARS_AFTER = 80
_PIECE_CHARS = 256

_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


class TextTooLongError(AppError):
    def __init__(self, num_chars: int) -> None:
        super().__init__("storage.text_too_long", num_chars=num_chars, limit=MAX_TEXT_CHARS)


def clean(text: str) -> str:
    """`text` as UTF-8 can hold it: surrogate pairs joined, lone surrogates and NUL as U+FFFD."""
    if len(text) > MAX_TEXT_CHARS:
        raise TextTooLongError(len(text))
    if _NOT_STORABLE.search(text) is None:
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\x00", "\ufffd")


def clean_json(value: Any) -> Any:
    """`value` (what JSON can hold) with every text in it clean."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): clean_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    return value


def to_json(values: dict[str, Any]) -> str:
    """A JSON object for a column, every text in it clean. Raises ValueError on NaN or infinity."""
    return json.dumps(clean_json(values), allow_nan=False)


def clean_title(title: str) -> str:
    """A label: one line, at most MAX_TITLE_CHARS."""
    return " ".join(clean(title).split())[:MAX_TITLE_CHARS].rstrip()


def search_key(text: str) -> bytes:
    """What a search compares: ｶﾅ equals カナ, ＡＢＣ equals abc (NFKC and case folding).

    UTF-8, because its byte sequences match only at character borders and bytes are searched faster.
    """
    return _folded(text).encode()


def snippet(text: str, needle: bytes) -> str:
    """One line of `text` around the first place where its search key contains `needle`."""
    folded_before = search_key(text).partition(needle)[0].decode()
    match = _index_in_original(text, len(folded_before))
    start = max(0, match - _SNIPPET_CHARS_BEFORE)
    end = match + _SNIPPET_CHARS_AFTER
    line = " ".join(text[start:end].split())
    return ("…" if start > 0 else "") + line + ("…" if end < len(text) else "")


def _folded(text: str) -> str:
    # Case folding can undo the normal form (U+0345), hence the second pass.
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def _index_in_original(text: str, folded_index: int) -> int:
    """The index in `text` of the character that became `folded_index` in its folded form.

    Piece by piece, so that a long message is folded once; where a piece border cuts a character
    from its combining mark, the result is off by one, which a snippet forgives.
    """
    start = 0
    while start < len(text):
        num_folded = len(_folded(text[start : start + _PIECE_CHARS]))
        if folded_index < num_folded:
            break
        folded_index -= num_folded
        start += _PIECE_CHARS

    def num_folded_before(end: int) -> int:
        return len(_folded(text[start:end]))

    ends = range(start, min(start + _PIECE_CHARS, len(text)) + 1)
    return max(start, start + bisect_right(ends, folded_index, key=num_folded_before) - 1)
