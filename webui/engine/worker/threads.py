"""How many threads a step computes with: fewer while others on the machine need the cores.

llama.cpp's threads wait for each other, spinning, a few hundred times a token. While something
else runs on one of their cores, each wait lasts as long as the system leaves it there: with one
busy neighbour on two cores, one thread is twice as fast as two (docs/decisions/0073). Knows
nothing about llama.cpp; reads the clocks of this process and of the machine.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

WINDOW_S = 0.25  # measured together, and the least time between two changes
PAUSE_S = 0.05  # without a step: what was measured before says nothing about now
LOST = 0.5  # cores that our threads did not get: somebody else has one
FREE = 0.65  # idle cores that are worth another thread
CROWDED = 0.25  # with more than this idle, threads that did not run were not kept from it


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds since some beginning: of the wall, of this process's threads together, and of all
    cores together that had nothing to compute (a model that is still on the disk is waited for)."""

    wall_s: float
    own_s: float
    idle_s: float


def read_clocks() -> Clocks:
    """Raises OSError where the system does not tell."""
    cores = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):
        ours = os.sched_getaffinity(0)
        cores = [core for number, core in enumerate(cores) if number in ours]
    idle = sum(core.idle + getattr(core, "iowait", 0.0) for core in cores)
    return Clocks(time.perf_counter(), time.process_time(), idle)


class Threads:
    """`count` threads for the next step: at most `limit`, at least one."""

    def __init__(self, limit: int, read: Callable[[], Clocks] = read_clocks) -> None:
        self.limit = self.count = limit
        self._read = read
        self._start = Clocks(0.0, 0.0, 0.0)
        self._last_step_s = float("-inf")  # when it ended

    def use_at_most(self, limit: int) -> None:
        self.limit = self.count = limit

    def observe(self, began_s: float, ended_s: float) -> None:
        """A step has run, in time.perf_counter's seconds; `count` may be another after it."""
        is_after_pause = began_s - self._last_step_s > PAUSE_S
        self._last_step_s = ended_s
        if not is_after_pause and ended_s - self._start.wall_s < WINDOW_S:
            return
        try:
            now = self._read()
        except OSError:
            return
        if not is_after_pause:
            self._adjust(now)
        self._start = now

    def _adjust(self, now: Clocks) -> None:
        wall = now.wall_s - self._start.wall_s
        own = (now.own_s - self._start.own_s) / wall
        idle = (now.idle_s - self._start.idle_s) / wall
        if idle >= FREE:
            self.count = min(self.limit, self.count + int(idle + 1 - FREE))
        elif idle < CROWDED and own <= self.count - LOST:
            self.count = max(1, round(own))
