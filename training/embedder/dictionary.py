"""EDICT → which words mean the same: other spellings, readings, English, words of one meaning.

Knows nothing about models. The file is EUC-JP, one entry a line: `書き方 [よみ] /gloss/gloss/(P)/`.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MAX_WORDS_OF_A_MEANING = 12  # more share only something vague, as "type of"
_ENTRY = re.compile(r"(?P<word>[^\[/]+?)(?: \[(?P<reading>[^\]]+)\])? /(?P<glosses>.*)/")
_NOTE = re.compile(r"\([^)]*\)|\{[^}]*\}")
_JAPANESE = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]")


class DictionaryError(Exception):
    """The file is not there or is no EDICT."""


@dataclass(frozen=True, slots=True)
class Entry:
    word: str
    reading: str  # "" where the word is written in kana
    glosses: tuple[str, ...]
    is_common: bool


def read_entries(path: Path) -> list[Entry]:
    """Raises DictionaryError with one line that says what to do."""
    try:
        lines = path.read_bytes().decode("euc_jp", errors="replace").splitlines()
    except OSError as error:
        raise DictionaryError(
            f"{path}: {error.strerror}; install EDICT (Debian: edict) or name it with --edict"
        ) from error
    entries = [entry for line in lines[1:] if (entry := _entry(line))]
    if len(entries) < 1000:
        raise DictionaryError(f"{path} is no EDICT: {len(entries)} entries in it")
    return entries


def folded(text: str) -> str:
    """As the tokenizer sees it."""
    return unicodedata.normalize("NFKC", text).lower()


def alternatives(entries: Iterable[Entry]) -> dict[str, list[str]]:
    """For each word the others that may stand for it: readings, synonyms, English."""
    same: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if not entry.is_common:
            continue
        if entry.reading:
            same[entry.word].add(entry.reading)
            if len(entry.reading) > 2:  # a short reading is that of too many words
                same[entry.reading].add(entry.word)
        for gloss in entry.glosses[:3]:
            same[entry.word].add(gloss)
            if len(gloss) > 2:
                same[gloss].add(entry.word)
    for words in meanings(entries):
        for word in words:
            same[word].update(words - {word})
    return {word: sorted(others) for word, others in same.items()}


def pairs(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Two texts of one meaning each: word and reading, word and gloss, synonyms."""
    found: set[tuple[str, str]] = set()
    for entry in entries:
        if entry.reading and entry.is_common:
            found.add((entry.word, entry.reading))
        found.update((entry.word, gloss) for gloss in entry.glosses[: 4 if entry.is_common else 1])
    for words in meanings(entries):
        ordered = sorted(words)
        found.update((a, b) for a in ordered for b in ordered if a < b)
    return sorted(found)


def meanings(entries: Iterable[Entry]) -> list[set[str]]:
    """Words that share an English gloss; one of them at least is common."""
    words: defaultdict[str, set[str]] = defaultdict(set)
    common: set[str] = set()
    for entry in entries:
        for gloss in entry.glosses[: 4 if entry.is_common else 2]:
            words[gloss].add(entry.word)
            if entry.is_common:
                common.add(gloss)
    return [
        same
        for gloss, same in words.items()
        if gloss in common and 2 <= len(same) <= MAX_WORDS_OF_A_MEANING
    ]


def _entry(line: str) -> Entry | None:
    match = _ENTRY.match(line)
    if not match:
        return None
    word, reading = folded(match["word"]), folded(match["reading"] or "")
    parts = match["glosses"].split("/")
    glosses = (_gloss(part) for part in parts if not part.startswith("EntL"))
    kept = tuple(dict.fromkeys(gloss for gloss in glosses if gloss and len(gloss) <= 40))
    if not kept or not _JAPANESE.search(word) or len(word) > 12:
        return None
    return Entry(word, reading, kept, "(P)" in parts)


def _gloss(text: str) -> str:
    """`(v5r,vt) (1) to take (in hand)` → `take`."""
    plain = " ".join(_NOTE.sub(" ", folded(text)).split())
    return plain.removeprefix("to ").removeprefix("a ").removeprefix("the ").strip(" .;,")
