"""`bench`: how fast a model reads and writes on this machine, alone and for several at once."""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from webui.application import Application
from webui.config import Settings
from webui.engine.client import Delta, Engine
from webui.engine.request import SamplingParams
from webui.strings import Language, text

AddSettings = Callable[[argparse.ArgumentParser], None]
MAX_STREAMS = 64


@dataclass(slots=True)
class Stream:
    """When one answer's tokens came."""

    began_at: float
    times: list[float] = field(default_factory=list)  # of each arrival
    counts: list[int] = field(default_factory=list)  # of tokens in it


def add_parser(commands: Any, language: Language, add_settings: AddSettings) -> None:
    parser = commands.add_parser("bench", help=text("commands.bench_help", language))
    parser.add_argument(
        "--concurrency", type=_between(1, MAX_STREAMS), default=4, metavar="N",
        help=text("commands.concurrency_help", language),
    )  # fmt: skip
    parser.add_argument(
        "--tokens", type=_between(2, 100_000), default=64, metavar="N",
        help=text("commands.bench_tokens_help", language),
    )  # fmt: skip
    parser.add_argument(
        "--prompt-tokens", type=_between(1, 1_000_000), default=128, metavar="N",
        help=text("commands.bench_prompt_help", language),
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help=text("commands.json_help", language))
    parser.set_defaults(run=run)
    add_settings(parser)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Raises AppError."""
    result = asyncio.run(_bench(settings, options))
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
        return 0
    language = Language(settings.language)
    print(text("commands.bench_title", language, model=result["model"]))
    for key in ("one", "many"):
        values = result[key]
        print(text("commands.bench_line", language, **values))
    return 0


def report(streams: Sequence[Stream], ended_at: float) -> dict[str, Any]:
    """Tokens per second over all, times to the first token and between tokens; in seconds."""
    began_at = min(stream.began_at for stream in streams)
    num_tokens = sum(sum(stream.counts) for stream in streams)
    first = [stream.times[0] - stream.began_at for stream in streams if stream.times]
    gaps = [gap for stream in streams for gap in _gaps(stream)]
    first_at = min((stream.times[0] for stream in streams if stream.times), default=ended_at)
    writing_s = ended_at - first_at
    return {
        "concurrency": len(streams),
        "tokens": num_tokens,
        "seconds": round(ended_at - began_at, 3),
        "tokens_per_s": round(num_tokens / max(ended_at - began_at, 1e-9), 2),
        "decode_tokens_per_s": round((num_tokens - len(streams)) / max(writing_s, 1e-9), 2),
        "time_to_first_token_p50_s": _percentile(first, 50),
        "time_to_first_token_p95_s": _percentile(first, 95),
        "inter_token_p50_s": _percentile(gaps, 50),
        "inter_token_p95_s": _percentile(gaps, 95),
    }


def _gaps(stream: Stream) -> list[float]:
    """Time per token; tokens that came together share it."""
    pairs = zip(stream.times, stream.times[1:], stream.counts[1:], strict=False)
    return [(later - earlier) / count for earlier, later, count in pairs for _ in range(count)]


def _percentile(values: Sequence[float], percent: int) -> float | None:
    if not values:
        return None
    if len(values) == 1:
        return round(values[0], 4)
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 4)


async def _bench(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    async with Application.open(settings) as application:
        spec = application.engines.spec()
        async with application.engines.lease(spec.id) as engine:
            await _measure(engine, 1, 2, 8)  # the first step loads pages and allocates
            one = await _measure(engine, 1, options.tokens, options.prompt_tokens)
            many = await _measure(
                engine, options.concurrency, options.tokens, options.prompt_tokens
            )
        return {"model": spec.id, "prompt_tokens": options.prompt_tokens, "one": one, "many": many}


async def _measure(
    engine: Engine, num_streams: int, num_tokens: int, num_prompt_tokens: int
) -> dict[str, Any]:
    streams = await asyncio.gather(
        *(_stream(engine, i, num_tokens, num_prompt_tokens) for i in range(num_streams))
    )
    return report(streams, max(stream.times[-1] for stream in streams))


async def _stream(engine: Engine, number: int, num_tokens: int, num_prompt_tokens: int) -> Stream:
    """One answer to a prompt that begins like no other, so that none of it is cached."""
    assert engine.ready is not None
    n_vocab = engine.ready.n_vocab
    ids = [(number * 97 + position * 31 + 1009) % n_vocab for position in range(num_prompt_tokens)]
    sampling = SamplingParams(max_tokens=num_tokens, ignore_eos=True, seed=number)
    stream = Stream(time.perf_counter())
    async for event in engine.generate(ids, sampling):
        if isinstance(event, Delta) and event.token_ids:
            stream.times.append(time.perf_counter())
            stream.counts.append(len(event.token_ids))
    return stream


def _between(low: int, high: int) -> Callable[[str], int]:
    def number(value: str) -> int:
        if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
            raise argparse.ArgumentTypeError(f"{value}: {low}–{high}")
        return int(value)

    return number
