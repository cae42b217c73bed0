"""EnginePool: which models are loaded, within a memory budget; whoever has to wait waits in turn.

A request holds a lease on its engine, so a model is never taken away from a running answer. Two
models that do not fit together are loaded one after the other. Knows nothing about prompts.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from webui.config import LOCAL_USER, Settings
from webui.credentials import login_needed, max_waiting_of_one
from webui.engine.client import Engine
from webui.engine.memory import budget_bytes, needed_bytes
from webui.engine.metering import Metering
from webui.engine.options import ModelOptions, load_message
from webui.engine.remote import RemoteEngine
from webui.engine.request import LoadModel
from webui.engine.turns import Ticket, Turns
from webui.errors import AppError
from webui.models import Catalog, ModelSpec

HEARTBEAT_S = 0.5  # leased() is never quiet for longer


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """No engine yet: others are served before, or the model is being loaded."""

    num_ahead: int
    is_loading: bool
    load_fraction: float = 0.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A model as somebody waits for it."""

    spec: ModelSpec
    load: LoadModel
    num_bytes: int


@dataclass(slots=True, eq=False)
class _Resident:
    """A model in memory, or on its way there or out."""

    spec: ModelSpec
    engine: Engine
    num_bytes: int  # that it will take
    used_at: float
    is_moving: bool = False  # loading or unloading


class EnginePool:
    """`options_of` a model id says how it is to be loaded where that differs from the settings.

    Not thread-safe: use it from one event loop.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: Settings,
        options_of: Callable[[str], ModelOptions] = lambda _: ModelOptions(),
    ) -> None:
        self.catalog = catalog
        self.metering = Metering()
        self.turns = Turns(
            settings.max_waiting, max_waiting_of_one(settings), is_shared=login_needed(settings)
        )
        self._settings = settings
        self._options_of = options_of
        self._residents: dict[str, _Resident] = {}
        self._states: dict[str, ModelState] = {}
        self._grants: dict[Ticket, asyncio.Future[Engine]] = {}
        self._wanted: dict[Ticket, _Wanted] = {}
        self._moves: set[asyncio.Task[None]] = set()
        self._is_closed = False

    # --- what is there ---------------------------------------------------------------------------

    @property
    def current_id(self) -> str:
        """Id of the model used last of those that are loaded, "" when none is."""
        newest = self._newest()
        return newest.spec.id if newest else ""

    @property
    def engine(self) -> Engine | None:
        newest = self._newest()
        return newest.engine if newest else None

    def loaded(self, model_id: str) -> Engine | None:
        """The engine of this model when it can be used at once."""
        resident = self._residents.get(model_id)
        return resident.engine if resident and resident.engine.is_alive else None

    def loaded_ids(self) -> list[str]:
        return [model_id for model_id in self._residents if self.loaded(model_id)]

    def resident_ids(self) -> list[str]:
        """Those in memory, and those on their way there."""
        return list(self._residents)

    def models(self) -> list[ModelSpec]:
        return self.catalog.models()

    def state(self, model_id: str) -> ModelState:
        return self._states.get(model_id, ModelState(LoadState.UNLOADED))

    def spec(self, model_id: str = "") -> ModelSpec:
        """The entry for `model_id`, for the current model, or the default. Raises AppError."""
        wanted = model_id or self.current_id or self._settings.model
        spec = self.catalog.get(wanted) if wanted else self.catalog.default()
        family = self._options_of(spec.id).family
        return replace(spec, family=family) if family else spec

    # --- leases ----------------------------------------------------------------------------------

    async def leased(
        self,
        model_id: str = "",
        owner: str = LOCAL_USER,
        weight: int = 1,
        *,
        is_background: bool = False,
    ) -> AsyncGenerator[Waiting | Engine, None]:
        """Waiting at once and every HEARTBEAT_S, then the engine, which is ours until aclose().

        `is_background`: whoever waits for an answer passes it; its calls must say the same.

        A dead worker is started again. Going away does not cancel a load that has begun.
        Raises TooBusyError, and why the model cannot be had.
        """
        spec = self.spec(model_id)
        if spec.error:
            self._set_state(spec, LoadState.FAILED, error=spec.error)
            raise spec.error
        wanted = await self._want(spec)
        at_once = min(weight, self.most_at_once(wanted.load))
        ticket = Ticket(spec.id, owner, at_once, is_background)
        self.turns.add(ticket)
        self._wanted[ticket] = wanted
        grant = self._grants[ticket] = asyncio.get_running_loop().create_future()
        try:
            self._serve()
            while not grant.done():
                yield self._waiting(ticket)
                await asyncio.wait({grant}, timeout=HEARTBEAT_S)
            yield grant.result()
        finally:
            self._end(ticket)

    @asynccontextmanager
    async def lease(self, model_id: str = "", owner: str = LOCAL_USER) -> AsyncIterator[Engine]:
        """The engine for the length of a block."""
        async with contextlib.aclosing(self.leased(model_id, owner)) as states:
            async for state in states:
                if isinstance(state, Engine):
                    yield state
                    return

    def most_at_once(self, load: LoadModel) -> int:
        """Sequences that the holder of one lease may compute at the same time."""
        return self.turns.most_at_once(load.n_slots)

    async def unload(self, model_id: str = "") -> None:
        """Give back the memory of one model, or of all, once their requests have ended."""
        for resident in list(self._residents.values()):
            if model_id in ("", resident.spec.id):
                while self.turns.load_of(resident.spec.id) or resident.is_moving:
                    await asyncio.sleep(0.02)
                await self._unload(resident)
        self._serve()

    async def close(self) -> None:
        """End every worker now, requests or not."""
        self._is_closed = True
        for move in self._moves:
            move.cancel()
        await asyncio.gather(*self._moves, return_exceptions=True)
        await asyncio.gather(*(r.engine.stop() for r in self._residents.values()))

    async def _want(self, spec: ModelSpec) -> _Wanted:
        """How it is to be loaded, and how much memory that takes."""
        resident = self._residents.get(spec.id)
        if resident:
            return _Wanted(spec, resident.engine.load, resident.num_bytes)
        load = load_message(self._settings, self._options_of(spec.id), spec)
        return _Wanted(spec, load, await asyncio.to_thread(needed_bytes, spec, load))

    def _waiting(self, ticket: Ticket) -> Waiting:
        state = self.state(ticket.model_id)
        is_loading = state.state is LoadState.LOADING
        return Waiting(self.turns.num_ahead(ticket), is_loading, state.fraction)

    def _end(self, ticket: Ticket) -> None:
        self.turns.end(ticket)
        del self._grants[ticket], self._wanted[ticket]
        resident = self._residents.get(ticket.model_id)
        if resident and not self.turns.load_of(ticket.model_id):
            resident.used_at = time.monotonic()
            self._unload_when_idle(resident)
            self._share_threads()
        self._serve()

    # --- whose turn it is ------------------------------------------------------------------------

    def _serve(self) -> None:
        """Give leases to all who can have one now; begin a load when the next one needs it.

        Who waits for memory lets nobody pass, or a busy model would keep it waiting for ever.
        Who waits for a place on its own model lets those of other models pass; who has as many
        as one person may have lets everybody else pass.
        """
        full: set[str] = set()
        for ticket in self.turns.in_turn():
            if self._is_closed or ticket.model_id in full:
                continue
            resident = self._residents.get(ticket.model_id)
            is_ready = resident and resident.engine.is_alive and not resident.is_moving
            if resident and is_ready:
                if self.turns.is_at_limit(ticket, resident.engine.load.n_slots):
                    continue
                if self._has_place(ticket, resident):
                    self._grant(ticket, resident)
                    continue
            full.add(ticket.model_id)
            is_moving = any(other.is_moving for other in self._residents.values())
            if not (is_ready or is_moving or self._make_room_and_load(self._wanted[ticket])):
                return

    def _has_place(self, ticket: Ticket, resident: _Resident) -> bool:
        num_running = self.turns.load_before(ticket)
        return num_running + ticket.weight <= resident.engine.load.n_slots

    def _grant(self, ticket: Ticket, resident: _Resident) -> None:
        resident.used_at = time.monotonic()
        self.turns.begin(ticket)
        self._share_threads()
        self._grants[ticket].set_result(resident.engine)

    def _share_threads(self) -> None:
        """Models that compute at the same time divide the threads: with more than there are cores,
        each step would wait, spinning, for one that is not running (docs/decisions/0071)."""
        busy = [
            resident.engine
            for resident in self._residents.values()
            if self.turns.load_of(resident.spec.id) and not resident.spec.remote
        ]
        for number, engine in enumerate(busy):
            share = (engine.load.n_threads + len(busy) - 1 - number) // len(busy)
            engine.use_threads(max(1, share))

    def _make_room_and_load(self, wanted: _Wanted) -> bool:
        """Begin to load it, unless others must end first."""
        spec = wanted.spec
        victims = self._victims(wanted.num_bytes, spec.id)
        if victims is None:
            return False
        engine = self._new_engine(wanted)
        dead = self._residents.get(spec.id)
        resident = dead or _Resident(spec, engine, wanted.num_bytes, time.monotonic())
        for moving in (resident, *victims):
            moving.is_moving = True
        self._residents[spec.id] = resident
        self._set_state(spec, LoadState.LOADING)
        self._move(self._load(resident, victims))
        return True

    def _new_engine(self, wanted: _Wanted) -> Engine:
        spec, meter = wanted.spec, self.metering.of(wanted.spec.id)
        if spec.remote:
            return RemoteEngine(spec.remote, wanted.load, spec.name, meter)
        return Engine(wanted.load, spec.name, meter)

    def _victims(self, num_bytes: int, model_id: str) -> list[_Resident] | None:
        """Whom to unload, the longest unused first; None while one of them is in use.

        A model that is larger than the whole budget is tried alone: llama.cpp says it better.
        """
        others = [r for r in self._residents.values() if r.spec.id != model_id]
        free = budget_bytes(self._settings) - sum(r.num_bytes for r in others)
        victims: list[_Resident] = []
        idle_first = sorted(others, key=lambda r: (self.turns.load_of(r.spec.id) > 0, r.used_at))
        while free < num_bytes and idle_first:
            victims.append(idle_first.pop(0))
            free += victims[-1].num_bytes
        return None if any(self.turns.load_of(r.spec.id) for r in victims) else victims

    # --- in and out of memory --------------------------------------------------------------------

    async def _load(self, resident: _Resident, victims: list[_Resident]) -> None:
        spec = resident.spec
        try:
            for victim in victims:
                await self._unload(victim)
            await resident.engine.start(lambda done: self._set_state(spec, LoadState.LOADING, done))
        except AppError as error:
            self._fail(resident, error)
        except BaseException:
            self._fail(resident, AppError("engine.load_failed", name=spec.name, reason="?"))
            raise
        else:
            self._set_state(spec, LoadState.READY)
        finally:
            resident.is_moving = False
            self._serve()

    def _fail(self, resident: _Resident, error: AppError) -> None:
        spec = resident.spec
        self._residents.pop(spec.id, None)
        self._set_state(spec, LoadState.FAILED, error=error)
        for ticket in [t for t in self.turns.waiting if t.model_id == spec.id]:
            self.turns.end(ticket)
            if not self._grants[ticket].done():
                self._grants[ticket].set_exception(error)

    async def _unload(self, resident: _Resident) -> None:
        resident.is_moving = True
        await resident.engine.stop()
        self._residents.pop(resident.spec.id, None)
        self._set_state(resident.spec, LoadState.UNLOADED)

    def _unload_when_idle(self, resident: _Resident) -> None:
        if self._settings.idle_minutes and not self._is_closed:
            idle_s = self._settings.idle_minutes * 60
            asyncio.get_running_loop().call_later(idle_s, self._unload_idle, resident, idle_s)

    def _unload_idle(self, resident: _Resident, idle_s: float) -> None:
        is_used = time.monotonic() < resident.used_at + idle_s
        is_there = self._residents.get(resident.spec.id) is resident and not resident.is_moving
        if is_there and not (is_used or self._is_closed or self.turns.load_of(resident.spec.id)):
            resident.is_moving = True
            self._move(self._unload_and_serve(resident))

    def _move(self, work: Coroutine[Any, Any, None]) -> None:
        move = asyncio.create_task(work)
        self._moves.add(move)
        move.add_done_callback(self._moves.discard)

    async def _unload_and_serve(self, resident: _Resident) -> None:
        await self._unload(resident)
        self._serve()

    def _newest(self) -> _Resident | None:
        ready = [r for r in self._residents.values() if not r.is_moving]
        return max(ready, key=lambda resident: resident.used_at, default=None)

    def _set_state(
        self,
        spec: ModelSpec,
        state: LoadState,
        fraction: float = 0.0,
        error: AppError | None = None,
    ) -> None:
        self._states[spec.id] = ModelState(state, fraction, error, time.monotonic())
