"""Clients that go away: what they asked for is aborted, whatever they were waiting for."""

import asyncio

import httpx
import pytest

from tests.api.servers import Server
from tests.site import standing_still

CHAT = "/v1/chat/completions"
ENDLESS = {
    "messages": [{"role": "user", "content": "長く"}],
    "ignore_eos": True,
    "max_tokens": 1900,  # four of them fit the context at once
    "temperature": 0,
}
ABORTED = 'kajogaki_requests_total{model="standin",finish_reason="abort"}'


async def metric(client: httpx.AsyncClient, *prefixes: str) -> float:
    """The sum of all samples that begin so."""
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(prefixes))


async def until_in_hand(client: httpx.AsyncClient, count: int) -> None:
    """Until so many requests run or wait."""
    names = ("kajogaki_requests_running{", "kajogaki_requests_waiting{")
    while await metric(client, *names) != count:
        await asyncio.sleep(0.01)


async def warm(client: httpx.AsyncClient) -> None:
    """Load the model."""
    assert (await client.post(CHAT, json={**ENDLESS, "max_tokens": 1})).status_code == 200


@pytest.mark.thorough
def test_100_streams_that_are_left_are_aborted(server: Server) -> None:
    async def test() -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            before = await metric(client, ABORTED)
            for _ in range(25):
                await asyncio.gather(*(leave_at_the_first_word(client) for _ in range(4)))
                await until_in_hand(client, 0)
            assert await metric(client, ABORTED) - before == 100  # none ran to its end

    async def leave_at_the_first_word(client: httpx.AsyncClient) -> None:
        async with client.stream("POST", CHAT, json={**ENDLESS, "stream": True}) as answer:
            async for line in answer.aiter_lines():
                if '"content":"' in line and '"content":""' not in line:
                    return

    asyncio.run(test())


@pytest.mark.parametrize("stream", [False, True])
def test_who_goes_while_waiting_leaves_the_queue(server: Server, stream: bool) -> None:
    async def test() -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            await warm(client)
            with standing_still(server.process):
                body = {**ENDLESS, "stream": stream}
                tasks = [asyncio.create_task(client.post(CHAT, json=body)) for _ in range(16)]
                await until_in_hand(client, 16)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await until_in_hand(client, 0)
            await warm(client)  # and the next one is served

    asyncio.run(test())


def test_a_waiting_stream_is_kept_open_by_comments(server: Server) -> None:
    """It failed on a busy machine: the answers before it had ended when it came."""

    async def test() -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            await warm(client)
            with standing_still(server.process):
                busy = [asyncio.create_task(client.post(CHAT, json=ENDLESS)) for _ in range(8)]
                await until_in_hand(client, 8)
                async with client.stream("POST", CHAT, json={**ENDLESS, "stream": True}) as answer:
                    assert answer.status_code == 200
                    line = await anext(aiter(answer.aiter_lines()))
                for task in busy:
                    task.cancel()
                await asyncio.gather(*busy, return_exceptions=True)
                await until_in_hand(client, 0)
            assert line.startswith(": waiting, 0 ahead")

    asyncio.run(test())
