"""Server-sent events and long answers that end when their client goes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

Result = TypeVar("Result")
CLIENT_GONE = 499  # a status that nobody sees
DONE = b"data: [DONE]\n\n"
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # a proxy must not collect the stream
}


def event(value: object) -> bytes:
    """One `data:` event with `value` as JSON on one line."""
    return (
        b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
    )


def named_event(name: str, value: object) -> bytes:
    """The same with its name on a line before."""
    return f"event: {name}\n".encode() + event(value)


def comment(text: str) -> bytes:
    """A line that clients ignore: it keeps the connection open."""
    return f": {text}\n\n".encode()


class EventStream(Response):
    """Sends `chunks` until they end or the client goes, and then closes the generator at once."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with contextlib.aclosing(self._chunks):
            await _unless_gone(self._send(send), receive)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result | None:
    """The result of `work`; None, and `work` is cancelled, when the client goes first."""
    return await _unless_gone(work, request.receive)


async def _unless_gone(work: Coroutine[Any, Any, Result], receive: Receive) -> Result | None:
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
