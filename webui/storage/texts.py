"""Text as storage needs it: clean, comparable, cut to a snippet. Knows nothing about SQL."""

import json
import re
from bisect import bisect_right
from typing import Any

from webui.errors import AppError
from webui.normal_form import normalized

MAX_TITLE_CHARS = 200
MAX_TEXT_CHARS = 10_000_000

_SNIPPET_CHARS_BEFORE = 6  # a narrow list shows some fifteen; the match is among them
_SNIPPET_CHARS_AFTER = 80
_MIN_STEP = 128

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
    """What a search compares: ｶﾅ equals カナ, ＡＢＣ equals abc, a line break equals a space.

    `text` is clean. UTF-8, because its byte sequences match only at character borders and bytes
    are searched faster.
    """
    return _folded(text).encode()


def snippet(text: str, key: bytes, needle: bytes) -> str:
    """One line of `text` around a place where `key`, its search key, contains `needle`.

    Folding changes lengths, so the place in the text is guessed from the place in the key and
    then looked for: first near the guess, otherwise window by window.
    """
    step = max(_MIN_STEP, 3 * len(needle.decode()))  # three characters can fold into one
    guess = len(text) * key.find(needle) // len(key)
    for start in (max(0, guess - step), *range(0, len(text), step)):
        window = text[start : start + 2 * step]
        before, match, _ = search_key(window).partition(needle)
        if match:
            return _line_around(text, start + _index_in_original(window, len(before.decode())))
    return _line_around(text, guess)


def place_of(query: str, text: str) -> tuple[int, int] | None:
    """Where `text`, a line, contains `query` as a search does; None where it does not."""
    needle = search_key(clean(query)).decode()
    before, match, _ = _folded(text).partition(needle)
    if not needle or not match:
        return None
    start = _index_in_original(text, len(before))
    last = _index_in_original(text, len(before) + len(needle) - 1)
    return start, last + 1


def _line_around(text: str, match: int) -> str:
    start = max(0, match - _SNIPPET_CHARS_BEFORE)
    end = match + _SNIPPET_CHARS_AFTER
    line = " ".join(text[start:end].split())
    return ("…" if start > 0 else "") + line + ("…" if end < len(text) else "")


def _index_in_original(text: str, folded_index: int) -> int:
    """The index in `text` of the character that became `folded_index` in its folded form."""

    def num_folded(end: int) -> int:
        return len(_folded(text[:end]))

    return max(0, bisect_right(range(len(text) + 1), folded_index, key=num_folded) - 1)


def _folded(text: str) -> str:
    # Case folding can undo the normal form (U+0345), hence the second pass.
    folded = normalized(text).casefold()
    return " ".join(normalized(folded).split())
