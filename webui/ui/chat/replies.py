"""Answers that are being written, and Stop for them. Knows nothing about Gradio or models."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

from webui.errors import AppError
from webui.tasks.chat.chat import ReplyUpdate


class AlreadyAnsweringError(AppError):
    """This conversation gets an answer already, in this tab or in another one."""


class Replies:
    """Which conversations are being answered. Used from one event loop."""

    def __init__(self) -> None:
        self._stops: dict[tuple[str, str], asyncio.Event] = {}
        self._beginning: set[tuple[str, str]] = set()

    def stop(self, owner: str, conversation_id: str) -> bool:
        """End the answer being written in this conversation, from whichever tab."""
        stop = self._stops.get((owner, conversation_id))
        if stop is not None:
            stop.set()
        return stop is not None

    def check_free(self, owner: str, conversation_id: str) -> None:
        """Raises AlreadyAnsweringError."""
        if (owner, conversation_id) in self._stops or (owner, conversation_id) in self._beginning:
            raise AlreadyAnsweringError("ui.already_answering")

    @contextlib.contextmanager
    def beginning(self, owner: str, conversation_id: str) -> Iterator[None]:
        """While a question is being stored no other may come; a new conversation has no id yet.

        Raises AlreadyAnsweringError.
        """
        self.check_free(owner, conversation_id)
        key = (owner, conversation_id)
        if conversation_id:
            self._beginning.add(key)
        try:
            yield
        finally:
            self._beginning.discard(key)

    async def follow(
        self, owner: str, conversation_id: str, updates: AsyncGenerator[ReplyUpdate, None]
    ) -> AsyncGenerator[ReplyUpdate, None]:
        """`updates` until they end or stop() is called; then, or when closed, they are closed."""
        self.check_free(owner, conversation_id)
        stop = self._stops[owner, conversation_id] = asyncio.Event()
        stopped = asyncio.create_task(stop.wait())
        try:
            async with contextlib.aclosing(updates):
                while (update := await _next_unless(stopped, updates)) is not None:
                    yield update
        finally:
            stopped.cancel()
            del self._stops[owner, conversation_id]


async def _next_unless(
    stopped: asyncio.Task[bool], updates: AsyncGenerator[ReplyUpdate, None]
) -> ReplyUpdate | None:
    """The next update; None at the end or once `stopped` is done.

    Cancelling this cancels the pending step of `updates`, so that its own clean-up runs at once.
    """
    step = asyncio.create_task(_step(updates))
    try:
        await asyncio.wait({step, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not step.done():
            step.cancel()
            await asyncio.wait({step})
    return None if step.cancelled() else step.result()


async def _step(updates: AsyncGenerator[ReplyUpdate, None]) -> ReplyUpdate | None:
    return await anext(updates, None)
