"""Idle sequences that were moved out of the KV cache into the host's memory. Bookkeeping only.

Attention runs over every cell of a unified KV cache, also those of chats that wait for their user,
so what does not run is kept here and comes back when its prefix is asked for. Bounded in bytes;
what was used least recently goes first. Knows nothing about slots or llama.cpp: the states
themselves are held by the runner, under the keys given here.
"""

from array import array
from dataclasses import dataclass

import numpy as np


@dataclass(slots=True, eq=False)
class Parked:
    key: int
    token_ids: "array[int]"
    num_bytes: int
    last_used: int


class HostCache:
    def __init__(self, max_bytes: int = 0) -> None:
        """`max_bytes` 0: nothing is kept."""
        self.max_bytes = max_bytes
        self._parked: dict[int, Parked] = {}
        self._clock = 0

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def num_bytes(self) -> int:
        return sum(parked.num_bytes for parked in self._parked.values())

    def match(self, prompt: np.ndarray, *, is_whole: bool) -> tuple[Parked | None, int]:
        """The longest common prefix with `prompt` (int32), in tokens, and who has it.

        `is_whole`: only one that is a prefix of the prompt with all of its tokens.
        """
        best, best_length = None, 0
        for parked in self._parked.values():
            length = common_prefix_length(prompt, parked.token_ids)
            if length > best_length and not (is_whole and length < len(parked.token_ids)):
                best, best_length = parked, length
        return best, best_length

    def touch(self, parked: Parked) -> None:
        self._clock += 1
        parked.last_used = self._clock

    def park(self, token_ids: "array[int]", num_bytes: int) -> tuple[int | None, list[int]]:
        """(key to keep them under, keys that make room); None: they are here already, or too big.

        An earlier part of the same conversation makes room first.
        """
        if num_bytes > self.max_bytes or not token_ids:
            return None, []
        ids = np.frombuffer(token_ids, np.int32)
        discarded = []
        for parked in list(self._parked.values()):
            length = common_prefix_length(ids, parked.token_ids)
            if length == len(ids):
                self.touch(parked)
                return None, []
            if length == len(parked.token_ids):
                discarded.append(self._drop(parked.key))
        while self.num_bytes + num_bytes > self.max_bytes:
            oldest = min(self._parked.values(), key=lambda parked: parked.last_used)
            discarded.append(self._drop(oldest.key))
        self._clock += 1
        self._parked[self._clock] = Parked(self._clock, token_ids[:], num_bytes, self._clock)
        return self._clock, discarded

    def clear(self) -> list[int]:
        """Forget everything; the keys that were kept."""
        keys = list(self._parked)
        self._parked.clear()
        return keys

    def _drop(self, key: int) -> int:
        del self._parked[key]
        return key


def common_prefix_length(prompt: np.ndarray, cached: "array[int]") -> int:
    """Number of equal leading tokens. A plain scan: 0.2 ms for 16 slots of 8k tokens."""
    length = min(len(prompt), len(cached))
    if length == 0:
        return 0
    different = prompt[:length] != np.frombuffer(cached, dtype=np.int32, count=length)
    first = int(different.argmax())
    return first if different[first] else length
