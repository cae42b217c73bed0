"""Hostile input must not keep a thread busy for ever. These are hang guards, not measurements:
the bound is five times what a slow machine takes, because a garbage collection of the whole
test process may fall into the block."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

HANG_S = 5.0


@contextmanager
def ends() -> Iterator[None]:
    """Fails when the block takes HANG_S of this thread's processor."""
    started = time.thread_time()
    try:
        yield
    finally:
        assert time.thread_time() - started < HANG_S, "a thread was kept busy"
