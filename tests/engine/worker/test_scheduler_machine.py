"""Random lives of the scheduler: add, step, abort, interrupt, fail. The invariants always hold."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.budget import examples
from webui.engine.request import FinishReason, Request, SamplingParams, SequenceOutput
from webui.engine.worker.host_cache import HostCache
from webui.engine.worker.prefix_cache import Copy, Discard, Park, PrefixCache, Restore, Trim
from webui.engine.worker.scheduler import Batch, Sampled, Scheduler
from webui.engine.worker.sequence import Sequence

NUM_CELLS = 160


class Memory:
    """What llama.cpp's memory would hold: token ids per slot, cells shared by copying.

    Stands at the array boundary, where the real runner calls llama.cpp.
    """

    def __init__(self, num_slots: int) -> None:
        self.slots: dict[int, list[object]] = {slot: [] for slot in range(num_slots)}
        self.parked: dict[int, list[Cell]] = {}

    def run(self, batch: Batch) -> None:
        for operation in batch.operations:
            match operation:
                case Trim(slot, length):
                    del self.slots[slot][length:]
                case Copy(source, target, length):
                    assert self.slots[target] == [], "a copy goes into an empty slot"
                    self.slots[target] = self.slots[source][:length]
                case Park(slot, key):
                    assert key not in self.parked
                    self.parked[key] = [Cell(held.token_id) for held in self.cells(slot)]
                case Restore(key, slot):
                    assert self.slots[slot] == [], "a state goes into an empty slot"
                    self.slots[slot] = [Cell(held.token_id) for held in self.parked[key]]
                case Discard(key):
                    del self.parked[key]
        for entry in batch.entries:
            held = self.slots[entry.sequence.slot]
            assert len(held) == entry.start, "positions are consecutive"
            ids = entry.sequence.token_ids[entry.start : entry.start + entry.count]
            held.extend(Cell(token_id) for token_id in ids)

    @property
    def num_cells(self) -> int:
        return len({id(cell) for held in self.slots.values() for cell in held})

    def cells(self, slot: int) -> list["Cell"]:
        return [held for held in self.slots[slot] if isinstance(held, Cell)]

    def ids(self, slot: int) -> list[int]:
        return [cell.token_id for cell in self.slots[slot] if isinstance(cell, Cell)]


class Cell:
    def __init__(self, token_id: int) -> None:
        self.token_id = token_id


class SchedulerMachine(RuleBasedStateMachine):
    @initialize(
        num_slots=st.integers(1, 4),
        partial_reuse=st.booleans(),
        host_bytes=st.sampled_from([0, 60, 400]),
    )
    def start(self, num_slots: int, partial_reuse: bool, host_bytes: int) -> None:
        self.partial_reuse = partial_reuse
        self.memory = Memory(num_slots)
        cache = PrefixCache(
            num_slots,
            NUM_CELLS,
            partial_reuse=partial_reuse,
            host=HostCache(host_bytes),
            state_bytes=lambda slot: len(cache.slots[slot].token_ids),
        )
        self.scheduler = Scheduler(cache, 32)
        self.next_id = 1
        self.open: set[int] = set()
        self.texts: list[list[int]] = [[]]

    @rule(
        start=st.integers(0, 40),
        new=st.lists(st.integers(0, 3), min_size=1, max_size=60),
        max_tokens=st.integers(1, 30),
        keep=st.integers(0, 80),
        is_background=st.booleans(),
    )
    def add(
        self, start: int, new: list[int], max_tokens: int, keep: int, is_background: bool
    ) -> None:
        """A prompt that often begins like an earlier conversation."""
        prompt = [*self.texts[start % len(self.texts)][:keep], *new]
        sampling = SamplingParams(max_tokens=max_tokens)
        request = Request(self.next_id, tuple(prompt), sampling, is_background)
        refused = self.scheduler.add(Sequence.of(request))
        if refused is None:
            self.open.add(self.next_id)
        else:
            assert len(prompt) + max_tokens - 1 > NUM_CELLS
        self.next_id += 1

    @rule(token=st.integers(0, 3), num_forced=st.integers(0, 5), end=st.booleans())
    def step(self, token: int, num_forced: int, end: bool) -> None:
        batch = self.scheduler.schedule()
        self.memory.run(batch)
        if not batch.entries:
            assert not self.scheduler.running
            return
        assert batch.num_tokens <= 32 + len(self.scheduler.cache.slots)
        ids = (token,) * (1 + num_forced)
        sampled = {
            e.sequence.request_id: Sampled(ids, is_end=end)
            for e in batch.entries
            if e.ends_sequence
        }
        self.close(self.scheduler.update(batch, sampled, 0.01))

    @rule(choice=st.integers(0, 10))
    def abort(self, choice: int) -> None:
        if self.open:
            request_id = sorted(self.open)[choice % len(self.open)]
            output = self.scheduler.abort(request_id)
            assert output is not None and output.finish_reason is FinishReason.ABORT
            self.close([output])

    @rule(num_computed=st.integers(0, 40))
    def interrupt(self, num_computed: int) -> None:
        """llama_decode stops after some tokens, which stay in memory."""
        batch = self.scheduler.schedule()
        for operation in batch.operations:
            self.memory.run(Batch((operation,), ()))
        for entry in batch.entries:
            self.memory.slots[entry.sequence.slot].extend(
                Cell(-1) for _ in range(min(num_computed, entry.count))
            )
        self.scheduler.undo(batch, restart=not self.partial_reuse)

    @rule()
    def fail(self) -> None:
        batch = self.scheduler.schedule()
        self.memory.run(batch)
        self.close(self.scheduler.fail(batch, "broken"))

    @rule()
    def a_restore_fails(self) -> None:
        """The state did not fit back in, so what runs is computed from its beginning."""
        batch = self.scheduler.schedule()
        self.memory.run(Batch(batch.operations, ()))
        self.scheduler.restart_all()

    @invariant()
    def all_promises_hold(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        assert self.scheduler.problems() == []
        assert self.memory.num_cells <= NUM_CELLS
        host = self.scheduler.cache.host
        assert host.num_bytes <= host.max_bytes
        pending = {op.slot for op in self.scheduler._operations if isinstance(op, Trim)}
        for slot in self.scheduler.cache.slots:
            if slot.index not in pending:
                assert self.memory.ids(slot.index) == list(slot.token_ids)

    def close(self, outputs: list[SequenceOutput]) -> None:
        for output in outputs:
            if output.finish_reason:
                self.open.remove(output.request_id)
        for sequence in self.scheduler.running:
            self.texts.append(list(sequence.token_ids))
        del self.texts[1:-8]

    def teardown(self) -> None:
        """Whatever happened, everything that is still open finishes."""
        for _ in range(3000):
            if not self.scheduler.has_work:
                break
            self.step(token=1, num_forced=0, end=False)
        assert not self.open and not self.scheduler.has_work


SchedulerMachine.TestCase.settings = settings(
    max_examples=examples(200), stateful_step_count=40, deadline=None, database=None
)
TestSchedulerMachine = SchedulerMachine.TestCase
