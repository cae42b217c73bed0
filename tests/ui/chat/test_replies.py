"""Stop ends an answer at once, wherever it stands, and its clean-up runs."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from webui.tasks.chat.chat import ReplyState, ReplyUpdate
from webui.ui.chat.replies import AlreadyAnsweringError, Replies


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """In a thread: while Playwright runs, this one has an event loop already."""
    with ThreadPoolExecutor() as pool:
        pool.submit(lambda: asyncio.run(asyncio.wait_for(scenario, 60))).result()


class Answer:
    """An answer that says one thing and then thinks for ever."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.is_closed = False

    async def updates(self) -> AsyncGenerator[ReplyUpdate, None]:
        try:
            yield ReplyUpdate("m", ReplyState.QUEUED)
            if self.fails:
                raise OSError("broken")
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)  # a clean-up that has to wait for something
            self.is_closed = True


def test_stop_in_the_middle_of_a_step() -> None:
    async def scenario() -> None:
        replies, answer = Replies(), Answer()
        seen = []
        asyncio.get_running_loop().call_later(0.05, replies.stop, "me", "c")
        async for update in replies.follow("me", "c", answer.updates()):
            seen.append(update.state)
        assert seen == [ReplyState.QUEUED]
        assert answer.is_closed
        assert not replies.stop("me", "c")

    run(scenario())


def test_only_the_owner_can_stop() -> None:
    async def scenario() -> None:
        replies = Replies()
        following = replies.follow("me", "c", Answer().updates())
        await anext(following)
        assert not replies.stop("somebody else", "c")
        assert not replies.stop("me", "d")
        assert replies.stop("me", "c")
        assert [update async for update in following] == []

    run(scenario())


def test_one_answer_at_a_time() -> None:
    async def scenario() -> None:
        replies = Replies()
        following = replies.follow("me", "c", Answer().updates())
        await anext(following)
        with pytest.raises(AlreadyAnsweringError):
            replies.check_free("me", "c")
        replies.check_free("me", "d")
        await following.aclose()
        replies.check_free("me", "c")

    run(scenario())


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_a_closed_tab_cleans_up(how: str) -> None:
    async def scenario() -> None:
        replies, answer = Replies(), Answer()
        following = replies.follow("me", "c", answer.updates())
        await anext(following)
        if how == "close":
            await following.aclose()
        else:
            step = asyncio.ensure_future(anext(following))
            await asyncio.sleep(0.02)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
        assert answer.is_closed
        replies.check_free("me", "c")

    run(scenario())


def test_an_error_comes_through_and_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        replies, answer = Replies(), Answer(fails=True)
        with pytest.raises(OSError, match="broken"):
            async for _ in replies.follow("me", "c", answer.updates()):
                pass
        replies.check_free("me", "c")

    run(scenario())
