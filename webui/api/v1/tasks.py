"""One task's updates → a response: whole, or a stream of events that ends when the client goes.

Knows nothing about what the tasks do.
"""

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from webui.api.v1.answering import KEEP_ALIVE_S, PATIENCE_S
from webui.api.v1.errors import body_of, language_of
from webui.api.v1.limits import TokenBudget
from webui.api.v1.sse import CLIENT_GONE, DONE, EventStream, comment, event, while_connected
from webui.engine.request import Usage
from webui.errors import AppError
from webui.strings import Language

Update = TypeVar("Update")
Taken = TypeVar("Taken", contravariant=True)
Object = dict[str, Any]


class TaskShape(Protocol[Taken]):
    """How one task's updates are written. One for each request: it remembers what was sent."""

    def chunks(self, update: Taken) -> list[Object]:
        """What is new in it, for a stream."""
        ...

    def whole(self, last: Taken) -> Object: ...

    def has_begun(self, update: Taken) -> bool:
        """From here on an error is an event, not a status."""
        ...

    def num_tokens(self, update: Taken) -> int:
        """Read and written so far."""
        ...


class Envelope:
    """What all objects of one answer share."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._id = f"{kind}-{secrets.token_hex(12)}"
        self._created = int(time.time())

    def of(self, model: str, *, is_chunk: bool = False, **values: Any) -> Object:
        return {
            "id": self._id,
            "object": self._kind + (".chunk" if is_chunk else ""),
            "created": self._created,
            "model": model,
            **values,
        }


async def respond(
    request: Request,
    owner: str,
    budget: TokenBudget,
    updates: AsyncGenerator[Update, None],
    shape: TaskShape[Update],
    *,
    is_stream: bool,
) -> Response:
    """Raises AppError, in a stream within its first second."""
    budget.check(owner)
    if not is_stream:
        last = await while_connected(request, _last(updates))
        if last is None:
            return Response(status_code=CLIENT_GONE)
        budget.spend(owner, shape.num_tokens(last))
        return JSONResponse(shape.whole(last))
    opening = await while_connected(request, _opening(updates, shape))
    if opening is None:
        return Response(status_code=CLIENT_GONE)
    return EventStream(_events(opening, updates, shape, budget, owner, language_of(request)))


def usage_of(num_read: int, num_cached: int, num_written: int) -> Object:
    """OpenAI's object."""
    return {
        "prompt_tokens": num_read,
        "completion_tokens": num_written,
        "total_tokens": num_read + num_written,
        "prompt_tokens_details": {"cached_tokens": num_cached},
    }


def usage_from(usage: Usage | None) -> Object:
    if usage is None:
        return usage_of(0, 0, 0)
    return usage_of(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)


async def _last(updates: AsyncGenerator[Update, None]) -> Update | None:
    last: Update | None = None
    async with aclosing(updates):
        async for update in updates:
            last = update
    return last


async def _opening(updates: AsyncGenerator[Update, None], shape: TaskShape[Update]) -> list[Update]:
    """The first updates: until the work has begun, or for PATIENCE_S. Raises AppError."""
    began = time.monotonic()
    seen: list[Update] = []
    async for update in updates:
        seen.append(update)
        if shape.has_begun(update) or time.monotonic() - began >= PATIENCE_S:
            break
    return seen


async def _events(
    opening: list[Update],
    updates: AsyncGenerator[Update, None],
    shape: TaskShape[Update],
    budget: TokenBudget,
    owner: str,
    language: Language,
) -> AsyncGenerator[bytes, None]:
    """Chunks, then the whole object; comments while there is nothing to say."""
    sent_at = time.monotonic()
    last = opening[-1]
    try:
        async with aclosing(updates):
            async for update in _chained(opening, updates):
                last = update
                chunks = shape.chunks(update)
                if chunks:
                    yield b"".join(map(event, chunks))
                elif time.monotonic() - sent_at >= KEEP_ALIVE_S:
                    yield comment("working")
                else:
                    continue
                sent_at = time.monotonic()
        yield event(shape.whole(last))
        yield DONE
    except AppError as error:
        yield event(body_of(error, language)[1])
    finally:
        budget.spend(owner, shape.num_tokens(last))


async def _chained(
    opening: list[Update], updates: AsyncGenerator[Update, None]
) -> AsyncGenerator[Update, None]:
    for update in opening:
        yield update
    async for update in updates:
        yield update
