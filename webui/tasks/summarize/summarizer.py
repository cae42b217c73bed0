"""Summarizer: plan, then a bullet for each Span side by side; saved as it goes, resumable.

Knows documents, models and storage; knows nothing about pages, HTTP or the command line.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from webui.engine.client import Delta, Engine, EngineDeadError
from webui.engine.pool import EnginePool, Waiting
from webui.engine.request import SamplingParams, Usage
from webui.errors import AppError
from webui.models import ModelSpec
from webui.storage import Status, Storage, SummaryRecord
from webui.strings import Language
from webui.tasks.formats import Formats
from webui.tasks.meaning import FindEmbedder, no_embedder
from webui.tasks.summarize.composing import Composition, LiveSection
from webui.tasks.summarize.evidence import Evidence, evidence_of
from webui.tasks.summarize.planning import (
    Capacity,
    Plan,
    Rates,
    make_plan,
    plan_key,
    with_eta,
)
from webui.tasks.summarize.prompting import Prompting
from webui.tasks.summarize.result import Summary, finish
from webui.tasks.summarize.settings import SummarySettings, limits_of
from webui.tasks.summarize.source import Source

UPDATE_S = 0.1
HEARTBEAT_S = 0.5
RATES_SETTING = "summary_rates:"  # + model id
PROBE_TOKENS, PROBE_ANSWER = 160, 12
MAX_DEATHS = 2  # of the worker that one run survives without progress between them


class RunState(StrEnum):
    LOADING = "loading"
    QUEUED = "queued"
    READING = "reading"  # no bullet has been written yet
    WRITING = "writing"
    MERGING = "merging"
    DONE = "done"
    STOPPED = "stopped"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class SummaryUpdate:
    """How far it is. `sections`: what is being written or merged, in order."""

    state: RunState
    summary_id: str = ""
    num_done: int = 0
    num_calls: int = 0
    eta_s: float | None = None
    elapsed_s: float = 0.0
    load_fraction: float = 0.0
    sections: tuple[LiveSection, ...] = ()
    result: Summary | None = None
    error: str = ""
    failure: AppError | None = None  # what `error` tells


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, bound to the model it was made for."""

    plan: Plan
    model: ModelSpec
    num_resumed: int = 0  # finished parts of an earlier run that will be taken over


@dataclass(slots=True)
class _Job:
    """One run: what it is about and where its parts are."""

    owner: str
    source: Source
    settings: SummarySettings
    spec: ModelSpec
    started_at: float = field(default_factory=time.perf_counter)
    rates: Rates | None = None
    record: SummaryRecord | None = None
    composition: Composition | None = None
    writing_s: float = 0.0


class Summarizer:
    """`find_embedder` tells the documents' embedder, None while there is none."""

    def __init__(
        self,
        storage: Storage,
        pool: EnginePool,
        formats: Formats,
        find_embedder: FindEmbedder = no_embedder,
    ) -> None:
        self._storage = storage
        self._pool = pool
        self._formats = formats
        self._find_embedder = find_embedder

    def model_of(self, model_id: str) -> ModelSpec:
        """The model with this id; "" is the usual one. Raises AppError."""
        return self._pool.spec(model_id)

    async def plan(
        self, owner: str, source: Source, settings: SummarySettings, model_id: str = ""
    ) -> AsyncGenerator[Waiting | Planned, None]:
        """Waiting while the model is loaded, then the plan with its time on this machine.

        Raises AppError: no model, no room, nothing to summarise.
        """
        job = _Job(owner, source, settings, self._pool.spec(model_id))
        async with aclosing(self._pool.leased(job.spec.id, owner)) as states:
            async for state in states:
                if isinstance(state, Waiting):
                    yield state
                    continue
                prompting, plan = await self._planned(job, state)
                key = plan_key(source, prompting, plan, job.spec.id)
                yield Planned(plan, job.spec, self._num_finished(owner, key))
                return

    async def run(
        self,
        owner: str,
        source: Source,
        settings: SummarySettings,
        *,
        model_id: str = "",
        language: Language = Language.JA,
    ) -> AsyncGenerator[SummaryUpdate, None]:
        """Updates at once and at least every HEARTBEAT_S; the last is DONE or ERROR.

        Closing the generator stops the run; its finished parts stay, and a run with the same
        text, settings and model goes on with them. So does this one when the worker dies.
        """
        job = _Job(owner, source, settings, self._pool.spec(model_id))
        num_deaths = num_done = 0
        try:
            while True:
                try:
                    async with aclosing(self._attempt(job)) as updates:
                        async for update in updates:
                            yield update
                    return
                except EngineDeadError:
                    progress = job.composition.num_done if job.composition else 0
                    num_deaths = 1 if progress > num_done else num_deaths + 1
                    num_done = progress
                    if num_deaths > MAX_DEATHS:
                        raise
        except AppError as error:
            self._end(job, Status.ERROR)
            yield self._update(job, RunState.ERROR, error=error.message(language), failure=error)
        finally:
            self._end(job, Status.PARTIAL)

    async def _attempt(self, job: _Job) -> AsyncGenerator[SummaryUpdate, None]:
        """Make the plan, then wait for as many places as it can use, then do it."""
        if job.composition is None:
            async with aclosing(self._leased(job, 1)) as states:
                async for state in states:
                    if isinstance(state, SummaryUpdate):
                        yield state
                        continue
                    yield self._update(job, RunState.READING)
                    await self._begin(job, state)
        assert job.composition is not None
        async with aclosing(self._leased(job, job.composition.plan.parallel)) as states:
            async for state in states:
                if isinstance(state, SummaryUpdate):
                    yield state
                    continue
                async with aclosing(self._work(job, state)) as updates:
                    async for update in updates:
                        yield update
        async with aclosing(self._finished(job, job.composition)) as updates:
            async for update in updates:
                yield update

    async def _leased(self, job: _Job, weight: int) -> AsyncGenerator[SummaryUpdate | Engine, None]:
        """Updates while waiting, then the engine; it ends when the lease is over."""
        leased = self._pool.leased(job.spec.id, job.owner, weight, is_background=True)
        async with aclosing(leased) as states:
            async for state in states:
                if isinstance(state, Waiting):
                    kind = RunState.LOADING if state.is_loading else RunState.QUEUED
                    yield self._update(job, kind, load_fraction=state.load_fraction)
                else:
                    yield state
                    return

    async def _work(self, job: _Job, engine: Engine) -> AsyncGenerator[SummaryUpdate, None]:
        composition = job.composition
        assert composition is not None
        began_at, shown_at = time.perf_counter(), 0.0
        was_fresh = composition.num_done == 0
        async with aclosing(composition.run(engine)) as changes:
            async for has_ended_part in changes:
                now = time.perf_counter()
                if has_ended_part or now - shown_at >= UPDATE_S:
                    shown_at = now
                    yield self._update(job, _state_of(composition))
        job.writing_s = time.perf_counter() - began_at
        if was_fresh:
            self._learn(job, composition.plan, job.writing_s)

    async def _finished(
        self, job: _Job, composition: Composition
    ) -> AsyncGenerator[SummaryUpdate, None]:
        """Sources and flags; the model's places are others' by now."""
        points, language = composition.points, job.settings.language
        task: asyncio.Task[Evidence] = asyncio.create_task(
            evidence_of(job.source, points, language, self._find_embedder)
        )
        try:
            while not (await asyncio.wait((task,), timeout=HEARTBEAT_S))[0]:
                yield self._update(job, _state_of(composition))
        finally:
            task.cancel()
        result = await asyncio.to_thread(
            finish, job.source, job.settings, composition, task.result(), job.spec, job.writing_s
        )
        self._end(job, Status.COMPLETE, result)
        yield self._update(job, RunState.DONE, result=result)

    # --- parts -----------------------------------------------------------------------------------

    async def _begin(self, job: _Job, engine: Engine) -> None:
        """The plan, its record, and what an earlier run has finished of it."""
        prompting, plan = await self._planned(job, engine)
        job.record = self._storage.summaries.begin(
            job.owner,
            plan_key(job.source, prompting, plan, job.spec.id),
            title=job.source.title,
            model_id=job.spec.id,
            settings=job.settings.values(),
            source=job.source.values(),
            num_parts=plan.num_calls,
        )
        record_id = job.record.id

        def save(stage: int, position: int, value: dict[str, Any]) -> None:
            self._storage.summaries.save_part(job.owner, record_id, stage, position, value)

        finished = self._storage.summaries.parts(job.owner, record_id)
        job.composition = Composition(job.source, prompting, plan, finished, save)

    async def _planned(self, job: _Job, engine: Engine) -> tuple[Prompting, Plan]:
        assert engine.tokenizer is not None, "a leased engine is loaded"
        choice = self._formats.choice(job.spec, engine.tokenizer, job.owner)
        prompting = Prompting(engine.tokenizer, choice, job.settings)
        job.rates = await self._rates(job.owner, job.spec, engine)
        plan = await asyncio.to_thread(make_plan, job.source, prompting, _capacity(engine))
        return prompting, with_eta(plan, job.rates, limits_of(job.settings), job.settings.mode)

    def _end(self, job: _Job, status: Status, result: Summary | None = None) -> None:
        """Once: what was said first about how it ended stays."""
        if job.record is None or job.record.status is not Status.WRITING:
            return
        job.record = replace(job.record, status=status)
        values = result.values() if result else None
        self._storage.summaries.end(job.owner, job.record.id, status, values)

    def _num_finished(self, owner: str, key: str) -> int:
        records = self._storage.summaries.newest(owner)
        same = (r for r in records if r.key == key and r.status is not Status.COMPLETE)
        return next((record.num_parts_done for record in same), 0)

    # --- the model -------------------------------------------------------------------------------

    async def _rates(self, owner: str, spec: ModelSpec, engine: Engine) -> Rates:
        """As measured on this machine: remembered, or by one short request."""
        saved = self._storage.setting(owner, RATES_SETTING + spec.id)
        if saved:
            return _rates_from(json.loads(saved))
        usage = await _probe(engine)
        prefill_s = max(1e-3, usage.time_to_first_token_s - usage.queue_s)
        num_read = max(1, usage.prompt_tokens - usage.cached_tokens)
        rates = Rates(num_read / prefill_s, max(0.1, usage.tokens_per_s))
        self._save_rates(owner, spec, rates)
        return rates

    def _learn(self, job: _Job, plan: Plan, elapsed_s: float) -> None:
        """Halfway from the old correction to what this run would have needed."""
        assert job.rates is not None
        needed = job.rates.factor * elapsed_s / max(plan.eta_s, 1e-3)
        factor = min(20.0, max(0.05, (job.rates.factor + needed) / 2))
        self._save_rates(job.owner, job.spec, replace(job.rates, factor=factor))

    def _save_rates(self, owner: str, spec: ModelSpec, rates: Rates) -> None:
        self._storage.set_setting(owner, RATES_SETTING + spec.id, json.dumps(asdict(rates)))

    # --- what is shown ---------------------------------------------------------------------------

    def _update(self, job: _Job, state: RunState, **values: Any) -> SummaryUpdate:
        composition = job.composition
        elapsed_s = time.perf_counter() - job.started_at
        summary_id = job.record.id if job.record else ""
        if composition is None:
            return SummaryUpdate(state, summary_id, elapsed_s=elapsed_s, **values)
        return SummaryUpdate(
            state,
            summary_id,
            composition.num_done,
            composition.num_calls,
            composition.eta_s(),
            elapsed_s,
            sections=composition.live(),
            **values,
        )


async def _probe(engine: Engine) -> Usage:
    """One short request: how fast does it read, how fast does it write?"""
    assert engine.tokenizer is not None
    ids = engine.tokenizer.encode_text("これは速さを測るための文です。" * PROBE_TOKENS)
    sampling = SamplingParams(max_tokens=PROBE_ANSWER, temperature=0, ignore_eos=True)
    events = engine.generate(ids[:PROBE_TOKENS], sampling)
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Delta) and event.usage:
                return event.usage
    raise EngineDeadError


def _state_of(composition: Composition) -> RunState:
    if composition.is_merging:
        return RunState.MERGING
    return RunState.WRITING if composition.live() else RunState.READING


def _capacity(engine: Engine) -> Capacity:
    assert engine.ready is not None
    return Capacity(engine.ready.n_ctx, engine.ready.n_slots)


def _rates_from(values: Mapping[str, float]) -> Rates:
    return Rates(values["prefill"], values["decode"], values["factor"])
