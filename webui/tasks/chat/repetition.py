"""Repetition: whether a text has begun to say the same over and over, and where to cut it.

Knows text only. What is repeated on purpose must pass: a sentence written ten times, rulers, forms,
tables with equal rows, code.
"""

import re

MIN_CHARS = 240  # of copies one after another; ten times a short sentence is a wish
MIN_COPIES = 3
MIN_ROWS = 12  # of equal items or rows: a form to fill in
MIN_LETTERS = 0.5  # of a copy: fewer are a drawing
MAX_UNIT_CHARS = 800
MAX_SHARED_END = 10
CHECK_CHARS = 40  # new text between two looks
FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
SENTENCE_END = re.compile(r"[。．！？!?.\n]")
ROW = re.compile(r"^\s*(?:[|>#*+•・-]|\d+[.)])", re.MULTILINE)


class RepetitionGuard:
    """Looks at a growing text now and then."""

    def __init__(self) -> None:
        self._num_seen = 0

    def cut(self, text: str) -> str | None:
        """`text` without its third copy and all after it; None while all is well."""
        if 0 <= len(text) - self._num_seen < CHECK_CHARS:
            return None
        self._num_seen = len(text)
        end = repetition_end(text)
        return None if end is None else text[:end].rstrip()


def repetition_end(text: str) -> int | None:
    """Where the second copy ends, if the end of `text` is one phrase over and over."""
    if len(text) < MIN_CHARS or len(FENCE.findall(text)) % 2:
        return None
    period = _period(text[-MIN_COPIES * MAX_UNIT_CHARS :])
    if period is None:
        return None
    start = len(text) - period
    while start and text[start - 1] == text[start - 1 + period]:
        start -= 1
    unit = text[start : start + period]
    if sum(map(str.isalnum, unit)) < MIN_LETTERS * len(unit.strip()):
        return None
    num_copies = (len(text) - start) // period
    if ROW.search(text[start : start + 2 * period]) and num_copies < MIN_ROWS:
        return None
    return _after_sentence(text, start + 2 * period)


def _after_sentence(text: str, end: int) -> int:
    """What stands before the first copy can end as a copy does, and the copies seem to begin there.

    A sentence that ends within a few characters is kept whole.
    """
    if SENTENCE_END.match(text, end - 1):
        return end
    found = SENTENCE_END.search(text, end, end + MAX_SHARED_END)
    return found.end() if found else end


def _period(tail: str) -> int | None:
    """The shortest period of the last characters that are long enough to count."""
    lengths = _prefix_lengths(tail[::-1])
    for period in range(1, min(MAX_UNIT_CHARS, len(tail) - 1) + 1):
        if lengths[period] + period >= max(MIN_CHARS, MIN_COPIES * period):
            return period
    return None


def _prefix_lengths(text: str) -> list[int]:
    """For each place, how many characters from there on are as at the beginning (Z function)."""
    lengths = [len(text)] + [0] * (len(text) - 1)
    left = right = 0
    for i in range(1, len(text)):
        length = min(right - i, lengths[i - left]) if i < right else 0
        while i + length < len(text) and text[length] == text[i + length]:
            length += 1
        lengths[i] = length
        if i + length > right:
            left, right = i, i + length
    return lengths
