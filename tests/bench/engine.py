"""The engine against llama.cpp's own loop: ratios within one run, JSON on the last line.

    python -m tests.bench.engine [--quick] [--model FILE]

Makes a 0.5B-shaped Q4_K_M model with random weights once (in the system's temporary directory).
Absolute numbers depend on the machine and on what else runs on it; quote the ratios.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from tests.engine.worker.cores import load_message
from tests.makegguf import quantize, random_llama
from webui.engine.client import Delta, Engine, Progress
from webui.engine.request import SamplingParams, Usage

MODEL = Path(tempfile.gettempdir()) / "kajogaki-bench" / "random-0.5b.Q4_K_M.gguf"
# Four of these and a 16k-token prompt fit together into 32k cells.
LONG_CHAT = SamplingParams(max_tokens=3500, ignore_eos=True)
SHORT = SamplingParams(max_tokens=16, ignore_eos=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer tokens, fewer rounds")
    parser.add_argument("--model", type=Path, default=MODEL)
    options = parser.parse_args()
    make_model(options.model)
    rounds, tokens, seconds = (3, 16, 20) if options.quick else (12, 40, 60)
    figures: dict[str, object] = {}
    parts: dict[str, Callable[[], dict[str, object]]] = {
        "streams": lambda: streams(options.model, rounds, tokens),
        "second_turn": lambda: second_turn(options.model),
        "reading_beside_chats": lambda: reading_beside_chats(options.model, seconds),
        "page": page,
    }
    for name, part in parts.items():
        print(f"{name} …", flush=True)
        figures[name] = part()
        print(json.dumps(figures[name], indent=2))
    print(json.dumps(figures))


def make_model(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    print("making the model (about half a minute) …", flush=True)
    source = path.with_suffix(".f16")
    random_llama(source)
    quantize(source, path, "Q4_K_M")
    source.unlink()


def streams(model: Path, rounds: int, num_tokens: int) -> dict[str, object]:
    """Decode rates of one stream and of eight, through worker, pipe and client and through the
    bare loop: short pieces in turns, since the machine itself is now slower and now faster."""

    async def run() -> list[tuple[float, float, float, float]]:
        async with engine(model) as ours, bare(model) as theirs:
            await asyncio.gather(*(generate(ours, prompt(64, seed=i), 2) for i in range(8)))
            return [
                (
                    await theirs(1, num_tokens),
                    await rate(ours, 1, num_tokens),
                    await theirs(8, num_tokens),
                    await rate(ours, 8, num_tokens),
                )
                for _ in range(rounds)
            ]

    rates = asyncio.run(run())
    bare_one, one, bare_eight, eight = (list(column) for column in zip(*rates, strict=True))
    return {
        "tokens_per_s": {"one": median(one), "eight": median(eight)},
        "llama_cpp_tokens_per_s": {"one": median(bare_one), "eight": median(bare_eight)},
        "one_to_llama_cpp": middle(one, bare_one) | {"wanted": ">= 0.97"},
        "eight_to_llama_cpp": middle(eight, bare_eight),
        "eight_to_one": middle(eight, one) | {"wanted": ">= 2.0 on 2 cores"},
        "llama_cpp_eight_to_one": middle(bare_eight, bare_one),
    }


def middle(values: list[float], others: list[float]) -> dict[str, object]:
    """Median of the ratios of each round, and its quartiles."""
    ratios = sorted(a / b for a, b in zip(values, others, strict=True))
    low, _, high = statistics.quantiles(ratios, n=4)
    return {"ratio": median(ratios), "quartiles": [round(low, 3), round(high, 3)]}


def median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def second_turn(model: Path) -> dict[str, object]:
    """A 4k-token chat: its second turn computes only what is new."""

    async def run() -> tuple[Usage, Usage, int]:
        async with engine(model, n_ctx=8192) as running:
            first_ids = prompt(4000, seed=1)
            first, answer = await generate(running, first_ids, 16)
            second, _ = await generate(running, [*first_ids, *answer, *prompt(20, seed=2)], 4)
            return first, second, len(answer)

    first, second, num_answered = asyncio.run(run())
    return {
        "first_time_to_first_token_s": round(first.time_to_first_token_s, 2),
        "second_time_to_first_token_s": round(second.time_to_first_token_s, 3),
        "second_evaluated_tokens": second.prompt_tokens - second.cached_tokens,
        "wanted": f"= 20 new + 1 ({num_answered} answered, the last one sampled but not computed)",
    }


def reading_beside_chats(model: Path, seconds: float) -> dict[str, object]:
    """p95 of the time between two tokens of four chats, alone and with a 16k-token prompt being
    read. The same chats both times: the longer a chat is, the longer takes each of its tokens."""

    async def run() -> tuple[list[float], list[float], float]:
        async with engine(model, n_ctx=32768) as running:
            unloaded, _ = await gaps_of_four_chats(running, seconds, reads=False)
            loaded, num_read = await gaps_of_four_chats(running, seconds, reads=True)
            return unloaded, loaded, num_read / seconds

    unloaded, loaded, read_per_s = asyncio.run(run())
    return {
        "p95_unloaded_ms": round(1000 * p95(unloaded), 1),
        "p95_reading_ms": round(1000 * p95(loaded), 1),
        "ratio": round(p95(loaded) / p95(unloaded), 2),
        "median_ratio": round(statistics.median(loaded) / statistics.median(unloaded), 2),
        "prompt_tokens_per_s_meanwhile": round(read_per_s, 1),
        "wanted": "<= 2.0",
    }


def page() -> dict[str, object]:
    """Start of the process to the page answering, and what the web process takes."""
    starts, rss = [], 0
    for _ in range(3):
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, "app.py", "serve", "--no-browser", "--port", "0"]
            began = time.perf_counter()
            with subprocess.Popen(
                [*command, "--data-dir", directory], stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                starts.append(time.perf_counter() - began)
                time.sleep(3)
                rss = psutil.Process(process.pid).memory_info().rss
                process.terminate()
                process.communicate()
    return {
        "start_to_page_s": round(statistics.median(starts), 2),
        "rss_mb": round(rss / 2**20),
        "wanted": "rss <= 250 MB, start <= 5 s",
    }


async def gaps_of_four_chats(
    running: Engine, seconds: float, *, reads: bool
) -> tuple[list[float], int]:
    """Seconds between tokens, and how many tokens of the long prompt were read meanwhile."""
    gaps: list[float] = []
    progress = [0]
    tasks = [asyncio.create_task(watch(running, seed, gaps)) for seed in range(4)]
    await asyncio.sleep(seconds / 6)
    if reads:
        tasks.append(asyncio.create_task(read_long(running, progress)))
        await asyncio.sleep(seconds / 12)  # the pace is learned
    gaps.clear()
    num_read_before = progress[-1]
    await asyncio.sleep(seconds)
    measured = gaps.copy()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return measured, progress[-1] - num_read_before


async def read_long(running: Engine, progress: list[int]) -> None:
    """Read a 16k-token prompt; how many of its tokens are done goes into `progress`."""
    async for event in running.generate(prompt(16000, seed=99), SHORT):
        progress.append(event.num_prompt_done if isinstance(event, Progress) else 16000)


async def watch(running: Engine, seed: int, gaps: list[float]) -> None:
    last = 0.0
    async for event in running.generate(prompt(64, seed=seed), LONG_CHAT):
        if isinstance(event, Delta) and event.token_ids:
            now = time.perf_counter()
            if last:
                gaps.append(now - last)
            last = now


async def rate(running: Engine, num_streams: int, num_tokens: int) -> float:
    """Decoded tokens per second of all streams together, while all of them are being written."""
    sampling = SamplingParams(max_tokens=num_tokens + num_streams, ignore_eos=True)
    counts = [0] * num_streams
    moments: list[tuple[float, int]] = []

    async def stream(index: int) -> None:
        async for event in running.generate(prompt(64, seed=index), sampling):
            counts[index] += len(event.token_ids) if isinstance(event, Delta) else 0
            if min(counts) and max(counts) < sampling.max_tokens:
                moments.append((time.perf_counter(), sum(counts)))

    await asyncio.gather(*(stream(index) for index in range(num_streams)))
    (began, first), (ended, last) = moments[0], moments[-1]
    return (last - first) / (ended - began)


async def generate(running: Engine, ids: list[int], num_tokens: int) -> tuple[Usage, list[int]]:
    sampling = SamplingParams(max_tokens=num_tokens, ignore_eos=True)
    answer: list[int] = []
    usage: Usage | None = None
    async for event in running.generate(ids, sampling):
        if isinstance(event, Delta):
            answer += event.token_ids
            usage = event.usage
    assert usage is not None
    return usage, answer


@asynccontextmanager
async def bare(model: Path) -> AsyncIterator[Callable[[int, int], Awaitable[float]]]:
    command = [sys.executable, "-m", "tests.bench.bare", str(model)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert process.stdin and process.stdout
    questions, answers = process.stdin, process.stdout

    async def measure(num_sequences: int, num_tokens: int) -> float:
        questions.write(f"{num_sequences} {num_tokens}\n".encode())
        return float(await answers.readline())

    try:
        yield measure
    finally:
        questions.close()
        await process.wait()


@asynccontextmanager
async def engine(model: Path, n_ctx: int = 4096) -> AsyncIterator[Engine]:
    running = Engine(load_message(model, n_ctx=n_ctx, n_batch=512), "bench")
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def prompt(num_tokens: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(1000, 100_000) for _ in range(num_tokens)]


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


if __name__ == "__main__":
    main()
