"""EnginePool: which model is loaded. One at a time; whoever wants another one waits, in order.

A request holds a lease on its engine, so a model is never taken away from a running answer.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from webui.catalog import Catalog, ModelSpec
from webui.config import Settings
from webui.engine.client import Engine
from webui.engine.hardware import physical_cores
from webui.engine.request import LoadModel
from webui.errors import AppError


class LoadState(StrEnum):
    UNLOADED = "unloaded"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ModelState:
    state: LoadState
    fraction: float = 0.0  # of the weights, while loading
    error: AppError | None = None
    since: float = 0.0


class EnginePool:
    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self.catalog = catalog
        self._settings = settings
        self._engine: Engine | None = None
        self._spec: ModelSpec | None = None
        self._num_leases = 0
        self._states: dict[str, ModelState] = {}
        self._turn = asyncio.Lock()  # asyncio.Lock is fair: first come, first served
        self._loading = asyncio.Lock()  # held until a load has ended, whoever waits for it
        self._unused = asyncio.Event()
        self._unused.set()

    @property
    def current_id(self) -> str:
        """Id of the loaded model, "" when none is."""
        return self._spec.id if self._spec else ""

    @property
    def engine(self) -> Engine | None:
        return self._engine

    def models(self) -> list[ModelSpec]:
        return self.catalog.models()

    def state(self, model_id: str) -> ModelState:
        return self._states.get(model_id, ModelState(LoadState.UNLOADED))

    def spec(self, model_id: str = "") -> ModelSpec:
        """The entry for `model_id`, for the loaded model, or the default. Raises AppError."""
        wanted = model_id or self.current_id or self._settings.model
        return self.catalog.get(wanted) if wanted else self.catalog.default()

    async def acquire(self, model_id: str = "") -> Engine:
        """The engine of `model_id`, loaded, and kept until release(). Raises AppError.

        A dead worker is started again. Another loaded model is unloaded first, when its last
        request has ended. Cancelling the wait does not cancel a load that has begun.
        """
        async with self._turn:
            engine = await asyncio.shield(self._load(self.spec(model_id)))
            self._num_leases += 1
            self._unused.clear()
            return engine

    def release(self) -> None:
        """Give one acquire() back."""
        self._num_leases -= 1
        if self._num_leases == 0:
            self._unused.set()

    @asynccontextmanager
    async def lease(self, model_id: str = "") -> AsyncIterator[Engine]:
        """acquire() and release() around a block."""
        engine = await self.acquire(model_id)
        try:
            yield engine
        finally:
            self.release()

    async def unload(self) -> None:
        async with self._turn, self._loading:
            await self._unload()

    async def close(self) -> None:
        """End every worker now, requests or not."""
        if self._engine:
            await self._engine.stop()

    async def _load(self, spec: ModelSpec) -> Engine:
        if spec.error:
            self._set_state(spec, LoadState.FAILED, error=spec.error)
            raise spec.error
        async with self._loading:
            if self._engine and self._spec and self._spec.path != spec.path:
                await self._unload()
            return await self._start(spec)

    async def _start(self, spec: ModelSpec) -> Engine:
        engine = self._engine or Engine(self._load_message(spec), spec.name)
        if engine.is_alive:
            return engine
        self._engine, self._spec = engine, spec
        self._set_state(spec, LoadState.LOADING)
        try:
            await engine.start(lambda done: self._set_state(spec, LoadState.LOADING, done))
        except AppError as error:
            self._engine = self._spec = None
            self._set_state(spec, LoadState.FAILED, error=error)
            raise
        self._set_state(spec, LoadState.READY)
        return engine

    async def _unload(self) -> None:
        await self._unused.wait()
        if self._engine and self._spec:
            await self._engine.stop()
            self._set_state(self._spec, LoadState.UNLOADED)
        self._engine = self._spec = None

    def _set_state(
        self,
        spec: ModelSpec,
        state: LoadState,
        fraction: float = 0.0,
        error: AppError | None = None,
    ) -> None:
        self._states[spec.id] = ModelState(state, fraction, error, time.monotonic())

    def _load_message(self, spec: ModelSpec) -> LoadModel:
        settings = self._settings
        return LoadModel(
            path=str(spec.path),
            n_ctx=settings.n_ctx,
            n_slots=settings.n_slots,
            n_batch=settings.n_batch,
            n_threads=settings.n_threads or physical_cores(),
            n_gpu_layers=settings.n_gpu_layers,
            flash_attn=settings.flash_attn,
            kv_type=settings.kv_type,
            mmap=settings.mmap,
            mlock=settings.mlock,
        )
