"""The training data: JaQuAD's questions and paragraphs, and other Japanese prose, read strictly.

Knows nothing about models.
"""

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUESTIONS, DOCUMENTS = "jaquad-train.jsonl.xz", "ja-docs.jsonl.xz"
HELD_OUT = 10  # every tenth article is for choosing the weight, not for training


class TrainingError(Exception):
    """One line that says what is missing."""


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    paragraph: int


@dataclass(frozen=True, slots=True)
class Corpus:
    paragraphs: list[str]  # of JaQuAD, with their title
    is_held_out: list[bool]  # for each of them
    questions: list[Question]
    documents: list[list[str]]  # paragraphs of other prose


def read_corpus(folder: Path) -> Corpus:
    """Raises TrainingError when the files are missing or other ones."""
    paragraphs: list[str] = []
    titles: list[str] = []
    questions: list[Question] = []
    for entry in _lines(folder / QUESTIONS, ("title", "context", "qas")):
        titles.append(entry["title"])
        questions += (Question(qa["question"], len(paragraphs)) for qa in entry["qas"])
        paragraphs.append(f"{entry['title']}\n{entry['context']}")
    order = {title: number for number, title in enumerate(dict.fromkeys(titles))}
    held_out = [order[title] % HELD_OUT == 0 for title in titles]
    documents = [entry["p"] for entry in _lines(folder / DOCUMENTS, ("s", "p"))]
    if len(questions) < 1000 or len(documents) < 100:
        raise TrainingError(f"{folder} is another corpus: {len(questions)} questions")
    return Corpus(paragraphs, held_out, questions, documents)


def _lines(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if not all(key in entry for key in keys):
                    raise TrainingError(f"{path} is another corpus: no {', '.join(keys)} in it")
                yield entry
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}; see --corpus") from error
    except (lzma.LZMAError, EOFError, ValueError) as error:
        raise TrainingError(f"{path} is damaged: {error}") from error
