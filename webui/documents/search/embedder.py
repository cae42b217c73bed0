"""sentence-transformers' only door: texts → unit vectors, passages → scores. Local folders only.

Imported in the embedder's worker process and nowhere else: torch takes seconds and 400 MB. Nothing
is downloaded, no code from a model folder runs, and pickled weights are refused.
"""

import base64
from pathlib import Path
from typing import Any

import numpy
import sentence_transformers

from webui.documents.errors import DocumentError
from webui.documents.messages import EmbedderReady, EmbedInputs, InputVectors, Scores, Vectors
from webui.documents.search.model_folder import broken, check_embedder, check_reranker, fingerprint

_BATCH = 16
_RERANK_CHARS = 2000


class Embedder:
    """A bi-encoder. Raises DocumentError when `path` is none that can be used."""

    def __init__(self, path: Path, num_threads: int = 0) -> None:
        check_embedder(path)
        _use_threads(num_threads)
        try:
            self._model: Any = sentence_transformers.SentenceTransformer(
                str(path), local_files_only=True, trust_remote_code=False
            )
            dimensions = self._model.get_embedding_dimension()
            self._num_dimensions = int(dimensions or len(self._model.encode(["あ"])[0]))
        except Exception as error:  # a broken folder fails in any of a hundred ways
            raise broken(path, error) from error
        self._path = path

    def ready(self) -> EmbedderReady:
        return EmbedderReady(
            fingerprint=fingerprint(self._path),
            num_dimensions=self._num_dimensions,
            max_tokens=_max_tokens(self._model),
            query_prompt=self._prompt("query"),
            document_prompt=self._prompt("document"),
        )

    def embed(self, texts: tuple[str, ...], *, is_query: bool) -> Vectors:
        """Unit vectors with the model's own prompt for queries or documents."""
        encode = self._model.encode_query if is_query else self._model.encode_document
        vectors = encode(
            list(texts), batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True
        )
        return Vectors(base64.b64encode(_unit(vectors).astype("<f2").tobytes()).decode("ascii"))

    def embed_inputs(self, job: EmbedInputs) -> InputVectors:
        """Raises DocumentError for an input that is too long or has ids of another model."""
        tokenizer = self._model.tokenizer
        limit = _max_tokens(self._model)
        texts: list[str] = []
        num_tokens = 0
        for number, (text, ids) in enumerate(zip(job.texts, job.ids, strict=True)):
            shown = _decoded(tokenizer, ids) if ids else text
            count = _num_tokens(tokenizer, shown)
            if limit and count > limit:
                raise DocumentError(
                    "documents.input_too_long", number=number, num_tokens=count, limit=limit
                )
            texts.append(shown)
            num_tokens += count
        vectors = self._model.encode(
            texts,
            prompt=self._prompt(job.kind),
            batch_size=_BATCH,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        data = _unit(vectors).astype("<f4").tobytes()
        return InputVectors(base64.b64encode(data).decode("ascii"), num_tokens)

    def _prompt(self, kind: str) -> str:
        """The model's own for a query or a document; "" where it has none."""
        prompts = dict(self._model.prompts)
        return str(prompts.get(kind) or (kind == "document" and prompts.get("passage")) or "")


class Reranker:
    """A CrossEncoder. Raises DocumentError when `path` is none."""

    def __init__(self, path: Path) -> None:
        check_reranker(path)
        try:
            self._model: Any = sentence_transformers.CrossEncoder(
                str(path), local_files_only=True, trust_remote_code=False
            )
        except Exception as error:
            raise broken(path, error) from error

    def scores(self, query: str, texts: tuple[str, ...]) -> Scores:
        pairs = [(query, text[:_RERANK_CHARS]) for text in texts]
        values = self._model.predict(pairs, batch_size=_BATCH, show_progress_bar=False)
        return Scores(tuple(float(value) for value in numpy.asarray(values).reshape(len(texts))))


def _use_threads(num_threads: int) -> None:
    if num_threads > 0:
        import torch

        torch.set_num_threads(num_threads)


def _max_tokens(model: Any) -> int:
    length = model.max_seq_length
    return int(length) if isinstance(length, int | float) and 0 < length < 1e7 else 0


def _num_tokens(tokenizer: Any, text: str) -> int:
    """As the model counts them, its own marks included."""
    encoded = tokenizer.encode(text)
    return len(getattr(encoded, "ids", encoded))  # tokenizers' Encoding, or transformers' list


def _decoded(tokenizer: Any, ids: tuple[int, ...]) -> str:
    size = tokenizer.get_vocab_size() if hasattr(tokenizer, "get_vocab_size") else len(tokenizer)
    if max(ids) >= size:
        raise DocumentError("documents.no_such_token_id", limit=size)
    return str(tokenizer.decode(list(ids), skip_special_tokens=True))


def _unit(vectors: Any) -> Any:
    """Rows of length 1; a row that is no number is an error, not a wrong neighbour."""
    array = numpy.asarray(vectors, dtype=numpy.float32)
    if not numpy.isfinite(array).all():
        raise DocumentError("documents.embedder_broken", name="", reason="NaN")
    return array / numpy.maximum(numpy.linalg.norm(array, axis=1, keepdims=True), 1e-12)
