"""Candidates for quoting: the source's own sentences, ranked by salience and coverage.

Pure. Knows no models: which of the candidates are chosen is the grammar's and the model's matter.
"""

import math
from collections import Counter
from collections.abc import Sequence

from webui.tasks.summarize.source import Source
from webui.text.features import features

MAX_CANDIDATES = 40  # per call
MIN_CHARS, MAX_CHARS = 10, 300
DIVERSITY = 0.5  # how much what is already covered counts less
_FIRST_BONUS = 0.15  # the first sentence of a paragraph often says what it is about


def candidates_in(source: Source, first: int, last: int) -> list[str]:
    """The sentences [first, last) that can stand alone as a bullet, in order, each once."""
    places = [place for place in source.sentences[first:last] if not place.is_heading]
    texts = [source.text[place.start : place.end] for place in places]
    usable = [text for text in texts if is_quotable(text)]
    if not usable:  # a table, a list of single words: better short quotes than none
        every = source.sentences[first:last]
        usable = [source.text[place.start : place.end] for place in every]
        usable = [text for text in usable if _is_one_line(text) and len(text) <= MAX_CHARS]
    return list(dict.fromkeys(usable))


def ranked(sentences: Sequence[str], limit: int = MAX_CANDIDATES) -> list[str]:
    """At most `limit` of `sentences` in their order: greedy over the words that most share.

    Maximal marginal relevance (Carbonell and Goldstein 1998) with document-frequency weights.
    """
    if len(sentences) <= limit:
        return list(sentences)
    bags = [features(text) for text in sentences]
    frequency = Counter(word for bag in bags for word in bag)
    weight = {word: math.log(1 + count) for word, count in frequency.items() if count > 1}
    left = set(range(len(sentences)))
    covered: set[str] = set()
    chosen: list[int] = []
    while left and len(chosen) < limit:
        best = max(left, key=lambda index: (_gain(bags[index], weight, covered), -index))
        left.remove(best)
        chosen.append(best)
        covered |= bags[best]
    return [sentences[index] for index in sorted(chosen)]


def is_quotable(text: str) -> bool:
    return _is_one_line(text) and MIN_CHARS <= len(text) <= MAX_CHARS


def _is_one_line(text: str) -> bool:
    return text.isprintable() and any(map(str.isalnum, text))


def _gain(bag: set[str], weight: dict[str, float], covered: set[str]) -> float:
    total = sum(weight.get(word, 0.0) * (1 - DIVERSITY if word in covered else 1.0) for word in bag)
    return total / math.sqrt(len(bag) + 5)
