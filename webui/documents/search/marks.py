"""Where a question's words stand in a passage, for the eye. Pure; the index has its own grams.

Compared as the index does: width and case aside, across spaces and punctuation.
"""

import re
import unicodedata
from itertools import pairwise

MAX_MARKS = 200
_HIRAGANA = re.compile("[\u3041-\u309fー]+")


def marked(text: str, question: str) -> list[tuple[int, int]]:
    """Ranges [start, end) of `text` that are made of the question's character pairs, in order.

    Pairs of hiragana say little and are left out, unless the question has nothing else.
    """
    letters = [letter for letter, _ in _letters(question)]
    pairs = {a + b for a, b in pairwise(letters)} or set(letters)
    pairs = {pair for pair in pairs if not _HIRAGANA.fullmatch(pair)} or pairs
    if not pairs:
        return []
    size = max(map(len, pairs))
    found = list(_letters(text))
    places: list[tuple[int, int]] = []
    for index in range(len(found) - size + 1):
        if "".join(letter for letter, _ in found[index : index + size]) in pairs:
            places.append((found[index][1], found[index + size - 1][1] + 1))
    return _joined(places)[:MAX_MARKS]


def _letters(text: str) -> list[tuple[str, int]]:
    """Letters and digits, folded, each with the index of the character that it comes from."""
    return [
        (letter, index)
        for index, char in enumerate(text)
        for letter in unicodedata.normalize("NFKC", char).casefold()
        if letter.isalnum()
    ]


def _joined(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in places:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
