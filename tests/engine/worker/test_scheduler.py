"""The scheduler's promises, with no model: schedule, pretend to compute, update."""

from webui.engine.request import FinishReason, Request, SamplingParams, SequenceOutput
from webui.engine.worker.pace import Pace
from webui.engine.worker.prefix_cache import Copy, PrefixCache, Trim
from webui.engine.worker.scheduler import Batch, Sampled, Scheduler
from webui.engine.worker.sequence import Sequence


def make_scheduler(
    num_slots: int = 4, num_cells: int = 1024, n_batch: int = 64, *, partial_reuse: bool = True
) -> Scheduler:
    return Scheduler(PrefixCache(num_slots, num_cells, partial_reuse=partial_reuse), n_batch)


def add(
    scheduler: Scheduler,
    request_id: int,
    prompt: range | list[int],
    max_tokens: int = 8,
    *,
    is_background: bool = False,
) -> SequenceOutput | None:
    sampling = SamplingParams(max_tokens=max_tokens)
    request = Request(request_id, tuple(prompt), sampling, is_background)
    return scheduler.add(Sequence.of(request))


def step(scheduler: Scheduler, token: int = 7) -> tuple[Batch, list[SequenceOutput]]:
    """One step in which every sequence that can sample gets `token`."""
    batch = scheduler.schedule()
    sampled = {e.sequence.request_id: Sampled((token,)) for e in batch.entries if e.ends_sequence}
    return batch, scheduler.update(batch, sampled)


def run_until_done(scheduler: Scheduler) -> list[SequenceOutput]:
    finished = []
    while scheduler.has_work:
        finished += [output for output in step(scheduler)[1] if output.finish_reason]
        assert scheduler.problems() == []
    return finished


def counts(batch: Batch) -> dict[int, int]:
    return {entry.sequence.request_id: entry.count for entry in batch.entries}


def test_decoding_sequences_come_before_reading_ones() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(10), max_tokens=50)
    step(scheduler)  # all of the prompt but its last token
    step(scheduler)
    add(scheduler, 2, range(100, 400))
    step(scheduler)  # decode only: measures what a step costs without reading
    batch, _ = step(scheduler)
    assert batch.entries[0].sequence.request_id == 1
    assert counts(batch)[1] == 1
    assert 0 < counts(batch)[2] < 64  # a share, not the whole batch


def test_words_in_the_background_leave_a_prompt_full_chunks() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(10), max_tokens=50, is_background=True)
    step(scheduler)
    add(scheduler, 2, range(100, 400), is_background=True)
    assert counts(step(scheduler)[0]) == {1: 1, 2: 63}
    add(scheduler, 3, range(1000, 1005), max_tokens=50)
    step(scheduler)  # reads it: somebody waits for its words from now on
    assert counts(step(scheduler)[0]).get(2, 0) < 63


def test_what_somebody_waits_for_is_read_before_the_background() -> None:
    """A question waited 80 s behind the parts of a summary."""
    scheduler = make_scheduler(num_cells=4096)
    for number in range(1, 4):
        first = 1000 * number
        add(scheduler, number, range(first, first + 500), max_tokens=20, is_background=True)
    step(scheduler)
    add(scheduler, 9, range(60), max_tokens=4)
    batch, _ = step(scheduler)
    assert counts(batch) == {9: 59}
    assert len(run_until_done(scheduler)) == 4


def test_a_step_makes_way_only_while_it_reads_in_the_background() -> None:
    """It may take seconds; one that writes takes none, and others wait for their own."""
    scheduler = make_scheduler()
    add(scheduler, 1, range(100, 120), is_background=True)
    assert step(scheduler)[0].is_background_reading
    assert not step(scheduler)[0].is_background_reading
    add(scheduler, 2, range(40))
    assert not step(scheduler)[0].is_background_reading
    assert not Batch((), ()).is_background_reading


def test_one_in_front_takes_the_place_of_the_newest_in_the_background() -> None:
    scheduler = make_scheduler(num_slots=2, num_cells=400)
    add(scheduler, 1, range(100, 150), max_tokens=60, is_background=True)
    add(scheduler, 2, range(200, 250), max_tokens=60, is_background=True)
    add(scheduler, 3, range(300, 350), max_tokens=60, is_background=True)
    for _ in range(4):
        step(scheduler)
    add(scheduler, 9, range(40), max_tokens=4)
    batch, _ = step(scheduler)
    assert counts(batch)[9] > 1 and scheduler.problems() == []
    assert [sequence.request_id for sequence in scheduler.running] == [1, 9]
    assert [sequence.request_id for sequence in scheduler.waiting] == [2, 3]
    finished = run_until_done(scheduler)
    assert [output.request_id for output in finished][0] == 9
    lengths = {
        output.request_id: output.usage.completion_tokens for output in finished if output.usage
    }
    assert lengths == {1: 60, 2: 60, 3: 60, 9: 4}
    assert all(o.usage.cached_tokens <= o.usage.prompt_tokens for o in finished if o.usage)


def test_a_long_prompt_in_front_needs_the_cells_of_the_background() -> None:
    scheduler = make_scheduler(num_slots=4, num_cells=300)
    for number in (1, 2, 3):
        first = 100 * number
        add(scheduler, number, range(first, first + 40), max_tokens=40, is_background=True)
    step(scheduler)
    add(scheduler, 9, range(1000, 1200), max_tokens=50)
    step(scheduler)
    assert scheduler.running[-1].request_id == 9 and scheduler.problems() == []
    assert len(run_until_done(scheduler)) == 4


def test_the_background_goes_on_beside_an_endless_stream_of_prompts() -> None:
    scheduler = make_scheduler(num_cells=100_000)
    add(scheduler, 1, range(50_000, 50_020), max_tokens=2, is_background=True)
    add(scheduler, 2, range(20_000), max_tokens=2)
    num_steps = 0
    while not any(o.request_id == 1 and o.new_ids for o in step(scheduler)[1]):
        num_steps += 1
        assert num_steps < 200


def test_memory_that_cannot_be_cut_sends_nobody_back() -> None:
    scheduler = make_scheduler(num_slots=1, partial_reuse=False)
    add(scheduler, 1, range(20), max_tokens=5, is_background=True)
    step(scheduler)
    add(scheduler, 9, range(30, 40), max_tokens=2)
    step(scheduler)
    assert [sequence.request_id for sequence in scheduler.running] == [1]
    assert [output.request_id for output in run_until_done(scheduler)] == [1, 9]


def test_a_short_prompt_starts_behind_a_long_one_however_little_may_be_read() -> None:
    scheduler = make_scheduler(num_slots=4)
    add(scheduler, 1, [1], max_tokens=90)
    step(scheduler)
    add(scheduler, 2, range(100, 160))
    add(scheduler, 3, range(200, 204))
    for _ in range(20):
        batch = scheduler.schedule()
        num_read = batch.num_tokens - 1
        scheduler.update(batch, {1: Sampled((5,))}, 0.1 + 0.2 * num_read)
    computed = {s.request_id: s.num_computed_tokens for s in scheduler.running}
    assert 4 <= computed[3] and 4 <= computed[2] < 60


def test_with_nobody_decoding_a_prompt_gets_full_chunks() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(200))
    assert counts(step(scheduler)[0]) == {1: 64}


def test_a_short_prompt_does_not_wait_for_a_long_one_to_be_read() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(600))
    step(scheduler)
    add(scheduler, 2, range(1000, 1020))
    assert counts(step(scheduler)[0]) == {1: 44, 2: 19}


def test_the_oldest_prompt_keeps_half_however_many_short_ones_come() -> None:
    scheduler = make_scheduler(num_slots=8)
    add(scheduler, 1, range(600))
    for request_id in range(2, 8):
        add(scheduler, request_id, [request_id * 100 + i for i in range(30)])
    assert counts(step(scheduler)[0])[1] >= 32


def test_a_request_waits_until_it_can_finish() -> None:
    scheduler = make_scheduler(num_cells=100)
    add(scheduler, 1, range(50), max_tokens=20)
    add(scheduler, 2, range(100, 140), max_tokens=20)
    step(scheduler)
    assert [s.request_id for s in scheduler.running] == [1]
    assert [o.request_id for o in run_until_done(scheduler)] == [1, 2]


def test_requests_are_admitted_in_order_of_arrival() -> None:
    """A small request never overtakes a large one that waits for room."""
    scheduler = make_scheduler(num_cells=100)
    add(scheduler, 1, range(60), max_tokens=20)
    add(scheduler, 2, range(100, 160), max_tokens=20)
    add(scheduler, 3, [5, 6], max_tokens=2)
    _, outputs = step(scheduler)
    assert [s.request_id for s in scheduler.running] == [1]
    ahead = {o.request_id: o.num_waiting_ahead for o in outputs if o.num_waiting_ahead >= 0}
    assert ahead == {2: 0, 3: 1}


def test_one_that_can_never_fit_is_answered_at_once() -> None:
    scheduler = make_scheduler(num_cells=100)
    refused = add(scheduler, 1, range(90), max_tokens=20)
    assert refused is not None and refused.finish_reason is FinishReason.ERROR
    assert not scheduler.has_work


def test_the_next_turn_computes_only_what_is_new() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(50), max_tokens=4)
    run_until_done(scheduler)
    add(scheduler, 2, [*range(50), 7, 7, 7, 90, 91])
    batch, _ = step(scheduler)
    assert counts(batch) == {2: 1}  # and the last token in a step of its own
    assert batch.operations == ()  # taken over in place: nothing is copied


def test_at_least_one_prompt_token_is_computed() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(50), max_tokens=1)
    run_until_done(scheduler)
    add(scheduler, 2, range(50), max_tokens=1)
    assert counts(step(scheduler)[0]) == {2: 1}


def test_a_shared_prefix_is_copied_and_its_cells_counted_once() -> None:
    scheduler = make_scheduler(num_cells=130)
    add(scheduler, 1, [*range(50), 90], max_tokens=20)
    step(scheduler)
    add(scheduler, 2, [*range(50), 91], max_tokens=20)
    batch, _ = step(scheduler)
    assert Copy(source=0, target=1, length=50) in batch.operations
    # 50 shared cells + 2 x 1 of their own prompts; promised besides: 2 x 19. 130 - 90 are left.
    add(scheduler, 3, range(200, 235), max_tokens=6)
    step(scheduler)
    assert len(scheduler.running) == 3


def test_prompts_that_arrive_together_read_their_common_beginning_once() -> None:
    scheduler = make_scheduler(num_slots=4, n_batch=512)
    for request_id in range(1, 5):
        add(scheduler, request_id, [*range(100), 900 + request_id], max_tokens=1)
    num_computed = 0
    while scheduler.has_work:
        num_computed += step(scheduler)[0].num_tokens
    assert num_computed == 101 + 3


def test_least_recently_used_slots_are_evicted_and_running_ones_never() -> None:
    scheduler = make_scheduler(num_slots=3, num_cells=100)
    for request_id, first in ((1, 0), (2, 100)):
        add(scheduler, request_id, range(first, first + 30), max_tokens=1)
        run_until_done(scheduler)
    add(scheduler, 3, range(200, 240), max_tokens=10)
    batch, _ = step(scheduler)
    assert Trim(0, 0) in batch.operations and Trim(1, 0) not in batch.operations


def test_an_answer_written_anew_takes_nobody_else_s_place() -> None:
    scheduler = make_scheduler(num_slots=3)
    for request_id, start in ((1, 100), (2, 200), (3, 300)):
        add(scheduler, request_id, range(start, start + 40))
        run_until_done(scheduler)
    add(scheduler, 4, range(300, 340))  # that of the third: its answer goes, its prompt stays
    run_until_done(scheduler)
    for request_id, start in ((5, 100), (6, 200), (7, 300)):
        add(scheduler, request_id, range(start, start + 40))
        step(scheduler)
        assert scheduler.running[-1].num_cached_tokens == 39


def test_a_common_beginning_does_not_cost_a_conversation_its_place() -> None:
    scheduler = make_scheduler(num_slots=2)
    for request_id, start in ((1, 100), (2, 200)):
        add(scheduler, request_id, [*range(10), *range(start, start + 40)])
        run_until_done(scheduler)
    add(scheduler, 3, [*range(10), *range(300, 340)])
    run_until_done(scheduler)
    add(scheduler, 4, [*range(10), *range(200, 240), 1, 2])  # the newer of the two is still there
    step(scheduler)
    assert scheduler.running[-1].num_cached_tokens == 50


def test_abort_frees_the_slot_and_keeps_what_was_computed() -> None:
    scheduler = make_scheduler(num_slots=1)
    add(scheduler, 1, range(40))
    add(scheduler, 2, [*range(40), 99])
    step(scheduler)
    output = scheduler.abort(1)
    assert output is not None and output.finish_reason is FinishReason.ABORT
    batch, _ = step(scheduler)
    assert counts(batch) == {2: 1}
    assert scheduler.abort(1) is None


def test_a_failed_batch_fails_its_sequences_and_nobody_else() -> None:
    scheduler = make_scheduler(num_slots=1)
    add(scheduler, 1, range(10))
    add(scheduler, 2, range(100, 110))
    outputs = scheduler.fail(scheduler.schedule(), "broken")
    assert [(o.request_id, o.finish_reason) for o in outputs] == [(1, FinishReason.ERROR)]
    assert [o.request_id for o in run_until_done(scheduler)] == [2]


def test_a_sequence_whose_sampler_fails_fails_alone() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(10))
    add(scheduler, 2, range(100, 110))
    batch = scheduler.schedule()
    outputs = scheduler.update(batch, {1: Sampled(error="no"), 2: Sampled((7,))})
    assert {o.request_id for o in outputs if o.finish_reason is FinishReason.ERROR} == {1}
    assert [s.request_id for s in scheduler.running] == [2]


def test_an_interrupted_batch_is_computed_again() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(100))
    step(scheduler)
    scheduler.undo(scheduler.schedule(), restart=False)
    batch, _ = step(scheduler)
    assert counts(batch) == {1: 35} and Trim(0, 64) in batch.operations


def test_memory_that_cannot_be_cut_starts_again_after_an_interruption() -> None:
    scheduler = make_scheduler(partial_reuse=False)
    add(scheduler, 1, range(100))
    step(scheduler)
    scheduler.undo(scheduler.schedule(), restart=True)
    batch, _ = step(scheduler)
    assert batch.entries[0].start == 0 and Trim(0, 0) in batch.operations


def test_memory_that_cannot_be_cut_reuses_only_whole_states() -> None:
    scheduler = make_scheduler(partial_reuse=False)
    add(scheduler, 1, range(50), max_tokens=1)
    run_until_done(scheduler)
    add(scheduler, 2, [*range(50), 60], max_tokens=1)  # continues the whole state
    assert counts(step(scheduler)[0]) == {2: 1}
    run_until_done(scheduler)
    add(scheduler, 3, [*range(49), 61], max_tokens=1)  # would need a cut
    assert counts(step(scheduler)[0]) == {3: 49}


def test_a_prompts_last_token_has_a_step_of_its_own() -> None:
    """Cached or not, it is computed alone: kernels for many tokens differ in the last bits."""
    scheduler = make_scheduler()
    add(scheduler, 1, range(100), max_tokens=1)
    assert [counts(step(scheduler)[0]) for _ in range(3)] == [{1: 64}, {1: 35}, {1: 1}]
    add(scheduler, 2, range(100), max_tokens=1)
    assert counts(step(scheduler)[0]) == {2: 1}


def test_forced_tokens_are_computed_in_one_batch() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(10), max_tokens=50)
    step(scheduler)
    scheduler.update(scheduler.schedule(), {1: Sampled((5, 6, 7, 8))})
    batch = scheduler.schedule()
    assert counts(batch) == {1: 4} and batch.entries[0].ends_sequence


def test_forced_tokens_never_exceed_max_tokens() -> None:
    scheduler = make_scheduler()
    add(scheduler, 1, range(10), max_tokens=3)
    step(scheduler)
    outputs = scheduler.update(scheduler.schedule(), {1: Sampled((5, 6, 7, 8), is_end=True)})
    assert outputs[0].new_ids == (5, 6, 7)
    assert outputs[0].finish_reason is FinishReason.LENGTH


def test_pace_gives_reading_what_keeps_a_step_under_the_allowed_slowdown() -> None:
    pace = Pace(512)
    for _ in range(20):
        pace.observe(4, 0, 0.100)
        if count := pace.prefill_tokens(4):
            pace.observe(4, count, 0.100 + 0.010 * count)
    assert 4 <= pace.prefill_tokens(4) <= 7  # 0.1 s + 5 x 0.01 s = 1.5 times a plain step


def test_pace_reads_on_where_one_token_already_costs_more_than_is_allowed() -> None:
    pace = Pace(512)
    counts = []
    for _ in range(20):
        counts.append(pace.prefill_tokens(4))
        pace.observe(4, counts[-1], 0.060 + 0.080 * counts[-1])
    assert counts[-10:] == [1] * 10


def test_pace_leaves_no_room_where_decoding_fills_the_batch() -> None:
    pace = Pace(4)
    pace.observe(4, 0, 0.1)
    assert pace.prefill_tokens(4) == 0


def test_pace_lets_decoding_be_measured_again_now_and_then() -> None:
    pace = Pace(512)
    pace.observe(2, 0, 0.1)
    budgets = []
    for _ in range(60):
        budgets.append(pace.prefill_tokens(2))
        pace.observe(2, budgets[-1], 0.1 + 0.001 * budgets[-1])
    assert budgets.count(0) >= 2
