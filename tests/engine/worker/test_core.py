"""EngineCore on a real model, in this process: what it computes, not how it is reached."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.engine.worker.cores import make_core, run_all
from webui.engine.request import FinishReason, Request, SamplingParams
from webui.engine.worker.prefix_cache import Trim
from webui.engine.worker.runner import DecodeError, Interrupted, ModelLoadError
from webui.engine.worker.scheduler import Batch
from webui.engine.worker.worker import EngineCore

GREEDY = SamplingParams(max_tokens=24, temperature=0, ignore_eos=True)


@pytest.fixture
def core(standin: Path) -> Iterator[EngineCore]:
    core = make_core(standin)
    yield core
    assert core.integrity().problems == ()
    core.runner.close()


def prompts(count: int, seed: int = 1) -> list[tuple[int, ...]]:
    rng = random.Random(seed)
    return [
        tuple(rng.randrange(300, 4000) for _ in range(rng.randrange(5, 180))) for _ in range(count)
    ]


def test_together_gives_what_each_gives_alone(standin: Path, core: EngineCore) -> None:
    requests = [Request(i, prompt, GREEDY) for i, prompt in enumerate(prompts(8))]
    together = run_all(core, requests)
    for request in requests:
        alone = make_core(standin)
        assert run_all(alone, [request])[request.id].ids == together[request.id].ids
        alone.runner.close()


def test_one_that_was_sent_back_goes_on_as_if_nothing_had_happened(standin: Path) -> None:
    """A question takes the only slot from a part of a summary, and gives it back."""
    part, question = prompts(2, seed=8)
    only = make_core(standin, n_slots=1)
    only.add(Request(1, part, GREEDY, is_background=True))
    written: list[int] = []
    while len(written) < 5:
        written += [id for output in only.step() for id in output.new_ids]
    done = run_all(only, [Request(2, question, GREEDY)])
    alone = make_core(standin)
    assert done[2].ids == run_all(alone, [Request(2, question, GREEDY)])[2].ids
    assert (*written, *done[1].ids) == run_all(alone, [Request(1, part, GREEDY)])[1].ids
    assert done[1].usage and done[1].usage.completion_tokens == GREEDY.max_tokens
    for core in (only, alone):
        core.runner.close()


def test_logits_with_a_cached_prefix_are_those_of_a_cold_start(standin: Path) -> None:
    history, more = prompts(2, seed=3)
    cold, warm = make_core(standin), make_core(standin)
    one = SamplingParams(max_tokens=1, temperature=0)
    run_all(warm, [Request(1, history, one)])
    done = run_all(warm, [Request(2, history + more, one)])[2]
    run_all(cold, [Request(3, history + more, one)])
    assert done.usage is not None and done.usage.cached_tokens == len(history)
    np.testing.assert_allclose(warm.runner.logits(), cold.runner.logits(), atol=0.05, rtol=0)
    warm.runner.close()
    cold.runner.close()


def test_a_wrong_cache_would_be_seen(standin: Path) -> None:
    """The logits of the two tests around this one do depend on the whole prompt."""
    core = make_core(standin)
    one = SamplingParams(max_tokens=1, temperature=0)
    (prompt,) = prompts(1, seed=5)
    run_all(core, [Request(1, prompt, one)])
    before = core.runner.logits()
    run_all(core, [Request(2, (prompt[0] + 1, *prompt[1:]), one)])
    assert np.abs(before - core.runner.logits()).max() > 0.25
    core.runner.close()


def test_a_copied_prefix_gives_the_same_answers(standin: Path, core: EngineCore) -> None:
    (shared,) = [p for p in prompts(9, seed=4) if len(p) > 100][:1]
    tails = prompts(4, seed=6)
    requests = [Request(i, shared + tail, GREEDY) for i, tail in enumerate(tails)]
    together = run_all(core, requests)
    cached = [together[r.id].usage.cached_tokens for r in requests]  # type: ignore[union-attr]
    assert sum(count >= len(shared) for count in cached) == 3
    for request in requests:
        alone = make_core(standin)
        assert run_all(alone, [request])[request.id].ids == together[request.id].ids
        alone.runner.close()


def test_the_second_turn_evaluates_only_the_new_tokens(core: EngineCore) -> None:
    (first,) = prompts(1, seed=7)
    answer = run_all(core, [Request(1, first, GREEDY)])[1]
    second = run_all(core, [Request(2, (*first, *answer.ids, 400, 401), GREEDY)])[2]
    assert second.usage is not None
    # The last token of the answer was sampled, never computed.
    assert second.usage.prompt_tokens - second.usage.cached_tokens == 3


@pytest.mark.parametrize("kind", ["recurrent", "hybrid"])
def test_memory_that_cannot_be_cut_is_still_correct(kind: str, uncuttable: dict[str, Path]) -> None:
    (first, other) = prompts(2, seed=8)
    core = make_core(uncuttable[kind])
    assert not core.runner.partial_reuse
    answer = run_all(core, [Request(1, first, GREEDY)])[1]
    turn = (*first, *answer.ids, 400, 401)
    together = run_all(core, [Request(2, turn, GREEDY), Request(3, first + other, GREEDY)])
    assert together[2].usage is not None and together[2].usage.cached_tokens > len(first)
    assert core.integrity().problems == ()
    for request_id, prompt in ((2, turn), (3, first + other)):
        alone = make_core(uncuttable[kind])
        assert run_all(alone, [Request(1, prompt, GREEDY)])[1].ids == together[request_id].ids
        alone.runner.close()
    core.runner.close()


def test_idle_chats_leave_the_cache_and_come_back(standin: Path) -> None:
    """Attention runs over every cell of the cache, also those of chats that wait."""
    core, cold = make_core(standin, host_cache_bytes=64 << 20), make_core(standin)
    first, second, more = prompts(3, seed=7)
    answer = run_all(core, [Request(1, first, GREEDY)])[1]
    run_all(core, [Request(2, second, GREEDY)])
    assert core.scheduler.cache.num_free_cells == 4096 - len(second) - GREEDY.max_tokens + 1
    turn = first + answer.ids + more
    done = run_all(core, [Request(3, turn, GREEDY)])[3]
    assert done.usage and done.usage.cached_tokens == len(first) + GREEDY.max_tokens - 1
    assert done.ids == run_all(cold, [Request(4, turn, GREEDY)])[4].ids
    for one in (core, cold):
        one.runner.close()


def test_the_same_request_gives_the_same_answer_whatever_was_asked_before(standin: Path) -> None:
    """Where a sequence's cells lie decides how attention is split, and so its last bits."""
    core = make_core(standin, host_cache_bytes=64 << 20)
    asked, *others = prompts(5, seed=11)
    seeded = SamplingParams(max_tokens=48, temperature=1.0, seed=5, ignore_eos=True)
    answers = []
    for number, other in enumerate(others):
        answers.append(run_all(core, [Request(2 * number, asked, seeded)])[2 * number].ids)
        run_all(core, [Request(2 * number + 1, other, GREEDY)])
    assert len(set(answers)) == 1
    core.runner.close()


@pytest.mark.parametrize("kind", ["recurrent", "hybrid"])
def test_memory_that_cannot_be_cut_is_parked_whole(kind: str, uncuttable: dict[str, Path]) -> None:
    core = make_core(uncuttable[kind], host_cache_bytes=64 << 20)
    cold = make_core(uncuttable[kind])
    first, second, more = prompts(3, seed=9)
    answer = run_all(core, [Request(1, first, GREEDY)])[1]
    run_all(core, [Request(2, second, GREEDY)])
    turn = first + answer.ids + more
    done = run_all(core, [Request(3, turn, GREEDY)])[3]
    assert done.usage and done.usage.cached_tokens == len(first) + GREEDY.max_tokens - 1
    assert done.ids == run_all(cold, [Request(4, turn, GREEDY)])[4].ids
    for one in (core, cold):
        one.runner.close()


def test_parked_chats_stay_within_their_bytes(standin: Path) -> None:
    core = make_core(standin, host_cache_bytes=300_000)
    for number, prompt in enumerate(prompts(12, seed=13)):
        run_all(core, [Request(number, prompt, GREEDY)])
    host = core.scheduler.cache.host
    assert 0 < len(host) < 12
    assert sum(state.nbytes for state in core.runner._parked.values()) <= 300_000
    assert len(core.runner._parked) == len(host)
    core.runner.close()


def test_a_state_that_does_not_fit_back_costs_time_and_nothing_else(standin: Path) -> None:
    core, cold = make_core(standin, host_cache_bytes=64 << 20), make_core(standin)
    first, second, more = prompts(3, seed=15)
    answer = run_all(core, [Request(1, first, GREEDY)])[1]
    run_all(core, [Request(2, second, GREEDY)])
    for key, state in core.runner._parked.items():
        core.runner._parked[key] = state[: len(state) // 2]
    turn = first + answer.ids + more
    done = run_all(core, [Request(3, turn, GREEDY)])[3]
    assert done.ids == run_all(cold, [Request(4, turn, GREEDY)])[4].ids
    assert len(core.scheduler.cache.host) <= 1
    for one in (core, cold):
        one.runner.close()


def test_an_interrupted_step_changes_nothing(standin: Path, core: EngineCore) -> None:
    (prompt,) = [p for p in prompts(9, seed=9) if len(p) > 150][:1]
    core.add(Request(1, prompt, GREEDY))
    batch = core.scheduler.schedule()
    core.runner.interrupt()
    with pytest.raises(Interrupted):
        core.runner.run(batch)
    core.scheduler.undo(batch, restart=False)
    interrupted = run_all(core, [])[1]
    alone = make_core(standin)
    assert run_all(alone, [Request(1, prompt, GREEDY)])[1].ids == interrupted.ids
    alone.runner.close()


def test_one_bad_grammar_fails_alone(core: EngineCore) -> None:
    bad = SamplingParams(max_tokens=5, grammar='root ::= "a" undefined')
    done = run_all(core, [Request(1, (400, 401), bad), Request(2, (402, 403), GREEDY)])
    assert done[1].reason is FinishReason.ERROR and "undefined" in done[1].error
    assert len(done[2].ids) == GREEDY.max_tokens


def test_an_ambiguous_grammar_holds_up_nobody(core: EngineCore) -> None:
    """llama.cpp's own mask took 2^n steps for a piece of n characters here."""
    lines = [f"r{i} ::= [^!] r{i + 1} | [^!] s{i + 1}" for i in range(40)]
    lines += [f"s{i} ::= [^!] r{i + 1} | [^!] s{i + 1}" for i in range(40)]
    grammar = "\n".join(["root ::= r0", *lines, 'r40 ::= "!"', 's40 ::= "!!"'])
    hostile = SamplingParams(max_tokens=20, temperature=2.0, seed=1, grammar=grammar)
    done = run_all(core, [Request(1, (400, 401), hostile), Request(2, (402, 403), GREEDY)])
    assert len(done[2].ids) == GREEDY.max_tokens and done[1].error == ""


def test_the_number_of_threads_can_change_between_steps(core: EngineCore) -> None:
    core.add(Request(1, (400, 401), GREEDY))
    core.step()
    core.threads.use_at_most(1)
    assert len(run_all(core, [])[1].ids) > 0
    assert core.runner.num_threads == 1
    core.threads.use_at_most(2)


def test_a_failed_decode_fails_its_batch_and_the_engine_goes_on(core: EngineCore) -> None:
    core.add(Request(1, (10**7, 5), GREEDY))  # no such token id: llama.cpp refuses the batch
    outputs = core.step()
    assert [o.finish_reason for o in outputs] == [FinishReason.ERROR]
    assert run_all(core, [Request(2, (402, 403), GREEDY)])[2].reason is FinishReason.LENGTH


def test_a_cut_that_memory_refuses_is_an_error_not_a_crash(uncuttable: dict[str, Path]) -> None:
    core = make_core(uncuttable["recurrent"])
    run_all(core, [Request(1, (400, 401, 402, 403), GREEDY)])
    with pytest.raises(DecodeError):
        core.runner.run(Batch((Trim(0, 2),), ()))
    core.runner.close()


def test_sampling_is_reproducible_by_seed(core: EngineCore) -> None:
    def ids(seed: int, request_id: int) -> tuple[int, ...]:
        params = SamplingParams(max_tokens=30, temperature=2.0, seed=seed, ignore_eos=True)
        return run_all(core, [Request(request_id, (400, 401, 402), params)])[request_id].ids

    assert ids(7, 1) == ids(7, 2)
    assert len({ids(seed, 10 + seed) for seed in range(5)}) > 1


def test_logit_bias_penalties_and_stop_tokens_reach_llama_cpp(core: EngineCore) -> None:
    biased = SamplingParams(max_tokens=5, temperature=0, logit_bias=((777, 900.0),))
    assert run_all(core, [Request(1, (400, 401), biased)])[1].ids == (777,) * 5
    penalised = SamplingParams(
        max_tokens=5, temperature=0, logit_bias=((777, 50.0),), presence_penalty=90.0
    )
    assert run_all(core, [Request(2, (400, 401), penalised)])[2].ids.count(777) == 1
    stopped = SamplingParams(
        max_tokens=5, temperature=0, logit_bias=((777, 900.0),), stop_token_ids=(777,)
    )
    done = run_all(core, [Request(3, (400, 401), stopped)])[3]
    assert (done.ids, done.reason) == ((), FinishReason.STOP)


def test_a_grammar_of_any_text_never_gives_a_control_token(core: EngineCore) -> None:
    """llama.cpp's own mask allows <|im_start|> as if it were the text it is written as."""
    control = core.runner.vocab.is_silent.nonzero()[0]
    assert len(control) > 0
    bias = tuple((int(i), 500.0) for i in control)
    params = SamplingParams(max_tokens=8, temperature=0, grammar="root ::= .+", logit_bias=bias)
    done = run_all(core, [Request(1, (400, 401), params)])[1]
    assert done.error == "" and len(done.ids) > 0
    assert not core.runner.vocab.is_silent[list(done.ids)].any()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelLoadError):
        make_core(path)
