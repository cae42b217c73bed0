"""An embedding model or a reranker in a process of its own, as the web process sees it.

Blocking, for threads. Knows nothing about owners or documents.
"""

import base64
from pathlib import Path
from typing import NamedTuple, Protocol

from webui.documents.messages import (
    Embed,
    EmbedderReady,
    EmbedInputs,
    InputVectors,
    LoadEmbedder,
    Rerank,
    Scores,
    Vectors,
)
from webui.documents.process import Budget, IsCancelled, Role, WorkerDiedError, WorkerProcess, never
from webui.documents.search.model_folder import check_embedder

_EMBED_LIMIT_S = 300.0
_LOAD_LIMIT_S = 300.0


class TextEmbedder(Protocol):
    """Texts into vectors: in a process of its own, or the built-in one in this process."""

    @property
    def is_loaded(self) -> bool: ...
    def stop(self) -> None: ...
    def ready(self, is_cancelled: IsCancelled = never) -> EmbedderReady: ...
    def embed(
        self, texts: tuple[str, ...], *, is_query: bool, is_cancelled: IsCancelled = never
    ) -> bytes: ...
    def embed_inputs(
        self, inputs: tuple[str | tuple[int, ...], ...], kind: str = ""
    ) -> tuple[bytes, int]: ...
    def rerank(self, path: Path, query: str, texts: tuple[str, ...]) -> tuple[float, ...]: ...


class LocalEmbedder(NamedTuple):
    """An embedding model as others know it."""

    name: str
    process: TextEmbedder
    is_builtin: bool = False


class EmbedderProcess:
    """An embedding model in its own process, loaded when first used."""

    def __init__(self, path: Path, num_threads: int = 0) -> None:
        self._path = path
        self._num_threads = num_threads
        self._process = WorkerProcess(Role.EMBEDDER)
        self._ready: EmbedderReady | None = None
        self._ready_pid: int | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_loaded(self) -> bool:
        return self._process.pid is not None

    def stop(self) -> None:
        self._process.stop()

    def ready(self, is_cancelled: IsCancelled = never) -> EmbedderReady:
        """What the model is; loads it unless it is loaded. Raises DocumentError."""
        with self._process.reserved():
            if self._ready and self._process.is_running and self._process.pid == self._ready_pid:
                return self._ready
            check_embedder(self._path)  # before a process is started for nothing
            job = LoadEmbedder(str(self._path), self._num_threads)
            for message in self._process.run(job, Budget(_LOAD_LIMIT_S), is_cancelled):
                if isinstance(message, EmbedderReady):
                    self._ready, self._ready_pid = message, self._process.pid
                    return message
        raise WorkerDiedError("documents.embedder_died")

    def embed(
        self, texts: tuple[str, ...], *, is_query: bool, is_cancelled: IsCancelled = never
    ) -> bytes:
        """Little-endian float16, one unit vector of `num_dimensions` for each text."""
        with self._process.reserved():
            self.ready(is_cancelled)
            job = Embed(texts, is_query)
            for message in self._process.run(job, Budget(_EMBED_LIMIT_S), is_cancelled):
                if isinstance(message, Vectors):
                    return base64.b64decode(message.data)
        raise WorkerDiedError("documents.embedder_died")

    def embed_inputs(
        self, inputs: tuple[str | tuple[int, ...], ...], kind: str = ""
    ) -> tuple[bytes, int]:
        """Little-endian float32 unit vectors of texts or token ids, and how many tokens they are.

        See EmbedInputs. An input that is longer than the model reads is an error.
        """
        texts = tuple(given if isinstance(given, str) else "" for given in inputs)
        ids = tuple(given if isinstance(given, tuple) else () for given in inputs)
        with self._process.reserved():
            self.ready()
            job = EmbedInputs(texts, ids, kind)
            for message in self._process.run(job, Budget(_EMBED_LIMIT_S)):
                if isinstance(message, InputVectors):
                    return base64.b64decode(message.data), message.num_tokens
        raise WorkerDiedError("documents.embedder_died")

    def rerank(self, path: Path, query: str, texts: tuple[str, ...]) -> tuple[float, ...]:
        """How well each text answers the query, by the CrossEncoder at `path`."""
        job = Rerank(str(path), query, texts)
        for message in self._process.run(job, Budget(_EMBED_LIMIT_S)):
            if isinstance(message, Scores):
                return message.values
        raise WorkerDiedError("documents.embedder_died")
