"""Budget: what one rendering of a template may still spend, in CPU time and in characters.

A template comes out of a file that anybody may have made. Python cannot interrupt it from outside,
so every loop turn, call, filter and operator of the sandbox asks here first.
Knows nothing about Jinja.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MAX_CPU_S = 0.5  # a real template takes a few milliseconds
MAX_NODES = 200_000  # values in one container, counted as often as they appear
MAX_INTEGER = 1 << 53
BASE_CHARS = (
    20_000_000  # of strings made on the way; plus CHARS_PER_INPUT for each of the messages'
)
CHARS_PER_INPUT = 64


class BudgetError(Exception):
    """The template asks for more than any real one needs."""


class Budget:
    def __init__(self, num_input_chars: int = 0) -> None:
        self._end_s = time.thread_time() + MAX_CPU_S
        self._chars_left = BASE_CHARS + CHARS_PER_INPUT * num_input_chars

    def spend(self, num_chars: int = 0) -> None:
        """Called before the work is done. Raises BudgetError."""
        self._chars_left -= num_chars
        if self._chars_left < 0:
            raise BudgetError("it makes too much text")
        if time.thread_time() > self._end_s:
            raise BudgetError(f"it runs for more than {MAX_CPU_S} s")


_current: ContextVar[Budget] = ContextVar("budget")


@contextmanager
def budget(num_input_chars: int) -> Iterator[None]:
    """What runs inside spends from one new budget."""
    token = _current.set(Budget(num_input_chars))
    try:
        yield
    finally:
        _current.reset(token)


def spend(num_chars: int = 0) -> None:
    """Take from the budget of the rendering that runs now. Raises BudgetError."""
    _current.get().spend(num_chars)


def weigh(*values: object) -> int:
    """Characters and items in `values`. Raises BudgetError when it is more than anybody needs.

    A container that holds another one twice counts it twice: so do comparing and printing, which
    makes thirty nested lists enough to keep them busy for ever.
    """
    weight, num_nodes = 0, 0
    waiting: list[object] = list(values)
    while waiting:
        value = waiting.pop()
        num_nodes += 1
        if num_nodes > MAX_NODES:
            raise BudgetError("its lists are too large")
        if isinstance(value, str):
            weight += len(value)
        elif isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, range):
            weight += len(value)
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise BudgetError("its numbers are too large")
    return weight + num_nodes


def total(lengths: Iterable[int]) -> int:
    """Spend the sum before anything of that size is made."""
    num_chars = sum(lengths)
    spend(num_chars)
    return num_chars
