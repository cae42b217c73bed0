"""Two models that compute at once: how fast each is, with all threads each and with a share each.

    python -m tests.bench.two_models [--tokens N] [--rounds N] [--model FILE]

Rates are tokens per second of one stream, medians over the rounds; JSON on the last line.
"""

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path

from tests.bench.engine import MODEL, engine, make_model, prompt
from webui.engine.client import Delta, Engine
from webui.engine.request import SamplingParams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path, default=MODEL)
    options = parser.parse_args()
    make_model(options.model)
    print(json.dumps(asyncio.run(compare(options.model, options.tokens, options.rounds))))


async def compare(model: Path, num_tokens: int, rounds: int) -> dict[str, float]:
    async with engine(model) as first, engine(model) as second:
        all_threads = first.load.n_threads
        rates: dict[str, list[float]] = {"alone": [], "all_threads_each": [], "a_share_each": []}
        await rate(first, 4)
        await rate(second, 4)
        for _ in range(rounds):
            rates["alone"].append(await rate(first, num_tokens))
            rates["all_threads_each"] += await both(first, second, num_tokens)
            for running in (first, second):
                running.use_threads(max(1, all_threads // 2))
            rates["a_share_each"] += await both(first, second, num_tokens)
            for running in (first, second):
                running.use_threads(all_threads)
    found = {name: round(statistics.median(values), 2) for name, values in rates.items()}
    share = found["a_share_each"]
    return found | {
        "share_to_alone": round(share / found["alone"], 2),
        "share_to_all_threads": round(share / found["all_threads_each"], 2),
    }


async def both(first: Engine, second: Engine, num_tokens: int) -> list[float]:
    return list(await asyncio.gather(rate(first, num_tokens), rate(second, num_tokens)))


async def rate(running: Engine, num_tokens: int) -> float:
    """Tokens per second after the first."""
    sampling = SamplingParams(max_tokens=num_tokens, ignore_eos=True)
    times: list[float] = []
    async for event in running.generate(prompt(8, seed=num_tokens), sampling):
        if isinstance(event, Delta) and event.token_ids:
            times += [time.perf_counter()] * len(event.token_ids)
    return (len(times) - 1) / max(times[-1] - times[0], 1e-9)


if __name__ == "__main__":
    main()
