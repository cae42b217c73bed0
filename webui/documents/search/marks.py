"""A question's words in a passage: where they stand, and whether it has them. Pure.

For the eye; the index has its own grams, finds passages by pairs of letters, and always finds some.
Compared as the index does: width and case aside, across spaces and punctuation.
"""

import re
import unicodedata

MAX_MARKS = 200
MIN_SHARE = 0.5  # of the question's words, by length, in a passage that has them
LONG = 4  # letters; of a compound so long the better half is enough

_ASKING = re.compile(
    "何|誰|どこ|いつ|いくつ|いくら|どれ|どの|どんな|どう|なぜ|なに|だれ|どちら|教えて|について|場合"
    r"|\b(?:the|a|an|of|what|who|where|when|why|how|which|is|are|was|were|do|does|did|to|in|on|for)\b",
    re.IGNORECASE,
)
_WORD = re.compile(
    "[\u3400-\u4dbf\u4e00-\u9fff々〆ヶ]+|[\u30a1-\u30faー]+|[a-z\u00df-\u024f]+|[0-9]+"
    "|[^\\W\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\u30a1-\u30faa-z0-9_]+"
)


class Query:
    """The words of a question: runs of kanji, katakana, Latin letters and digits.

    Hiragana is grammar, unless there is nothing else.
    """

    def __init__(self, question: str) -> None:
        plain = unicodedata.normalize("NFKC", question).casefold()
        words = _WORD.findall(_ASKING.sub(" ", plain)) or _WORD.findall(plain)
        whole = "".join(letter for letter, _ in _letters(question))
        self._words = list(dict.fromkeys(words)) or ([whole] if whole else [])

    def marks(self, text: str) -> list[tuple[int, int]]:
        """Ranges [start, end) of `text` that are the question's words, in order."""
        found = list(_letters(text))
        said = "".join(letter for letter, _ in found)
        places = [
            (found[at][1], found[at + len(part) - 1][1] + 1)
            for part in filter(None, (_part_in(word, said) for word in self._words))
            for at in _all_of(part, said)
        ]
        return _joined(sorted(places))[:MAX_MARKS]

    def is_in(self, *texts: str) -> bool:
        """Whether they have the question's words, or at least the better half of them."""
        said = "\n".join("".join(letter for letter, _ in _letters(text)) for text in texts)
        total = sum(map(len, self._words))
        found = sum(len(word) for word in self._words if _part_in(word, said))
        return bool(total) and found >= MIN_SHARE * total


def _part_in(word: str, said: str) -> str:
    """The word as it stands there, or the longest part of a long one; "" where it does not."""
    if word in said:
        return word
    if len(word) < LONG:
        return ""
    for size in range(len(word) - 1, (len(word) + 1) // 2 - 1, -1):
        for start in range(len(word) - size + 1):
            if word[start : start + size] in said:
                return word[start : start + size]
    return ""


def _all_of(part: str, said: str) -> list[int]:
    return [match.start() for match in re.finditer(re.escape(part), said)]


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
