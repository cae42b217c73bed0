"""Which token ids each slot's KV cache holds, and how many cells that takes. Bookkeeping only.

Mirrors llama.cpp's unified KV cache: a cell holds one token at one position and may belong to
several slots (llama_memory_seq_cp adds the owner, it copies nothing). Cells here are counted, with
an owner count each, so that "is there room?" is exact even when slots share a prefix.

A slot is free (no owner, empty), running (a sequence owns it) or resident (its sequence finished,
the tokens stay as cache). When something else begins, residents are parked in the host's memory
(host_cache.py), because attention runs over their cells, too. Knows nothing about llama.cpp:
changes are returned as memory operations that the runner carries out in order.
"""

from array import array
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Ids
from dataclasses import dataclass, field

import numpy as np

from webui.engine.worker.host_cache import HostCache, Parked, common_prefix_length
from webui.engine.worker.sequence import Sequence

MIN_RESTORED = 32  # tokens that a parked sequence must have more than a resident one


@dataclass(frozen=True, slots=True)
class Trim:
    """Keep the first `length` tokens of `slot`; 0 empties it."""

    slot: int
    length: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Make the first `length` tokens of `source` also belong to the empty slot `target`."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class Park:
    """Keep a copy of what `slot` holds in the host's memory, under `key`."""

    slot: int
    key: int


@dataclass(frozen=True, slots=True)
class Restore:
    """Fill the empty `slot` with what was parked under `key`; it stays parked."""

    key: int
    slot: int


@dataclass(frozen=True, slots=True)
class Discard:
    """What was parked under `key` is not needed any more."""

    key: int


MemoryOperation = Trim | Copy | Park | Restore | Discard


@dataclass(slots=True, eq=False)
class Slot:
    index: int
    token_ids: "array[int]" = field(default_factory=lambda: array("i"))
    cells: list[int] = field(default_factory=list)  # one per token, same order
    owner: Sequence | None = None
    last_used: int = 0
    was_background: bool = False  # of its last owner: nobody comes back to that

    @property
    def is_resident(self) -> bool:
        return self.owner is None and len(self.token_ids) > 0

    @property
    def is_free(self) -> bool:
        return self.owner is None and not self.token_ids


class PrefixCache:
    """Slots, their tokens and their cells.

    `partial_reuse` is False for models whose memory cannot be cut at any point (recurrent,
    hybrid): only a resident slot whose whole content is a prefix of the prompt is reused then.
    `state_bytes` tells how many bytes a slot's state would take in the host's memory.
    """

    def __init__(
        self,
        num_slots: int,
        num_cells: int,
        *,
        partial_reuse: bool = True,
        host: HostCache | None = None,
        state_bytes: Callable[[int], int] = lambda slot: 0,
    ) -> None:
        self.slots = [Slot(index) for index in range(num_slots)]
        self.num_cells = num_cells
        self.partial_reuse = partial_reuse
        self.host = HostCache() if host is None else host
        self._state_bytes = state_bytes
        self._free_cells = list(range(num_cells))
        self._num_owners = [0] * num_cells
        self._clock = 0

    @property
    def num_free_cells(self) -> int:
        return len(self._free_cells)

    def allocate(self, sequence: Sequence) -> list[MemoryOperation] | None:
        """Give `sequence` a slot with as much of its prompt as is cached, or None if it must wait.

        On success there is room for everything it may ever need, besides what running sequences
        may still need. Evicts resident slots, least recently used first, only when it succeeds.
        """
        # What is cached has no logits any more, so a prompt to be scored is computed whole.
        prefix = [] if sequence.is_scored else sequence.token_ids
        source, length = self._match(prefix) if prefix else (None, 0)
        parked, parked_length = self._match_parked(prefix) if prefix else (None, 0)
        if parked and parked_length >= length + MIN_RESTORED:
            restored = self._restore(sequence, parked, parked_length)
            if restored is not None:
                return restored
        shared = source.cells[:length] if source else []
        num_needed = sequence.max_total_tokens - length
        if self._num_cells_available(shared) < num_needed:
            return None
        target = self._pick_target(source, length)
        if target is None:
            return None
        operations = self._place(target, source, length)
        operations += self._evict_until(num_needed, keep=target)
        self._own(target, sequence, length)
        return operations

    def park_idle(self) -> list[MemoryOperation]:
        """Something has begun: move all that waits for its user out of the KV cache."""
        if not self.host.max_bytes:
            return []
        return [
            operation for slot in self.slots if slot.is_resident for operation in self._vacate(slot)
        ]

    def num_coming_tokens(self, prompt_ids: list[int]) -> int:
        """Longest prefix that `prompt_ids` shares with a prompt which is being read right now.

        Waiting for it beats reading it twice (N map prompts with one instruction arrive together).
        """
        prompt = np.array(prompt_ids[:-1], dtype=np.int32)
        return max(
            (
                common_prefix_length(prompt, array("i", slot.owner.token_ids))
                for slot in self.slots
                if slot.owner and slot.owner.num_pending_tokens > 1
            ),
            default=0,
        )

    def num_cached_tokens(self, prompt_ids: list[int]) -> int:
        """Longest prefix of `prompt_ids` that could be reused now."""
        return max(self._match(prompt_ids)[1], self._match_parked(prompt_ids)[1])

    def extend(self, slot_index: int, token_ids: Ids[int]) -> None:
        """The step has computed `token_ids` at the end of the slot."""
        slot = self.slots[slot_index]
        for token_id in token_ids:
            cell = self._free_cells.pop()
            self._num_owners[cell] = 1
            slot.cells.append(cell)
            slot.token_ids.append(token_id)

    def retain(self, slot_index: int) -> None:
        """The owner has finished; what it computed stays as cache."""
        slot = self.slots[slot_index]
        slot.was_background = slot.owner is not None and slot.owner.is_background
        slot.owner = None
        self._touch(slot)

    def reset(self, slot_index: int, length: int) -> Trim:
        """Cut the slot to `length` tokens, the owner unchanged."""
        self._cut(self.slots[slot_index], length)
        return Trim(slot_index, length)

    def problems(self) -> list[str]:
        """Broken invariants, empty when all hold."""
        counted = [0] * self.num_cells
        for slot in self.slots:
            for cell in slot.cells:
                counted[cell] += 1
        found = []
        if counted != self._num_owners:
            found.append("cell owners do not match the slots")
        if len(self._free_cells) + sum(1 for n in counted if n) != self.num_cells:
            found.append("free and used cells do not add up")
        if any(len(slot.cells) != len(slot.token_ids) for slot in self.slots):
            found.append("a slot has not one cell per token")
        if self._num_reserved_cells() > self.num_cells - self._num_running_cells():
            found.append("running sequences may need more cells than there are")
        return found

    def _match(self, prompt_ids: list[int]) -> tuple[Slot | None, int]:
        """The slot with the longest usable common prefix, and its length in tokens.

        At most len(prompt) - 1: one token must be computed to get logits.
        """
        prompt = np.array(prompt_ids[:-1], dtype=np.int32)
        best: Slot | None = None
        best_length = 0
        for slot in self.slots:
            length = common_prefix_length(prompt, slot.token_ids)
            if not self.partial_reuse and (slot.owner or length < len(slot.token_ids)):
                continue
            # Among equals prefer the slot that can be taken over whole, without a copy.
            if length > best_length or (
                best and length == best_length and slot.is_resident and len(slot.cells) == length
            ):
                best, best_length = slot, length
        return best, best_length

    def _match_parked(self, prompt_ids: list[int]) -> tuple[Parked | None, int]:
        prompt = np.array(prompt_ids[:-1], dtype=np.int32)
        return self.host.match(prompt, is_whole=not self.partial_reuse)

    def _restore(
        self, sequence: Sequence, parked: Parked, length: int
    ) -> list[MemoryOperation] | None:
        """Give `sequence` a slot with the first `length` tokens of `parked`; None without room."""
        num_needed = max(sequence.max_total_tokens, len(parked.token_ids))
        idle = [slot for slot in self.slots if slot.owner is None]
        if not idle or self._num_cells_available([]) < num_needed:
            return None
        self.host.touch(parked)
        # First, so that alone it always lies in the same cells: attention's last bits depend on it.
        operations = self.park_idle()
        target = min(idle, key=lambda slot: slot.index)
        # It may have to make room for what is parked now, but not before it is back.
        discard = Discard(parked.key)
        makes_room = discard in operations
        operations = [operation for operation in operations if operation != discard]
        operations.append(Restore(parked.key, target.index))
        operations += [discard] if makes_room else []
        self.extend(target.index, parked.token_ids)
        if length < len(parked.token_ids):
            operations.append(self.reset(target.index, length))
        self._own(target, sequence, length)
        return operations

    def _vacate(self, slot: Slot) -> list[MemoryOperation]:
        """Empty an idle slot; what somebody may come back to is parked."""
        if not slot.token_ids:
            return []
        return [*self._park(slot), self.reset(slot.index, 0)]

    def _park(self, slot: Slot) -> Iterable[MemoryOperation]:
        if slot.was_background or not self.host.max_bytes:
            return
        key, discarded = self.host.park(slot.token_ids, self._state_bytes(slot.index))
        yield from map(Discard, discarded)
        if key is not None:
            yield Park(slot.index, key)

    def _num_cells_available(self, shared: list[int]) -> int:
        """Cells that can be had when every resident slot is evicted, beyond all promises."""
        pinned = set(shared)
        for slot in self.slots:
            if slot.owner:
                pinned.update(slot.cells)
        return self.num_cells - len(pinned) - self._num_reserved_cells()

    def _num_running_cells(self) -> int:
        return len({cell for slot in self.slots if slot.owner for cell in slot.cells})

    def _num_reserved_cells(self) -> int:
        return sum(
            slot.owner.max_total_tokens - len(slot.cells) for slot in self.slots if slot.owner
        )

    def _pick_target(self, source: Slot | None, length: int) -> Slot | None:
        """The slot to run in: the match itself when nothing of it is lost, else a free one, else
        the match if it keeps half of itself (an answer written anew; nobody else's conversation
        shall go for that), else the least recently used resident one."""
        if source and source.is_resident and length == len(source.token_ids):
            return source
        idle = [slot for slot in self.slots if slot.owner is None]
        if not idle:
            return None
        oldest = min(idle, key=lambda slot: (not slot.is_free, slot.last_used))
        keeps_half = source and source.is_resident and 2 * length >= len(source.token_ids)
        return source if keeps_half and not oldest.is_free else oldest

    def _place(self, target: Slot, source: Slot | None, length: int) -> list[MemoryOperation]:
        """Leave exactly the matched prefix in `target`."""
        operations: list[MemoryOperation] = []
        if target is source:
            if length < len(target.token_ids):  # written anew; the old version is not kept
                operations.append(self.reset(target.index, length))
            return operations
        operations += self._vacate(target)
        if source and length:
            target.token_ids = source.token_ids[:length]
            target.cells = source.cells[:length]
            for cell in target.cells:
                self._num_owners[cell] += 1
            operations.append(Copy(source.index, target.index, length))
        return operations

    def _evict_until(self, num_needed: int, *, keep: Slot) -> list[MemoryOperation]:
        """Empty resident slots, oldest first, until every promise and `num_needed` is covered."""
        operations: list[MemoryOperation] = []
        num_promised = num_needed + self._num_reserved_cells()
        residents = [slot for slot in self.slots if slot.is_resident and slot is not keep]
        for slot in sorted(residents, key=lambda s: s.last_used):
            if self.num_free_cells >= num_promised:
                break
            operations += self._vacate(slot)
        return operations

    def _own(self, slot: Slot, sequence: Sequence, length: int) -> None:
        slot.owner = sequence
        sequence.slot = slot.index
        sequence.num_computed_tokens = sequence.num_cached_tokens = length
        self._touch(slot)

    def _cut(self, slot: Slot, length: int) -> None:
        for cell in reversed(slot.cells[length:]):
            self._num_owners[cell] -= 1
            if self._num_owners[cell] == 0:
                self._free_cells.append(cell)
        del slot.cells[length:]
        del slot.token_ids[length:]

    def _touch(self, slot: Slot) -> None:
        self._clock += 1
        slot.last_used = self._clock
