"""A child process as its parent has it, with a real one."""

import asyncio
import queue
from collections.abc import Iterator

import psutil
import pytest

from webui.processes.child import Child

TALKER = "tests.processes.talker"


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child(TALKER, is_quiet=True)
    yield child
    child.stop()


def heard(child: Child) -> queue.SimpleQueue[bytes | None]:
    frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    child.listen(frames.put)
    return frames


def test_frames_go_both_ways_and_prints_are_none(child: Child) -> None:
    frames = heard(child)
    for frame in (b"", b"one", "二".encode() * 100_000):
        child.send(frame)
        assert frames.get(timeout=20) == frame
    assert child.is_alive and child.cpu_s() > 0 and child.rss_bytes() > 0


@pytest.mark.parametrize("word", [b"die", b"garbage"])
def test_its_death_is_told_once_and_sending_afterwards_harms_nobody(
    child: Child, word: bytes
) -> None:
    frames = heard(child)
    child.send(word)
    assert frames.get(timeout=20) is None
    child.send(b"nobody is there")
    child.stop()
    assert not child.is_alive and frames.empty()
    assert (child.cpu_s(), child.rss_bytes()) == (0.0, 0)


def test_a_frame_that_its_hearer_cannot_read_ends_it(child: Child) -> None:
    frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def hear(frame: bytes | None) -> None:
        frames.put(frame)
        if frame is not None:
            raise ValueError("not one of our messages")

    child.listen(hear)
    child.send(b"a word")
    assert (frames.get(timeout=20), frames.get(timeout=20)) == (b"a word", None)


def test_an_event_loop_hears_until_the_end(child: Child) -> None:
    async def all_of_it() -> list[bytes]:
        child.send(b"one")
        child.send(b"two")
        child.send(b"die")
        async with asyncio.timeout(20):
            return [frame async for frame in child.heard()]

    assert asyncio.run(all_of_it()) == [b"one", b"two"]


def test_with_a_grace_it_ends_by_itself_and_leaves_no_zombie(child: Child) -> None:
    process = psutil.Process(child.pid)
    child.stop(grace_s=20)
    child.stop()
    assert not psutil.pid_exists(child.pid) or not process.is_running()
