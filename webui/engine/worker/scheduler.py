"""Which tokens the next step computes. Pure bookkeeping: knows nothing about llama.cpp or text.

schedule() → Batch; the runner computes it; update() takes in what was sampled. Decoding sequences
come first, one token each; the rest of the step reads prompts. Requests are admitted in the order
of arrival, and only when they can finish; but those that somebody waits for come before those in
the background, and take their slots and cells where there are no others.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Ids
from dataclasses import dataclass, replace

from webui.engine.request import FinishReason, SequenceOutput, TokenLogprob
from webui.engine.worker.pace import Pace
from webui.engine.worker.prefix_cache import Discard, MemoryOperation, PrefixCache, Trim
from webui.engine.worker.sequence import Sequence

MIN_SHARED_PREFIX = 32  # tokens; a shorter one is not worth waiting for
MAX_SCORED_TOKENS = 16  # of prompts, in one step: each needs all its logits
MAX_PAUSED_STEPS = 64  # in a row in which no background prompt is read


@dataclass(frozen=True, slots=True)
class Entry:
    """Compute `count` tokens of `sequence` from position `start`."""

    sequence: Sequence
    start: int
    count: int

    @property
    def ends_sequence(self) -> bool:
        """The last known token is computed, so the next one can be sampled."""
        return self.start + self.count == len(self.sequence.token_ids)


@dataclass(frozen=True, slots=True)
class Batch:
    """One llama_decode: first the memory operations, in order, then the entries."""

    operations: tuple[MemoryOperation, ...]
    entries: tuple[Entry, ...]

    @property
    def num_tokens(self) -> int:
        return sum(entry.count for entry in self.entries)

    @property
    def is_background_reading(self) -> bool:
        """Nobody waits for any of it, and it takes as long as reading takes."""
        return self.num_tokens > len(self.entries) and _all_in_background(
            entry.sequence for entry in self.entries
        )


@dataclass(frozen=True, slots=True)
class Sampled:
    """What one sequence got in a step: the sampled id and what a grammar forces after it."""

    token_ids: tuple[int, ...] = ()
    is_end: bool = False  # end of generation was sampled (it is not among token_ids)
    error: str = ""  # this sequence alone failed
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_logprobs: tuple[TokenLogprob, ...] = ()


class Scheduler:
    def __init__(self, cache: PrefixCache, n_batch: int, pace: Pace | None = None) -> None:
        assert n_batch >= 2 * len(cache.slots), "every slot writes, and somebody reads beside"
        self.cache = cache
        self.n_batch = n_batch
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []  # in order of arrival
        self._pace = pace or Pace(n_batch)
        self._operations: list[MemoryOperation] = []  # for the next batch
        self._reported: dict[int, tuple[int, int]] = {}  # request id: (prompt done, ahead)
        self._num_paused_steps = 0

    @property
    def has_work(self) -> bool:
        return bool(self.waiting or self.running)

    def add(self, sequence: Sequence) -> SequenceOutput | None:
        """Queue it. One that could never fit is answered at once with an error."""
        if sequence.max_total_tokens > self.cache.num_cells:
            return _finished(sequence, FinishReason.ERROR, error="longer than the context")
        if sequence.is_background:
            self.waiting.append(sequence)
        else:
            self.waiting.insert(self._num_waiting_in_front(), sequence)
        return None

    def abort(self, request_id: int) -> SequenceOutput | None:
        """Stop it wherever it is; its slot is free for others at once. None when unknown."""
        for sequence in self.waiting:
            if sequence.request_id == request_id:
                self.waiting.remove(sequence)
                return self._finish(sequence, FinishReason.ABORT)
        for sequence in self.running:
            if sequence.request_id == request_id:
                return self._finish(sequence, FinishReason.ABORT)
        return None

    def schedule(self) -> Batch:
        """The next step. Empty when nothing can run."""
        self._admit()
        decoding = [sequence for sequence in self.running if sequence.is_decoding]
        reading = self._reading()
        entries = [Entry(sequence, sequence.num_computed_tokens, 1) for sequence in decoding]
        if reading:
            entries += self._reading_entries(reading, self._room_to_read(decoding, len(reading)))
        operations, self._operations = tuple(self._operations), []
        return Batch(operations, tuple(entries))

    def update(
        self, batch: Batch, sampled: Mapping[int, Sampled], seconds: float = 0.0
    ) -> list[SequenceOutput]:
        """The batch was computed in `seconds`; `sampled` by request id for entries that ended."""
        self._observe(batch, seconds)
        outputs = []
        for entry in batch.entries:
            sequence = entry.sequence
            end = entry.start + entry.count
            self.cache.extend(sequence.slot, sequence.token_ids[entry.start : end])
            sequence.num_computed_tokens = end
            if sequence.request_id in sampled:
                outputs.append(self._take(sequence, sampled[sequence.request_id]))
        return outputs + self._news()

    def undo(self, batch: Batch, *, restart: bool) -> None:
        """The batch was interrupted: forget what it may have left in memory, compute it again.

        With `restart` the memory could not be cut there, so the sequences start from nothing.
        """
        for entry in batch.entries:
            sequence = entry.sequence
            if restart:
                sequence.num_computed_tokens = 0
            trim = self.cache.reset(sequence.slot, sequence.num_computed_tokens)
            self._operations.append(trim)

    def restart_all(self) -> None:
        """Memory is not what it should be: compute everything that runs from its beginning."""
        self._operations += map(Discard, self.cache.host.clear())
        for sequence in self.running:
            sequence.num_computed_tokens = 0
            self._operations.append(self.cache.reset(sequence.slot, 0))

    def fail(self, batch: Batch, error: str) -> list[SequenceOutput]:
        """The batch could not be computed: its sequences end with `error`, the others go on."""
        self.undo(batch, restart=True)
        return [
            self._finish(entry.sequence, FinishReason.ERROR, error=error) for entry in batch.entries
        ]

    def problems(self, num_in_memory: Mapping[int, int] | None = None) -> list[str]:
        """Broken invariants. `num_in_memory`: tokens per slot as llama.cpp itself counts them."""
        found = self.cache.problems()
        owners = {slot.index: slot.owner for slot in self.cache.slots if slot.owner}
        if sorted(owners) != sorted(sequence.slot for sequence in self.running):
            found.append("running + resident + free slots do not add up")
        for sequence in self.running:
            slot = self.cache.slots[sequence.slot]
            if list(slot.token_ids) != sequence.token_ids[: sequence.num_computed_tokens]:
                found.append(f"slot {slot.index} does not hold its sequence's tokens")
        pending = {operation.slot for operation in self._operations if isinstance(operation, Trim)}
        for index, count in (num_in_memory or {}).items():
            if index not in pending and count != len(self.cache.slots[index].token_ids):
                found.append(f"slot {index}: llama.cpp holds {count} tokens, we think otherwise")
        return found

    def _num_waiting_in_front(self) -> int:
        """How many of those that wait are not in the background; they come first."""
        return sum(not sequence.is_background for sequence in self.waiting)

    def _admit(self) -> None:
        num_running = len(self.running)
        self._admit_waiting()
        if len(self.running) > num_running:
            self._operations += self.cache.park_idle()

    def _admit_waiting(self) -> None:
        while self.waiting:
            sequence = self.waiting[0]
            if self._waits_for_shared_prefix(sequence):
                return
            num_cached = sequence.num_cached_tokens
            operations = self.cache.allocate(sequence)
            while operations is None and not sequence.is_background and self._preempt():
                operations = self.cache.allocate(sequence)
            if operations is None:
                return
            self._operations += operations
            self.waiting.popleft()
            self.running.append(sequence)
            if sequence.admitted_at:  # again: what it has computed itself is not from a cache
                sequence.num_cached_tokens = num_cached
            sequence.admitted_at = sequence.admitted_at or time.perf_counter()

    def _preempt(self) -> bool:
        """Send the newest background sequence back to wait. What it has computed stays as cache,
        so it reads that again only where the room was needed. Where a memory cannot be cut, it
        would have to start from nothing, so there nobody is sent back."""
        background = [sequence for sequence in self.running if sequence.is_background]
        if not background or not self.cache.partial_reuse:
            return False
        newest = background[-1]
        self.running.remove(newest)
        self.cache.retain(newest.slot)
        newest.slot, newest.num_computed_tokens = -1, 0
        self.waiting.insert(self._num_waiting_in_front(), newest)
        return True

    def _reading(self) -> list[Sequence]:
        """Those whose prompt is read in this step: while somebody waits for one, no others."""
        reading = [sequence for sequence in self.running if not sequence.is_decoding]
        waited_for = [sequence for sequence in reading if not sequence.is_background]
        is_paused = waited_for and self._num_paused_steps < MAX_PAUSED_STEPS
        self._num_paused_steps = self._num_paused_steps + 1 if is_paused else 0
        return waited_for if is_paused else reading

    def _waits_for_shared_prefix(self, sequence: Sequence) -> bool:
        if not self.cache.partial_reuse:
            return False
        coming = self.cache.num_coming_tokens(sequence.token_ids)
        if coming < MIN_SHARED_PREFIX:
            return False
        return coming - self.cache.num_cached_tokens(sequence.token_ids) >= MIN_SHARED_PREFIX

    def _room_to_read(self, decoding: list[Sequence], num_reading: int) -> int:
        """Tokens. Only words that somebody waits for are worth reading in small pieces: a prompt
        token beside a full batch costs half of what it costs beside a few."""
        if _all_in_background(decoding):
            return self.n_batch - len(decoding)
        budget = self._pace.prefill_tokens(len(decoding))
        return max(budget, 2) if budget and num_reading > 1 else budget  # see _reading_entries

    def _reading_entries(self, reading: list[Sequence], budget: int) -> list[Entry]:
        """Split `budget` tokens: half for the oldest, half for whoever needs least to start; so
        with two who read it must be two at least.

        In strict order a short question would wait minutes behind a long document; this way it
        starts soon, and the document still gets at least half.
        """
        shares: dict[int, int] = {}
        oldest = reading[0]
        shares[oldest.request_id] = min(oldest.num_pending_tokens, (budget + 1) // 2)
        left = budget - shares[oldest.request_id]
        for sequence in sorted(reading, key=lambda s: s.num_pending_tokens):
            given = shares.get(sequence.request_id, 0)
            more = min(sequence.num_pending_tokens - given, left)
            shares[sequence.request_id] = given + more
            left -= more
        num_scored = 0
        for sequence in reading:
            if sequence.is_scored:
                share = min(shares[sequence.request_id], MAX_SCORED_TOKENS - num_scored)
                shares[sequence.request_id] = share
                num_scored += share
        return [
            Entry(sequence, sequence.num_computed_tokens, _without_last(sequence, share))
            for sequence in reading
            if (share := shares[sequence.request_id])
        ]

    def _take(self, sequence: Sequence, sampled: Sampled) -> SequenceOutput:
        if sampled.error:
            return self._finish(sequence, FinishReason.ERROR, error=sampled.error)
        if sampled.token_ids and not sequence.first_token_at:
            sequence.first_token_at = time.perf_counter()
        room = sequence.sampling.max_tokens - sequence.num_completion_tokens
        new_ids = sampled.token_ids[:room]
        sequence.token_ids.extend(new_ids)
        output = SequenceOutput(sequence.request_id, new_ids, sequence.num_prompt_tokens, -1)
        if sampled.is_end and len(new_ids) == len(sampled.token_ids):
            output = self._finish(sequence, FinishReason.STOP, new_ids)
        elif sequence.num_completion_tokens >= sequence.sampling.max_tokens:
            output = self._finish(sequence, FinishReason.LENGTH, new_ids)
        logprobs = sampled.logprobs[: len(new_ids)]
        if logprobs or sampled.prompt_logprobs:
            scores = sampled.prompt_logprobs
            output = replace(output, logprobs=logprobs, prompt_logprobs=scores)
        return output

    def _finish(
        self,
        sequence: Sequence,
        reason: FinishReason,
        new_ids: Ids[int] = (),
        *,
        error: str = "",
    ) -> SequenceOutput:
        if sequence in self.running:
            self.running.remove(sequence)
            self.cache.retain(sequence.slot)
        self._reported.pop(sequence.request_id, None)
        return _finished(sequence, reason, new_ids, error=error)

    def _observe(self, batch: Batch, seconds: float) -> None:
        decoding = [entry.sequence for entry in batch.entries if entry.sequence.is_decoding]
        num_reading = batch.num_tokens - len(decoding)
        if num_reading and _all_in_background(decoding):
            return  # large pieces cost less per token than those that the pace decides about
        self._pace.observe(len(decoding), num_reading, seconds)

    def _news(self) -> list[SequenceOutput]:
        """Progress of those still waiting or reading, when it has changed."""
        current = {s.request_id: (0, ahead) for ahead, s in enumerate(self.waiting)}
        for sequence in self.running:
            if not sequence.num_completion_tokens:
                current[sequence.request_id] = (sequence.num_computed_tokens, -1)
        changed = _changes(self._reported, current.items())
        self._reported = current
        return [SequenceOutput(i, (), done, ahead) for i, (done, ahead) in changed]


def _without_last(sequence: Sequence, share: int) -> int:
    """How much of `share` is computed in this step: a prompt's last token has one of its own.

    Kernels for one token and for many differ in the last bits. Where the same prompt is cached the
    last token is computed alone; so it is always, and the same seed gives the same answer.
    """
    is_whole_prompt = not sequence.num_completion_tokens and share == sequence.num_pending_tokens
    return share - 1 if is_whole_prompt and share > 1 else share


def _all_in_background(sequences: Iterable[Sequence]) -> bool:
    return all(sequence.is_background for sequence in sequences)


def _changes(
    known: Mapping[int, tuple[int, int]], current: Iterable[tuple[int, tuple[int, int]]]
) -> list[tuple[int, tuple[int, int]]]:
    return [(i, state) for i, state in current if known.get(i) != state]


def _finished(
    sequence: Sequence, reason: FinishReason, new_ids: Ids[int] = (), *, error: str = ""
) -> SequenceOutput:
    return SequenceOutput(
        sequence.request_id,
        tuple(new_ids),
        min(sequence.num_computed_tokens, sequence.num_prompt_tokens),
        -1,
        reason,
        error,
        sequence.usage(),
    )
