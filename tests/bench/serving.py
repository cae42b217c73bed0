"""Drives any OpenAI-compatible server with N streams at once and prints one JSON line.

    python -m tests.bench.serving --url http://127.0.0.1:7860/v1 --model ID --concurrency 8

Every stream asks something else, so that no cache helps. Arrivals are counted as one token each
where a server does not say how many a chunk has; totals come from its own usage.
"""

import argparse
import asyncio
import json
import os
import time
from typing import Any

import openai

from webui.commands.bench import Stream, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--requests", type=int, default=0, help="in all (0 = one per stream)")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt", default="次の主題について詳しく説明してください。主題 ")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(drive(options)), ensure_ascii=False))


async def drive(options: argparse.Namespace) -> dict[str, Any]:
    key = os.environ.get("OPENAI_API_KEY", "none")
    client = openai.AsyncOpenAI(base_url=options.url, api_key=key, max_retries=0, timeout=600)
    places = asyncio.Semaphore(options.concurrency)
    num_requests = options.requests or options.concurrency

    async def one(number: int) -> Stream:
        async with places:
            return await ask(client, options, number)

    streams = await asyncio.gather(*(one(number) for number in range(num_requests)))
    result = report(streams, max(stream.times[-1] for stream in streams))
    return {
        "url": options.url,
        "model": options.model,
        **result,
        "concurrency": options.concurrency,
    }


async def ask(client: openai.AsyncOpenAI, options: argparse.Namespace, number: int) -> Stream:
    stream = Stream(time.perf_counter())
    chunks = await client.chat.completions.create(
        model=options.model,
        messages=[{"role": "user", "content": f"{number} {options.prompt}{number}"}],
        max_tokens=options.tokens,
        stream=True,
        stream_options={"include_usage": True},
    )
    num_tokens = 0
    async for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            stream.times.append(time.perf_counter())
            stream.counts.append(1)
        if chunk.usage:
            num_tokens = chunk.usage.completion_tokens
    if stream.counts and num_tokens > sum(stream.counts):
        stream.counts[-1] += num_tokens - sum(stream.counts)  # what came several to a chunk
    return stream


if __name__ == "__main__":
    main()
