"""Drives any OpenAI-compatible server with N streams at once and prints one JSON line.

    python -m tests.bench.serving --url http://127.0.0.1:7860/v1 --model ID --concurrency 8

Every stream asks something else, so that no cache helps. Arrivals are counted as one token each
where a server does not say how many a chunk has; totals come from its own usage. The client is as
light as it can be: on one machine its work is taken from the server's.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

from webui.commands.bench import Stream, report

Body = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--requests", type=int, default=0, help="in all (0 = one per stream)")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt", default="次の主題について詳しく説明してください。主題 ")
    parser.add_argument("--extra", type=json.loads, default={}, help="more fields, as JSON")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(drive(options)), ensure_ascii=False))


async def drive(options: argparse.Namespace) -> dict[str, Any]:
    num_requests = options.requests or options.concurrency
    bodies = [
        {
            "model": options.model,
            "messages": [{"role": "user", "content": f"{number} {options.prompt}{number}"}],
            "max_tokens": options.tokens,
            **options.extra,
        }
        for number in range(num_requests)
    ]
    url = f"{options.url.rstrip('/')}/chat/completions"
    streams = await ask_all(url, bodies, options.concurrency)
    result = report(streams, max(stream.times[-1] for stream in streams))
    return {
        "url": options.url,
        "model": options.model,
        **result,
        "concurrency": options.concurrency,
    }


async def ask_all(url: str, bodies: list[Body], concurrency: int) -> list[Stream]:
    """Every body as a stream, so many at a time."""
    places = asyncio.Semaphore(concurrency)
    key = os.environ.get("OPENAI_API_KEY", "none")
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(timeout=600, headers=headers, trust_env=False) as client:

        async def one(body: Body) -> Stream:
            async with places:
                return await ask(client, url, body)

        return list(await asyncio.gather(*map(one, bodies)))


async def ask(client: httpx.AsyncClient, url: str, body: Body) -> Stream:
    stream = Stream(time.perf_counter())
    num_tokens = 0
    whole = {**body, "stream": True, "stream_options": {"include_usage": True}}
    async with client.stream("POST", url, json=whole) as answer:
        if answer.status_code != 200:
            raise SystemExit(f"{answer.status_code}: {(await answer.aread()).decode()[:500]}")
        async for chunk in _chunks(answer):
            if _has_text(chunk):
                stream.times.append(time.perf_counter())
                stream.counts.append(1)
            if chunk.get("usage"):
                num_tokens = chunk["usage"]["completion_tokens"]
    if not stream.times:
        raise SystemExit("an answer without any text")
    if num_tokens > sum(stream.counts):
        stream.counts[-1] += num_tokens - sum(stream.counts)  # what came several to a chunk
    return stream


async def _chunks(answer: httpx.Response) -> AsyncIterator[Body]:
    async for line in answer.aiter_lines():
        if line.startswith("data:") and not line.endswith("[DONE]"):
            yield json.loads(line[5:])


def _has_text(chunk: Body) -> bool:
    """A chat's chunk or a plain completion's."""
    for choice in chunk.get("choices", ()):
        delta = choice.get("delta") or {}
        if choice.get("text") or delta.get("content") or delta.get("reasoning_content"):
            return True
    return False


if __name__ == "__main__":
    main()
