"""Embeddings: texts or token ids → vectors, as a program asks for them.

By the model that documents are embedded with, in its own process, or by a model of another server.
Inputs go a few at a time, so that several programs and the documents' own job take turns. Nothing
is cut: an input that is too long is refused. Knows nothing about HTTP.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from webui.config import LOCAL_USER
from webui.documents.errors import DocumentError
from webui.documents.process import WorkerDiedError
from webui.documents.search.embedder_process import LocalEmbedder, TextEmbedder
from webui.engine.pool import EnginePool
from webui.engine.remote import RemoteEngine
from webui.engine.turns import TooBusyError
from webui.tasks.complete import BadAskError

BATCH = 16  # inputs that go to the process at a time
MAX_TOKENS = 300_000  # of one request, as OpenAI's limit
RETRY_AFTER_S = 5
# What the process may say about the inputs themselves, by the parameter to change.
INPUT_ERRORS = frozenset({"documents.input_too_long", "documents.no_such_token_id"})

Input = str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EmbedAsk:
    inputs: tuple[Input, ...]
    model_id: str = ""  # "" = the model that documents are embedded with
    owner: str = LOCAL_USER
    dimensions: int = 0  # 0 = all that the model gives
    kind: str = ""  # query | document: with the model's own prompt for it


@dataclass(slots=True)
class Embedded:
    """Unit vectors, one for each input."""

    model_id: str
    vectors: list[np.ndarray] = field(default_factory=list)  # float32
    num_tokens: int = 0


class Embeddings:
    """`find_local` tells the documents' embedder, None while there is none."""

    def __init__(
        self,
        find_local: Callable[[], LocalEmbedder | None],
        pool: EnginePool,
        max_waiting_per_owner: int,
    ) -> None:
        self._find_local = find_local
        self._pool = pool
        self._max_waiting = max_waiting_per_owner
        self._waiting: Counter[str] = Counter()
        self._turn = asyncio.Semaphore(1)  # first come, first served, batch by batch

    def local(self) -> LocalEmbedder | None:
        return self._find_local()

    async def run(self, ask: EmbedAsk) -> Embedded:
        """Raises AppError."""
        for number, given in enumerate(ask.inputs):
            if not given:
                raise BadAskError("serving.empty_input", "input", number=number)
        async with self._place(ask.owner):
            local = self.local()
            if local and ask.model_id in ("", local.name):
                return await self._run_local(local, ask)
            if not ask.model_id:
                raise BadAskError("serving.no_embedder", "model")
            return await self._run_remote(ask)

    @asynccontextmanager
    async def _place(self, owner: str) -> AsyncIterator[None]:
        """One of the places that an owner has. Raises TooBusyError."""
        if self._waiting[owner] >= self._max_waiting:
            limit = self._max_waiting
            raise TooBusyError("serving.too_many_of_yours", RETRY_AFTER_S, limit=limit)
        self._waiting[owner] += 1
        try:
            yield
        finally:
            self._waiting[owner] -= 1

    async def _run_local(self, local: LocalEmbedder, ask: EmbedAsk) -> Embedded:
        made = Embedded(local.name)
        for batch in _batches(ask.inputs):
            async with self._turn:
                data, num_tokens = await asyncio.to_thread(_embed, local.process, batch, ask.kind)
            made.num_tokens += num_tokens
            if made.num_tokens > MAX_TOKENS:
                raise BadAskError("serving.too_many_input_tokens", "input", limit=MAX_TOKENS)
            vectors = np.frombuffer(data, "<f4").reshape(len(batch), -1)
            made.vectors += [shortened(vector, ask.dimensions) for vector in vectors]
        self._pool.metering.of(local.name).prompt_tokens += made.num_tokens
        return made

    async def _run_remote(self, ask: EmbedAsk) -> Embedded:
        spec = self._pool.spec(ask.model_id)
        if not spec.remote:
            raise BadAskError("serving.not_an_embedder", "model", name=spec.name)
        if ask.kind:
            raise BadAskError("serving.only_here", "input_type")
        async with self._pool.lease(spec.id, ask.owner) as engine:
            assert isinstance(engine, RemoteEngine)
            rows, num_tokens = await engine.embed(ask.inputs, ask.dimensions)
        vectors = [np.array(row, np.float32) for row in rows]
        return Embedded(spec.id, vectors, num_tokens)


def shortened(vector: np.ndarray, num_dimensions: int) -> np.ndarray:
    """Its first dimensions as a unit vector (Matryoshka models are trained for that)."""
    if not num_dimensions:
        return vector
    if num_dimensions > len(vector):
        raise BadAskError("serving.too_many_dimensions", "dimensions", limit=len(vector))
    head = vector[:num_dimensions]
    return head / max(float(np.linalg.norm(head)), 1e-12)


def _batches(inputs: Sequence[Input]) -> Iterator[tuple[Input, ...]]:
    for start in range(0, len(inputs), BATCH):
        yield tuple(inputs[start : start + BATCH])


def _embed(process: TextEmbedder, batch: tuple[Input, ...], kind: str) -> tuple[bytes, int]:
    """In a thread; a process that has died meanwhile is started once more. Raises AppError."""
    try:
        try:
            return process.embed_inputs(batch, kind)
        except WorkerDiedError:
            return process.embed_inputs(batch, kind)
    except DocumentError as error:
        if error.key in INPUT_ERRORS:
            raise BadAskError(error.key, "input", **error.values) from error
        raise
