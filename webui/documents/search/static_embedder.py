"""The built-in embedder: a text's vector is the mean of its pieces' rows in one table. numpy alone.

sentence-transformers computes the same (StaticEmbedding), but brings torch with it: seconds and
400 MB at the first document. For our own folder only: no stranger's file is parsed in this process.
"""

import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from webui.documents.errors import DocumentError
from webui.documents.messages import EmbedderReady
from webui.documents.process import IsCancelled, never
from webui.documents.search.embedder_process import EmbedderProcess
from webui.documents.search.model_folder import broken, check_embedder, fingerprint

TABLE = "embedding.weight"


class _Model(NamedTuple):
    tokenizer: Any
    table: npt.NDArray[np.float16]  # (pieces, dimensions)
    ready: EmbedderReady


class StaticEmbedder:
    """Thread-safe; loaded when first used. Reranking still takes a process of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._model: _Model | None = None
        self._reranking = EmbedderProcess(path)

    @property
    def is_loaded(self) -> bool:
        return self._model is not None

    def stop(self) -> None:
        self._model = None
        self._reranking.stop()

    def ready(self, is_cancelled: IsCancelled = never) -> EmbedderReady:
        return self._loaded().ready

    def embed(
        self, texts: tuple[str, ...], *, is_query: bool, is_cancelled: IsCancelled = never
    ) -> bytes:
        """As EmbedderProcess.embed; a text without a known piece is all zeros."""
        return self._vectors(self._ids(texts)).astype("<f2").tobytes()

    def embed_inputs(
        self, inputs: tuple[str | tuple[int, ...], ...], kind: str = ""
    ) -> tuple[bytes, int]:
        """As EmbedderProcess.embed_inputs. Raises DocumentError for ids of another model."""
        model = self._loaded()
        texts = tuple(
            given if isinstance(given, str) else _decoded(model, given) for given in inputs
        )
        ids = self._ids(texts)
        return self._vectors(ids).astype("<f4").tobytes(), sum(map(len, ids))

    def rerank(self, path: Path, query: str, texts: tuple[str, ...]) -> tuple[float, ...]:
        return self._reranking.rerank(path, query, texts)

    def _ids(self, texts: tuple[str, ...]) -> list[list[int]]:
        encodings = self._loaded().tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _vectors(self, ids: list[list[int]]) -> npt.NDArray[np.float32]:
        """Unit vectors, one for each list of ids."""
        table = self._loaded().table
        vectors = np.zeros((len(ids), table.shape[1]), np.float32)
        for row, pieces in enumerate(ids):
            if pieces:
                vectors[row] = table[pieces].astype(np.float32).mean(axis=0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: npt.NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
        return unit

    def _loaded(self) -> _Model:
        """Raises DocumentError."""
        with self._lock:
            if self._model is None:
                self._model = _load(self._path)
            return self._model


def _load(path: Path) -> _Model:
    from safetensors.numpy import load_file  # late: a command without documents needs neither
    from tokenizers import Tokenizer

    check_embedder(path)
    try:
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        table = load_file(path / "model.safetensors")[TABLE]
    except Exception as error:  # tokenizers raises a bare Exception
        raise broken(path, error) from error
    if table.ndim != 2 or len(table) < tokenizer.get_vocab_size():
        raise broken(path, f"{TABLE}: {table.shape}")
    ready = EmbedderReady(fingerprint(path), int(table.shape[1]), 0, "", "")
    return _Model(tokenizer, table, ready)


def _decoded(model: _Model, ids: tuple[int, ...]) -> str:
    limit = model.tokenizer.get_vocab_size()
    if max(ids) >= limit:
        raise DocumentError("documents.no_such_token_id", limit=limit)
    return str(model.tokenizer.decode(list(ids), skip_special_tokens=True))
