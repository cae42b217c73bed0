"""Eight HTTP streams against the engine's own batched rate: the same work in turns, in one run.

    python -m tests.bench.http [--pairs N] [--tokens N] [--streams N] [--model FILE]

JSON on the last line: the ratio of each pair, and what the web process uses per token.
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
    engine_rates, http_rates, web_ms = [], [], []
    async with engine(options.model) as direct:
        await over_http(server, options.streams, 2, seed=0)  # loads the model
        await through_engine(direct, options.streams, 2, seed=0)
        for pair in range(1, options.pairs + 1):
            args = (options.streams, options.tokens)
            engine_rates.append(await through_engine(direct, *args, seed=100 * pair))
            before = web.cpu_times()
            http_rates.append(await over_http(server, *args, seed=100 * pair))
            after = web.cpu_times()
            used_s = after.user + after.system - before.user - before.system
            web_ms.append(1000 * used_s / (options.streams * options.tokens))
            print(f"pair {pair}: {engine_rates[-1]:.2f} {http_rates[-1]:.2f}", flush=True)
    ratios = [ours / own for ours, own in zip(http_rates, engine_rates, strict=True)]
    return {
        "streams": options.streams,
        "engine_tokens_per_s": round(statistics.median(engine_rates), 2),
        "http_tokens_per_s": round(statistics.median(http_rates), 2),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "web_process_ms_per_token": round(statistics.median(web_ms), 3),
        "wanted": ">= 0.95",
    }


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
