"""How well a collection is found: questions made from its own sentences, and how many come back.

A question is some of a sentence's terms, never all of them and not in its words' order of grammar,
so that being found is no matter of course. Knows nothing about the page or the answering model.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from webui.documents.errors import DocumentError
from webui.documents.search.retriever import Passage, Retriever
from webui.storage import ChunkRow, Documents
from webui.text.splitter import sentence_ranges

RANKS = (1, 3, 5, 10)
MAX_MISSES = 20
_MIN_TERMS, _MAX_TERMS = 3, 8  # in a sentence that is asked about; more are cut off
_SHARE = 0.6  # of its terms stand in the question
_MIN_CHARS, _MAX_CHARS = 15, 200
_TERM = re.compile(r"[\u3400-\u9fff々]{2,}|[ァ-ヺー]{2,}|[A-Za-z][A-Za-z-]{2,}|\d[\d,.]*\d")
_REPORT_EVERY = 5


@dataclass(frozen=True, slots=True)
class Miss:
    """A question whose sentence was not among the best ten."""

    question: str
    sentence: str
    document_name: str
    page: int
    found: tuple[Passage, ...]  # the best three instead


@dataclass(frozen=True, slots=True)
class CollectionTest:
    """How far a test has come; the last one is its result."""

    num_done: int
    num_total: int
    recall: Mapping[int, float]  # rank → share of the questions found at it or better
    misses: tuple[Miss, ...]  # the first MAX_MISSES
    used_vectors: bool = False

    @property
    def is_complete(self) -> bool:
        return self.num_done == self.num_total


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    sentence: str
    chunk: ChunkRow


def run_test(
    documents: Documents,
    retriever: Retriever,
    owner: str,
    document_ids: Sequence[str],
    num_questions: int = 100,
) -> Iterator[CollectionTest]:
    """Snapshots while it runs, a few questions apart; closing the iterator ends it.

    The same collection gives the same questions. Raises DocumentError when there is no sentence
    to ask about.
    """
    questions = _questions(documents, owner, document_ids, num_questions)
    if not questions:
        raise DocumentError("documents.nothing_to_test")
    ranks: list[int] = []
    misses: list[Miss] = []
    used_vectors = False
    yield CollectionTest(0, len(questions), {}, ())
    for number, question in enumerate(questions, start=1):
        found = retriever.search(owner, question.text, max(RANKS), document_ids)
        used_vectors |= found.used_vectors
        rank = _rank(question, found.passages)
        ranks.append(rank)
        if rank == 0:
            misses.append(_miss(question, found.passages))
        if number % _REPORT_EVERY == 0 or number == len(questions):
            shown = tuple(misses[:MAX_MISSES])
            yield CollectionTest(number, len(questions), _recall(ranks), shown, used_vectors)


def _questions(
    documents: Documents, owner: str, document_ids: Sequence[str], num_questions: int
) -> list[_Question]:
    numbers = documents.chunk_numbers(owner, document_ids)
    chance = random.Random(f"{sorted(document_ids)} {numbers}")
    chance.shuffle(numbers)
    questions: list[_Question] = []
    asked: set[str] = set()
    for start in range(0, len(numbers), 100):
        part = numbers[start : start + 100]
        chunks = documents.chunks(owner, part)
        for chunk in (chunks[number] for number in part if number in chunks):
            question = _question(chunk, chance)
            if question and question.sentence not in asked:
                asked.add(question.sentence)
                questions.append(question)
            if len(questions) == num_questions:
                return questions
    return questions


def _question(chunk: ChunkRow, chance: random.Random) -> _Question | None:
    sentences = [chunk.text[start:end].strip() for start, end in sentence_ranges(chunk.text)]
    chance.shuffle(sentences)
    for sentence in sentences:
        if not _MIN_CHARS <= len(sentence) <= _MAX_CHARS:
            continue
        terms = list(dict.fromkeys(_TERM.findall(sentence)))[:_MAX_TERMS]
        if len(terms) >= _MIN_TERMS:
            kept = chance.sample(terms, max(2, round(_SHARE * len(terms))))
            return _Question(" ".join(kept), sentence, chunk)
    return None


def _rank(question: _Question, passages: Sequence[Passage]) -> int:
    """From 1; 0: not there. Neighbouring chunks overlap, so any that has the sentence counts."""
    for rank, passage in enumerate(passages, start=1):
        if question.sentence in passage.text:
            return rank
    return 0


def _recall(ranks: Sequence[int]) -> dict[int, float]:
    return {most: sum(0 < rank <= most for rank in ranks) / len(ranks) for most in RANKS}


def _miss(question: _Question, passages: Sequence[Passage]) -> Miss:
    chunk = question.chunk
    return Miss(
        question.text,
        question.sentence,
        chunk.document_name,
        chunk.page_from,
        tuple(passages[:3]),
    )
