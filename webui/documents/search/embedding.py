"""Embedding: the chosen model, what it has embedded so far, and the job that embeds the rest.

Vectors of two models are never compared. When the collection was embedded by another one, nothing
happens by itself: the user is offered to embed it anew, and until then there is keyword search.
Knows nothing about files.
"""

import logging
import threading
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from webui.documents.errors import DocumentError
from webui.documents.process import Cancelled
from webui.documents.search.embedder_process import EmbedderProcess, LocalEmbedder, TextEmbedder
from webui.documents.search.model_folder import (
    can_embed,
    check_embedder,
    check_reranker,
    fingerprint,
)
from webui.documents.search.static_embedder import StaticEmbedder
from webui.errors import AppError
from webui.models.entries import ModelEntry, ModelKind
from webui.storage import Documents, EmbedderRow, NotFoundError, StorageError

log = logging.getLogger(__name__)

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Weight:
    """How much vectors count beside words, from 0 to 1.

    `coverage` is the best passage's keyword score as a share of what one with all of the
    question's words would get. Where it reaches `words_suffice`, the weight is `least`, and it
    rises to `most` where it is `words_fail` or less: a weak model speaks when words say little.
    """

    least: float = 0.4  # of a trained model; measured best from .3 to .6
    most: float = 0.4
    words_suffice: float = 1.0
    words_fail: float = 0.0

    def at(self, coverage: float) -> float:
        span = self.words_suffice - self.words_fail
        share = (self.words_suffice - coverage) / span if span > 0 else 0.0
        return self.least + (self.most - self.least) * min(1.0, max(0.0, share))


@dataclass(frozen=True, slots=True)
class EmbedderChoice:
    """A model's folder, and how much its opinion counts beside the words'."""

    path: Path
    name: str
    weight: Weight = Weight()
    is_builtin: bool = False
    reranker: Path | None = None


class EmbedderState(StrEnum):
    NONE = "none"  # no model: keyword search alone
    READY = "ready"  # see num_embedded for how far it is
    OUTDATED = "outdated"  # embedded by another model: keywords alone until reembed()
    BROKEN = "broken"  # keywords alone; `problem` says why


@dataclass(frozen=True, slots=True)
class EmbedderStatus:
    state: EmbedderState
    name: str = ""
    is_builtin: bool = False
    num_embedded: int = 0
    num_chunks: int = 0
    other_models: tuple[str, ...] = ()  # whose vectors are there instead
    problem: AppError | None = None
    reranker_problem: AppError | None = None

    @property
    def needs_reembedding(self) -> bool:
        return self.state is EmbedderState.OUTDATED


Report = Callable[[int, int, float], None]  # done, total, time.monotonic() at the start


class Embedding:
    """Thread-safe. The model's process starts with the first text."""

    def __init__(
        self, documents: Documents, choice: EmbedderChoice, process: TextEmbedder | None = None
    ) -> None:
        self._documents = documents
        self._vectors = documents.vectors
        self._lock = threading.Lock()
        self._fingerprint: str | None = None
        self._failure: AppError | None = None
        self.choice = choice
        self.process = process or _embedder_of(choice)

    @property
    def local(self) -> LocalEmbedder:
        """The model as others know it."""
        return LocalEmbedder(self.choice.name, self.process, self.choice.is_builtin)

    def stop(self) -> None:
        self.process.stop()

    def status(self) -> EmbedderStatus:
        """Without loading the model."""
        problem = self.problem()
        if problem:
            state, embedded, others = EmbedderState.BROKEN, (0, 0), []
        else:
            current = self.fingerprint()
            embedded, others = self._vectors.counts(current), self._vectors.others(current)
            state = EmbedderState.OUTDATED if others else EmbedderState.READY
        return EmbedderStatus(
            state,
            self.choice.name,
            self.choice.is_builtin,
            *embedded,
            tuple(others),
            problem,
            _problem_of(check_reranker, self.choice.reranker),
        )

    def num_embedded(self, document_ids: Sequence[str]) -> dict[str, int]:
        """Chunks that this model has embedded, by document."""
        return self._vectors.counts_of(self.fingerprint(), document_ids)

    def problem(self) -> AppError | None:
        """Why it cannot embed; None when nothing is known against it."""
        if not (self.choice.is_builtin or can_embed()):
            return DocumentError("documents.no_torch")
        return _problem_of(check_embedder, self.choice.path) or self._failure

    def fingerprint(self) -> str:
        with self._lock:
            if self._fingerprint is None:
                self._fingerprint = fingerprint(self.choice.path)
            return self._fingerprint

    def check(self) -> None:
        """Raises AppError when its vectors may not be used."""
        if problem := self.problem():
            raise problem
        if self._vectors.others(self.fingerprint()):
            raise DocumentError("documents.other_embedder", name=self.choice.name)

    def query(self, question: str) -> bytes:
        """The question's vector. Raises AppError."""
        return self.process.embed((question,), is_query=True)

    def reembed(self) -> None:
        """Forget what other models have embedded; `run` does the rest, also after a restart."""
        if problem := self.problem():
            raise problem
        self._vectors.keep_only(self.fingerprint())

    def run(
        self, is_closing: Callable[[], bool], is_interrupted: Callable[[], bool], report: Report
    ) -> bool:
        """Embed all chunks that this model has not, a batch at a time; False: interrupted.

        A model that fails is remembered as a problem; nothing is raised but for the storage.
        """
        self._failure = None
        if not self._documents.has_chunks() or self.problem():
            return True
        num_embedded, num_chunks = self._vectors.counts(self.fingerprint())
        if num_embedded == num_chunks or self._vectors.others(self.fingerprint()):
            return True  # without starting a process that takes seconds and 400 MB
        try:
            return self._run(is_closing, is_interrupted, report)
        except Cancelled:
            log.info("embedding was stopped")
        except (StorageError, NotFoundError):
            raise
        except AppError as error:
            log.error("no vectors: %s", error)
            self._failure = error
        return True

    def _run(
        self, is_closing: Callable[[], bool], is_interrupted: Callable[[], bool], report: Report
    ) -> bool:
        current = self._loaded(is_closing)
        started, num_done = time.monotonic(), 0
        num_embedded, num_chunks = self._vectors.counts(current.fingerprint)
        while batch := self._vectors.missing(current.fingerprint, _BATCH):
            report(num_done, num_chunks - num_embedded, started)
            texts = tuple(text for _, text in batch)
            data = self.process.embed(texts, is_query=False, is_cancelled=is_closing)
            size = 2 * current.num_dimensions
            vectors = (data[start : start + size] for start in range(0, len(data), size))
            numbers = (number for number, _ in batch)
            self._vectors.save(current.fingerprint, list(zip(numbers, vectors, strict=True)))
            num_done += len(batch)
            if is_interrupted():
                return False
        return True

    def _loaded(self, is_closing: Callable[[], bool]) -> EmbedderRow:
        """Load the model, and write down which it is."""
        ready = self.process.ready(is_closing)
        with self._lock:
            self._fingerprint = ready.fingerprint
        row = EmbedderRow(
            ready.fingerprint,
            self.choice.name,
            ready.num_dimensions,
            ready.query_prompt,
            ready.document_prompt,
        )
        self._vectors.save_embedder(row)
        return row


def _embedder_of(choice: EmbedderChoice) -> TextEmbedder:
    return StaticEmbedder(choice.path) if choice.is_builtin else EmbedderProcess(choice.path)


def _problem_of(check: Callable[[Path], None], path: Path | None) -> AppError | None:
    if path is None:
        return None
    try:
        check(path)
    except DocumentError as error:
        return error
    return None


log = logging.getLogger(__name__)

OFF = "off"
WEIGHT_FILE = "weight.toml"  # beside the built-in model: how much it counts in the mix


def installed(entries: Sequence[ModelEntry], models_dir: Path, kind: ModelKind) -> list[ModelEntry]:
    """Entries of the kind whose folder is there, the recommended ones first."""
    found = [entry for entry in entries if entry.kind is kind and (models_dir / entry.id).is_dir()]
    return sorted(found, key=lambda entry: (not entry.is_recommended, -entry.ram_gb, entry.id))


def choose_embedder(
    entries: Sequence[ModelEntry],
    models_dir: Path,
    builtin: Path,
    *,
    embedder: str = "",
    reranker: str = "",
) -> EmbedderChoice | None:
    """The model to search with; None: keyword search alone, wanted or for want of the libraries.

    `embedder` and `reranker` are an entry's id, a folder or OFF; "" takes what is installed.
    A chosen model that is not there is still the choice: the search says what is wrong with it.
    """
    if embedder == OFF:
        return None
    if not can_embed():
        return _builtin(builtin, None)
    ranking = _reranker(entries, models_dir, reranker)
    if embedder:
        folder = _folder(models_dir, embedder)
        return EmbedderChoice(folder, folder.name, reranker=ranking)
    for entry in installed(entries, models_dir, ModelKind.EMBEDDER):
        return EmbedderChoice(models_dir / entry.id, entry.name, reranker=ranking)
    return _builtin(builtin, ranking)


def _builtin(folder: Path, reranker: Path | None) -> EmbedderChoice | None:
    if not (folder / "modules.json").is_file():
        return None
    return EmbedderChoice(folder, folder.name, weight_of(folder), True, reranker)


def weight_of(folder: Path) -> Weight:
    """What its makers found right for the model; none where that cannot be read."""
    try:
        values = tomllib.loads((folder / WEIGHT_FILE).read_text(encoding="utf-8-sig"))
        return Weight(**{name: float(value) for name, value in values.items()})
    except (OSError, ValueError, TypeError) as error:
        log.error("%s counts for nothing: %s", folder.name, error)
        return Weight(0.0, 0.0)


def _reranker(entries: Sequence[ModelEntry], models_dir: Path, asked: str) -> Path | None:
    if asked == OFF:
        return None
    if asked:
        return _folder(models_dir, asked)
    for entry in installed(entries, models_dir, ModelKind.RERANKER):
        return models_dir / entry.id
    return None


def _folder(models_dir: Path, asked: str) -> Path:
    path = Path(asked)
    return path if path.is_absolute() else models_dir / asked
