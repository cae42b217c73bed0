"""Children that make or measure one thing and report on it. Knows nothing about what they do.

Children, because they hold all cores for minutes, because ending them is the only way to cancel
native code, and because they may abort on a file they cannot read.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from webui.errors import AppError
from webui.private import MODELS_UMASK
from webui.processes.child import Child
from webui.processes.parent import Message

SPARE_BYTES = 1 << 28  # left free on the disk by what they make


class WorkshopError(AppError):
    """Something could not be made or measured."""


@asynccontextmanager
async def making(module: str, *arguments: str) -> AsyncIterator[AsyncIterator[Message]]:
    """Its messages; it is ended with the block. Raises WorkshopError when it says so or dies."""
    child = Child(module, *arguments, is_quiet=True, umask=MODELS_UMASK)
    try:
        yield _messages(child)
    finally:
        await asyncio.to_thread(child.stop)


async def _messages(child: Child) -> AsyncIterator[Message]:
    async for frame in child.heard():
        message: Message = json.loads(frame)
        if message["event"] == "error":
            raise WorkshopError(message["key"], **message["values"])
        yield message
        if message["event"] == "done":
            return
    raise WorkshopError("engine.workshop_failed", reason="the process ended")
