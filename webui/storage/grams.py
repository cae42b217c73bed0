"""Text → the character uni- and bigrams that the keyword index holds, and queries over it. Pure.

Measured on JSQuAD: better than two morphological analysers of 200 MB, and right for queries of any
length, which SQLite's own trigram tokenizer is not.
"""

import re
import unicodedata

MANY_CHUNKS = 10_000  # above, only the telling grams of a query are looked up
MAX_TERMS = 400

_HIRAGANA = re.compile("[\u3041-\u309fー]+")
_NOT_INDEXED = re.compile(r"[\W_]+")  # the tokenizer keeps letters, marks and digits only


def index_text(text: str) -> str:
    """What is given to FTS5 for a chunk: all its grams with spaces between."""
    return " ".join(_grams(text))


def match_query(question: str, num_chunks: int) -> str:
    """An FTS5 expression that any chunk with one of the question's grams matches; "" for none."""
    grams = set(_grams(question))
    if num_chunks > MANY_CHUNKS:
        telling = {gram for gram in grams if len(gram) > 1 and not _HIRAGANA.fullmatch(gram)}
        grams = telling or grams
    # A gram has letters and digits only, so quoting it is enough.
    return " OR ".join(f'"{gram}"' for gram in sorted(grams)[:MAX_TERMS])


def _grams(text: str) -> list[str]:
    grams: list[str] = []
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = _NOT_INDEXED.sub("", folded)
    grams += letters
    grams += (letters[index : index + 2] for index in range(len(letters) - 1))
    return grams
