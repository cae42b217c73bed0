"""The texts and questions that the built-in model learns from, and those kept for its examination.

Reads `ja-docs.jsonl.xz` (`{"s": source, "p": [paragraphs]}` a line) and `jaquad-train.jsonl.xz`
(`{"title", "context", "qas": [{"question", "answers": [{"text", "answer_start"}]}]}` a line).
What is held out is decided by a hash of the text, so it is the same everywhere. Knows no prompts.
"""

import hashlib
import json
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from webui.text.splitter import sentence_ranges

DOCUMENTS, QUESTIONS = "ja-docs.jsonl.xz", "jaquad-train.jsonl.xz"
HELD_OUT_PERCENT = 3


class CorpusError(Exception):
    """A file is missing or is not what it should be; the message is one line."""


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    sentence: str  # of the paragraph, the one that answers it
    short: str  # the answer alone, inside the sentence


@dataclass(frozen=True, slots=True)
class Paragraph:
    title: str
    text: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    documents: tuple[tuple[str, ...], ...]  # each a tuple of paragraphs
    paragraphs: tuple[Paragraph, ...]


def load(folder: Path) -> tuple[Corpus, Corpus]:
    """(to learn from, to examine with). Raises CorpusError."""
    paragraphs = [_paragraph(value) for value in _lines(folder / QUESTIONS)]
    kept_titles = {item.title for item in paragraphs if _is_held_out(item.title)}
    kept_texts = {_plain(item.text) for item in paragraphs if item.title in kept_titles}
    documents = [_document(value) for value in _lines(folder / DOCUMENTS)]
    held = [_is_held_out(doc[0]) or any(_plain(p) in kept_texts for p in doc) for doc in documents]
    return (
        Corpus(
            tuple(doc for doc, out in zip(documents, held, strict=True) if not out),
            tuple(item for item in paragraphs if item.title not in kept_titles),
        ),
        Corpus(
            tuple(doc for doc, out in zip(documents, held, strict=True) if out),
            tuple(item for item in paragraphs if item.title in kept_titles),
        ),
    )


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_ranges(text, is_wrapped=False)]


def _document(value: dict[str, object]) -> tuple[str, ...]:
    paragraphs = value.get("p")
    if not isinstance(paragraphs, list) or not all(isinstance(p, str) for p in paragraphs):
        raise CorpusError(f"{DOCUMENTS}: a line without a list of paragraphs")
    return tuple(paragraphs)


def _paragraph(value: dict[str, object]) -> Paragraph:
    try:
        title, context = str(value["title"]), str(value["context"])
        found = [_question(context, item) for item in value["qas"]]  # type: ignore[attr-defined]
    except (KeyError, TypeError, IndexError) as error:
        raise CorpusError(f"{QUESTIONS}: {error!r} in a line") from error
    return Paragraph(title, context, tuple(question for question in found if question))


def _question(context: str, value: dict[str, object]) -> Question | None:
    """None where the answer goes over the border of a sentence."""
    answer = value["answers"][0]  # type: ignore[index]
    start, text = int(answer["answer_start"]), str(answer["text"])
    for begin, end in sentence_ranges(context, is_wrapped=False):
        if begin <= start and start + len(text) <= end:
            return Question(str(value["question"]), context[begin:end], text)
    return None


def _lines(path: Path) -> Iterator[dict[str, object]]:
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)
    except FileNotFoundError as error:
        raise CorpusError(f"{path} is missing") from error
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError, ValueError) as error:
        raise CorpusError(f"{path} cannot be read: {error}") from error


def _is_held_out(text: str) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 100 < HELD_OUT_PERCENT


def _plain(text: str) -> str:
    return "".join(text.split())


def num_chars(texts: Iterable[str]) -> int:
    return sum(map(len, texts))
