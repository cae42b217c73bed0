"""Eight HTTP streams against the engine's own batched rate: the same work in turns, in one run.

    python -m tests.bench.http [--pairs N] [--tokens N] [--streams N] [--model FILE]

JSON on the last line: the ratio of each pair, and the processor time per token of the web process
and of the worker behind it. Where others compute too, that time says more than the ratio: on two
cores that the worker fills, whatever the web process uses is taken from it.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.api.servers import Server, serving
from tests.bench.engine import MODEL, engine, make_model, prompt
from tests.bench.serving import ask_all
from webui.engine.client import Engine
from webui.engine.request import SamplingParams

NUM_PROMPT_TOKENS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--model", type=Path, default=MODEL)
    options = parser.parse_args()
    make_model(options.model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "models").mkdir()
        os.symlink(options.model.resolve(), folder / "models" / "bench.gguf")
        with serving(folder, "--n-ctx", "4096", "--n-slots", "8", "--model", "bench") as server:
            print(json.dumps(asyncio.run(compare(server, options))))


async def compare(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    web = psutil.Process(server.process.pid)
    engine_rates, http_rates = [], []
    used: list[tuple[float, float]] = []  # by web process and worker, ms per token
    async with engine(options.model) as direct:
        await over_http(server, options.streams, 2, seed=0)  # loads the model
        await through_engine(direct, options.streams, 2, seed=0)
        for pair in range(1, options.pairs + 1):
            args = (options.streams, options.tokens)
            engine_rates.append(await through_engine(direct, *args, seed=100 * pair))
            before = used_s(web)
            http_rates.append(await over_http(server, *args, seed=100 * pair))
            after = used_s(web)
            num_tokens = options.streams * options.tokens
            web_s, worker_s = (b - a for a, b in zip(before, after, strict=True))
            used.append((1000 * web_s / num_tokens, 1000 * worker_s / num_tokens))
            print(f"pair {pair}: {engine_rates[-1]:.2f} {http_rates[-1]:.2f}", flush=True)
    ratios = [ours / own for ours, own in zip(http_rates, engine_rates, strict=True)]
    return {
        "streams": options.streams,
        "engine_tokens_per_s": round(statistics.median(engine_rates), 2),
        "http_tokens_per_s": round(statistics.median(http_rates), 2),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "web_ms_per_token": round(statistics.median(web for web, _ in used), 3),
        "worker_ms_per_token": round(statistics.median(worker for _, worker in used), 3),
        "wanted": ">= 0.95",
    }


def used_s(web: psutil.Process) -> tuple[float, float]:
    """Processor seconds of the web process, and of its workers."""
    times = web.cpu_times()
    workers = [child.cpu_times() for child in web.children()]
    return times.user + times.system, sum(t.user + t.system for t in workers)


async def through_engine(direct: Engine, num_streams: int, num_tokens: int, seed: int) -> float:
    """Tokens per second of all streams together, prompts included."""

    async def one(number: int) -> None:
        sampling = SamplingParams(max_tokens=num_tokens, ignore_eos=True, seed=number)
        async for _ in direct.generate(prompt(NUM_PROMPT_TOKENS, seed + number), sampling):
            pass

    began = time.perf_counter()
    await asyncio.gather(*map(one, range(num_streams)))
    return num_streams * num_tokens / (time.perf_counter() - began)


async def over_http(server: Server, num_streams: int, num_tokens: int, seed: int) -> float:
    """The same over /v1/completions."""
    bodies: list[dict[str, Any]] = [
        {
            "model": "bench",
            "prompt": prompt(NUM_PROMPT_TOKENS, seed + number),
            "max_tokens": num_tokens,
            "ignore_eos": True,
            "seed": number,
        }
        for number in range(num_streams)
    ]
    began = time.perf_counter()
    await ask_all(f"{server.url}/v1/completions", bodies, num_streams)
    return num_streams * num_tokens / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
