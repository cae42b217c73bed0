"""A question → the passages that answer it best: keywords, vectors where a model is, both mixed.

Scores are mixed by z-score: rank fusion with a weak embedder makes results worse (measured).
Knows nothing about the model that answers.
"""

import logging
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from webui.documents.search.embedding import Embedding
from webui.documents.search.vectors import FaissStore, VectorStore
from webui.errors import AppError
from webui.storage import ChunkRow, Documents, KeywordHits
from webui.text.pages import Span

log = logging.getLogger(__name__)

NUM_CANDIDATES = 100  # from each search
NUM_RERANKED = 20

MakeStore = Callable[[str, str, int], VectorStore]  # owner, fingerprint, dimensions


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


@dataclass(slots=True)
class _Place:
    """An owner's store of one model, once it is open; others need not wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    store: VectorStore | None = None


class Retriever:
    """Thread-safe. Without an embedder it is keyword search alone, and says so."""

    def __init__(
        self,
        documents: Documents,
        embedding: Embedding | None = None,
        make_store: MakeStore | None = None,
    ) -> None:
        self._documents = documents
        self._embedding = embedding
        self._make_store = make_store or _in_memory
        self._places: dict[tuple[str, str], _Place] = {}  # by owner and fingerprint
        self._lock = threading.Lock()  # of `_places`; never held while a store works

    def search(
        self,
        owner: str,
        question: str,
        limit: int = 10,
        document_ids: Sequence[str] | None = None,
    ) -> Found:
        """The best passages among the owner's documents, or among some of them."""
        hits = self._documents.search_keywords(owner, question, NUM_CANDIDATES, document_ids)
        keywords = hits.scores
        weight = self._embedding.choice.weight.at(coverage(hits)) if self._embedding else 0.0
        vectors: dict[int, float] = {}
        problem = None
        if self._embedding and weight > 0:
            try:
                vectors = self._nearest(self._embedding, owner, question, document_ids)
            except AppError as error:
                log.warning("keyword search alone: %s", error)
                problem = error
        scores = mixed(keywords, vectors, weight)
        best = sorted(scores, key=lambda number: (-scores[number], number))
        passages = self._passages(
            owner, best[: max(limit, NUM_RERANKED)], scores, keywords, vectors
        )
        passages, rerank_problem = self._reranked(question, passages)
        return Found(passages[:limit], bool(vectors), problem or rerank_problem)

    def forget(self, owner: str, document_id: str) -> None:
        """After a document has gone, or was read anew; the others stay in the index.

        A store that cannot be reached is opened anew, and so compared with the database.
        """
        with self._lock:
            places = [place for (who, _), place in self._places.items() if who == owner]
        for place in places:
            with place.lock:
                try:
                    if place.store:
                        place.store.delete_doc(document_id)
                except AppError as error:
                    log.warning("the vector store is opened anew: %s", error)
                    place.store = None

    def close(self) -> None:
        with self._lock:
            places, self._places = list(self._places.values()), {}
        for place in places:
            with place.lock:
                if place.store:
                    place.store.close()

    def _passages(
        self,
        owner: str,
        numbers: Sequence[int],
        scores: Mapping[int, float],
        keywords: Mapping[int, float],
        vectors: Mapping[int, float],
    ) -> list[Passage]:
        rows = self._documents.chunks(owner, numbers)
        return [
            _passage(rows[number], scores[number], keywords.get(number, 0.0), vectors.get(number))
            for number in numbers
            if number in rows
        ]

    def _reranked(
        self, question: str, passages: list[Passage]
    ) -> tuple[list[Passage], AppError | None]:
        """In the order of the CrossEncoder, where there is one; as they were when it fails."""
        reranker = self._embedding.choice.reranker if self._embedding else None
        if self._embedding is None or reranker is None or len(passages) < 2:
            return passages, None
        texts = tuple(f"{passage.title}\n{passage.text}".strip() for passage in passages)
        try:
            scores = self._embedding.process.rerank(reranker, question, texts)
        except AppError as error:
            log.warning("passages are not reranked: %s", error)
            return passages, error
        ranked = (replace(p, score=score) for p, score in zip(passages, scores, strict=True))
        return sorted(ranked, key=lambda passage: -passage.score), None

    def _nearest(
        self,
        embedding: Embedding,
        owner: str,
        question: str,
        document_ids: Sequence[str] | None,
    ) -> dict[int, float]:
        embedding.check()
        store = self._store(owner, embedding.fingerprint())
        if store is None or store.count() == 0:
            return {}
        return dict(store.search(embedding.query(question), NUM_CANDIDATES, document_ids))

    def _store(self, owner: str, fingerprint: str) -> VectorStore | None:
        """The owner's vectors of this model and no other, with those added since last time."""
        with self._lock:
            place = self._places.setdefault((owner, fingerprint), _Place())
        with place.lock:
            if place.store is None:
                num_dimensions = self._documents.vectors.num_dimensions(fingerprint)
                if num_dimensions == 0:
                    return None
                place.store = self._make_store(owner, fingerprint, num_dimensions)
            store = place.store
            store.add(self._documents.vectors.of_owner(fingerprint, owner, store.highest))
            return store


def _in_memory(_owner: str, _fingerprint: str, num_dimensions: int) -> VectorStore:
    return FaissStore(num_dimensions)


def coverage(hits: KeywordHits) -> float:
    """How much of the question's words the best passage has."""
    return max(hits.scores.values(), default=0.0) / hits.full_score if hits.full_score else 0.0


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
