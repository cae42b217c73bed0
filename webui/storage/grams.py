"""Text → the character uni- and bigrams that the keyword index holds, as numbers. Pure.

Measured on JSQuAD: better than two morphological analysers of 200 MB, and right for queries of any
length, which SQLite's own trigram tokenizer is not.
"""

import re
from typing import Any

import numpy

from webui.normal_form import normalized

MANY_CHUNKS = 10_000  # above, only the telling grams of a query are looked up
MANY_GRAMS = 200  # of a query: above, likewise
MAX_GRAMS = 4000

_NOT_INDEXED = re.compile(r"[\W_]+")  # letters, marks and digits are
_FIRST_HIRAGANA, _LAST_HIRAGANA, _LONG_MARK = 0x3041, 0x309F, 0x30FC
_BEYOND, _PRIVATE, _NUM_PRIVATE = 0xFFFF, 0xE000, 0x1900


def grams(text: str) -> Any:
    """Every unigram (letter << 16) and bigram (first << 16 | second), uint32, in no order.

    The rare letters above U+FFFF share the numbers of the private ones, which no text has.
    """
    folded = normalized(text).casefold()
    letters = _NOT_INDEXED.sub("", folded).encode("utf-32-le", "surrogatepass")
    codes = numpy.frombuffer(letters, dtype="<u4").astype(numpy.uint32)
    codes = numpy.where(codes > _BEYOND, _PRIVATE + codes % _NUM_PRIVATE, codes)
    return numpy.concatenate([codes << 16, codes[:-1] << 16 | codes[1:]]).astype(numpy.uint32)


def query_grams(question: str, num_chunks: int) -> Any:
    """The question's grams, each once, sorted; those that tell something where there are many.

    Many: chunks to search, or grams. Of more than MAX_GRAMS evenly spaced ones are taken,
    so that no script loses all of its own.
    """
    found = numpy.unique(grams(question))
    if num_chunks > MANY_CHUNKS or len(found) > MANY_GRAMS:
        first, second = found >> 16, found & 0xFFFF
        telling = (second > 0) & ~(_is_hiragana(first) & _is_hiragana(second))
        if telling.any():
            found = found[telling]
    if len(found) > MAX_GRAMS:
        found = found[numpy.linspace(0, len(found) - 1, MAX_GRAMS).astype(int)]
    return found


def _is_hiragana(codes: Any) -> Any:
    is_inside = (codes >= _FIRST_HIRAGANA) & (codes <= _LAST_HIRAGANA)
    return is_inside | (codes == _LONG_MARK)
