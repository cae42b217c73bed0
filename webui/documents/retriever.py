"""A question → the passages that answer it best: keywords, vectors where a model is, both mixed.

Scores are mixed by z-score: rank fusion with a weak embedder makes results worse (measured).
Knows nothing about the model that answers.
"""

import logging
import statistics
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webui.documents.pages import Span
from webui.documents.process import EmbedderProcess
from webui.documents.vectors import VectorIndex
from webui.errors import AppError
from webui.storage import ChunkRow, Documents

log = logging.getLogger(__name__)

NUM_CANDIDATES = 100  # from each search
VECTOR_WEIGHT = 0.4  # of a trained model; measured best from .3 to .6


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found. Scores compare only within one search."""

    document_id: str
    document_name: str
    span: Span
    title: str
    text: str
    score: float
    keyword_score: float = 0.0  # 0: none of the question's words
    vector_score: float | None = None  # cosine; None without an embedder


@dataclass(frozen=True, slots=True)
class Found:
    passages: list[Passage]
    used_vectors: bool
    problem: AppError | None = None  # why vectors were not used though there is an embedder


class Retriever:
    """Thread-safe. Without an embedder it is keyword search alone, and says so."""

    def __init__(
        self,
        documents: Documents,
        embedder: EmbedderProcess | None = None,
        vector_weight: float = VECTOR_WEIGHT,
    ) -> None:
        self._documents = documents
        self._embedder = embedder
        self._weight = vector_weight
        self._indexes: dict[tuple[str, str], VectorIndex] = {}
        self._lock = threading.Lock()

    def search(
        self,
        owner: str,
        question: str,
        limit: int = 10,
        document_ids: Sequence[str] | None = None,
    ) -> Found:
        """The best passages among the owner's documents, or among some of them."""
        keywords = dict(
            self._documents.search_keywords(owner, question, NUM_CANDIDATES, document_ids)
        )
        vectors: dict[int, float] = {}
        problem = None
        if self._embedder:
            try:
                vectors = self._nearest(self._embedder, owner, question, document_ids)
            except AppError as error:
                log.warning("keyword search alone: %s", error)
                problem = error
        scores = mixed(keywords, vectors, self._weight)
        best = sorted(scores, key=lambda number: (-scores[number], number))[:limit]
        rows = self._documents.chunks(owner, best)
        passages = [
            _passage(rows[number], scores[number], keywords.get(number, 0.0), vectors.get(number))
            for number in best
            if number in rows
        ]
        return Found(passages, used_vectors=bool(vectors), problem=problem)

    def forget(self, owner: str) -> None:
        """After documents have gone: the owner's vectors are read anew at the next search."""
        with self._lock:
            for key in [key for key in self._indexes if key[0] == owner]:
                del self._indexes[key]

    def _nearest(
        self,
        embedder: EmbedderProcess,
        owner: str,
        question: str,
        document_ids: Sequence[str] | None,
    ) -> dict[int, float]:
        ready = embedder.ready()
        index = self._index(owner, ready.fingerprint, ready.num_dimensions)
        if len(index) == 0:
            return {}
        among = None
        if document_ids is not None:
            among = self._documents.chunk_numbers(owner, document_ids)
        vector = embedder.embed((question,), is_query=True)
        return dict(index.search(vector, NUM_CANDIDATES, among))

    def _index(self, owner: str, fingerprint: str, num_dimensions: int) -> VectorIndex:
        """The owner's vectors of this model and no other, with those added since last time."""
        with self._lock:
            key = (owner, fingerprint)
            index = self._indexes.setdefault(key, VectorIndex(num_dimensions))
            if fingerprint in {row.fingerprint for row, _ in self._documents.embedders()}:
                index.add(self._documents.vectors(fingerprint, owner, newer_than=index.highest))
            return index


def mixed(
    keywords: Mapping[int, float], vectors: Mapping[int, float], weight: float
) -> dict[int, float]:
    """One score for every candidate of either search: weighted z-scores.

    A candidate that one search has not returned counts there as its last one.
    """
    if not vectors:
        return dict(keywords)
    if not keywords:
        return dict(vectors)
    numbers = {*keywords, *vectors}
    by_words = _z_scores(keywords, numbers)
    by_meaning = _z_scores(vectors, numbers)
    return {
        number: (1 - weight) * by_words[number] + weight * by_meaning[number] for number in numbers
    }


def _z_scores(scores: Mapping[int, float], numbers: set[int]) -> dict[int, float]:
    least = min(scores.values())
    values = {number: scores.get(number, least) for number in numbers}
    mean = statistics.fmean(values.values())
    deviation = statistics.pstdev(values.values()) or 1.0
    return {number: (value - mean) / deviation for number, value in values.items()}


def _passage(
    row: ChunkRow, score: float, keyword_score: float, vector_score: float | None
) -> Passage:
    span = Span(row.page_from, row.char_from, row.page_to, row.char_to)
    return Passage(
        row.document_id,
        row.document_name,
        span,
        row.title,
        row.text,
        score,
        keyword_score,
        vector_score,
    )
