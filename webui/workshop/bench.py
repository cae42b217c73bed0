"""How fast a model is on this machine: reading, writing, time to the first token, memory.

Results are plain rows, kept per machine in the settings. Knows nothing about the page.
"""

import asyncio
import json
import platform
import random
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum

from webui.config import LOCAL_USER
from webui.engine.client import Delta, Engine
from webui.engine.memory import resident_bytes
from webui.engine.options import KeyValueStore
from webui.engine.request import SamplingParams
from webui.models import ModelSpec

STREAMS = (1, 4, 8)
NUM_PROMPT = 256
NUM_GENERATED = 48
KEY = "bench_results"
MAX_KEPT = 200
SAMPLE = (
    "むかしむかし、ある山のふもとに小さな村がありました。村の人々は毎朝早く起きて畑を耕し、"
    "夕方になると川のほとりに集まって、その日にあったことを静かに語り合いました。"
)


class Rating(StrEnum):
    """How generation at this speed feels."""

    SLOW = "slow"
    MINIMUM = "minimum"
    COMFORTABLE = "comfortable"
    FAST = "fast"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class BenchRow:
    model_id: str
    name: str
    quantization: str
    size_bytes: int
    num_streams: int
    prompt_per_s: float  # tokens read, all streams together
    generated_per_s: float  # tokens written, all streams together
    first_token_s: float  # mean over the streams
    memory_bytes: int
    n_threads: int
    machine: str
    measured_at: float  # unix seconds

    @property
    def rating(self) -> Rating:
        return rate(self.generated_per_s / self.num_streams)


def rate(tokens_per_s: float) -> Rating:
    """Of one stream."""
    steps = ((2, Rating.SLOW), (5, Rating.MINIMUM), (20, Rating.COMFORTABLE), (50, Rating.FAST))
    return next((rating for limit, rating in steps if tokens_per_s < limit), Rating.BATCH)


async def measure(
    engine: Engine,
    spec: ModelSpec,
    *,
    streams: Sequence[int] = STREAMS,
    num_prompt: int = NUM_PROMPT,
    num_generated: int = NUM_GENERATED,
) -> AsyncGenerator[BenchRow, None]:
    """One row for each number of streams that the engine has slots for."""
    assert engine.tokenizer is not None, "a started engine"
    pieces = engine.tokenizer.encode_text(SAMPLE)
    n_ctx = engine.ready.n_ctx if engine.ready else 0
    for num_streams in streams:
        room = n_ctx // num_streams - num_generated - 8
        if num_streams > engine.load.n_slots or room < 16:
            continue
        dice = random.Random(time.time_ns())  # other prompts each time: nothing is cached
        prompts = [dice.choices(pieces, k=min(num_prompt, room)) for _ in range(num_streams)]
        begun = time.perf_counter()
        runs = await asyncio.gather(*(_run(engine, prompt, num_generated) for prompt in prompts))
        yield _row(engine, spec, begun, runs)


@dataclass(frozen=True, slots=True)
class _Run:
    num_prompt: int
    num_generated: int
    first_at: float
    last_at: float


async def _run(engine: Engine, prompt: list[int], num_generated: int) -> _Run:
    sampling = SamplingParams(max_tokens=num_generated, temperature=0, ignore_eos=True)
    first_at, count = 0.0, 0
    async for event in engine.generate(prompt, sampling):
        if isinstance(event, Delta) and event.token_ids:
            first_at = first_at or time.perf_counter()
            count += len(event.token_ids)
    return _Run(len(prompt), count, first_at or time.perf_counter(), time.perf_counter())


def _row(engine: Engine, spec: ModelSpec, begun: float, runs: Sequence[_Run]) -> BenchRow:
    all_read_at = max(run.first_at for run in runs)
    first_at = min(run.first_at for run in runs)
    ended_at = max(run.last_at for run in runs)
    num_written = sum(run.num_generated - 1 for run in runs)
    return BenchRow(
        model_id=spec.id,
        name=spec.name,
        quantization=spec.quantization,
        size_bytes=spec.size_bytes,
        num_streams=len(runs),
        prompt_per_s=sum(run.num_prompt for run in runs) / (all_read_at - begun),
        generated_per_s=num_written / max(ended_at - first_at, 1e-6),
        first_token_s=sum(run.first_at - begun for run in runs) / len(runs),
        memory_bytes=resident_bytes(engine.pid) if engine.pid else 0,
        n_threads=engine.load.n_threads,
        machine=machine(),
        measured_at=time.time(),
    )


def machine() -> str:
    return f"{platform.node()} ({platform.machine()})"


class BenchResults:
    """What was measured on this machine; the newest row of a model and number of streams counts."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    def rows(self) -> list[BenchRow]:
        """By model and streams; none when another version wrote what cannot be read."""
        try:
            raw = json.loads(self._store.setting(LOCAL_USER, KEY) or "[]")
            known = {item.name for item in fields(BenchRow)}
            rows = [
                BenchRow(**{name: value for name, value in values.items() if name in known})
                for values in raw
            ]
        except (ValueError, TypeError):
            return []
        return sorted(rows, key=lambda row: (row.name, -row.size_bytes, row.num_streams))

    def add(self, new: Iterable[BenchRow]) -> None:
        kept = {_identity(row): row for row in self.rows()}
        for row in new:
            kept[_identity(row)] = row
        newest = sorted(kept.values(), key=lambda row: row.measured_at)[-MAX_KEPT:]
        self._store.set_setting(LOCAL_USER, KEY, json.dumps([asdict(row) for row in newest]))

    def clear(self) -> None:
        self._store.set_setting(LOCAL_USER, KEY, "")


def _identity(row: BenchRow) -> tuple[str, int, str]:
    return row.model_id, row.num_streams, row.machine
