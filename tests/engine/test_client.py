"""Engine: a real worker process, killed, cancelled and fed with bad files."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.worker.cores import load_message
from webui.engine.client import (
    Delta,
    Engine,
    EngineDeadError,
    ModelLoadError,
    Progress,
    PromptTooLongError,
    RequestFailedError,
    _next_outputs,
)
from webui.engine.request import FinishReason, SamplingParams, SequenceOutput
from webui.strings import Language

ENDLESS = SamplingParams(max_tokens=3000, temperature=0, ignore_eos=True)
SHORT = SamplingParams(max_tokens=12, temperature=0, ignore_eos=True)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


@asynccontextmanager
async def started(path: Path, **options: Any) -> AsyncIterator[Engine]:
    engine = Engine(load_message(path, **options), "test")
    await engine.start()
    try:
        yield engine
        assert (await engine.integrity()).problems == ()
    finally:
        await engine.stop()


async def text_of(engine: Engine, ids: list[int], sampling: SamplingParams = SHORT) -> str:
    return "".join([e.text async for e in engine.generate(ids, sampling) if isinstance(e, Delta)])


async def first_delta(events: Any) -> Delta:
    async for event in events:
        if isinstance(event, Delta):
            return event
    raise AssertionError("nothing was generated")


def test_many_at_once_give_the_same_as_one_after_another(standin: Path) -> None:
    async def test() -> None:
        async with started(standin) as engine:
            prompts = [[400 + i, 500, 600 + i] for i in range(12)]  # more than there are slots
            together = await asyncio.gather(*(text_of(engine, ids) for ids in prompts))
            assert together == [await text_of(engine, ids) for ids in prompts]

    run(test)


def test_the_last_event_has_the_reason_and_the_numbers(standin: Path) -> None:
    async def test() -> None:
        async with started(standin) as engine:
            events = [event async for event in engine.generate([400, 401, 402], SHORT)]
            last = events[-1]
            assert isinstance(last, Delta) and last.finish_reason is FinishReason.LENGTH
            assert last.usage is not None
            assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (3, 12)
            assert last.usage.time_to_first_token_s > 0 and last.usage.tokens_per_s > 0

    run(test)


def test_closing_the_generator_frees_the_slot(standin: Path) -> None:
    async def test() -> None:
        async with started(standin) as engine:
            async with aclosing(engine.generate([400, 401], ENDLESS)) as events:
                await first_delta(events)
            assert (await engine.integrity()).num_running == 0  # the abort came before this

    run(test)


def test_a_cancellation_together_with_a_token_is_not_lost() -> None:
    """asyncio.wait_for returned the token instead: one stop in ten did nothing."""

    async def test() -> None:
        inbox: asyncio.Queue[SequenceOutput | None] = asyncio.Queue()
        waiting = asyncio.create_task(_next_outputs(inbox))
        await asyncio.sleep(0)
        inbox.put_nowait(SequenceOutput(1, (400,), 1, -1))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(test)


@pytest.mark.thorough
def test_cancel_while_a_long_prompt_is_read_frees_the_slot(tmp_path_factory: Any) -> None:
    """One 2,048-token chunk of this model takes seconds; the abort must stop it inside."""
    from tests.makegguf import random_llama

    path = tmp_path_factory.mktemp("gguf") / "wide.gguf"
    random_llama(path, n_vocab=4500, n_embd=512, n_layer=16, n_head=8, n_head_kv=2, n_ff=4096)

    async def test() -> None:
        async with started(path, n_batch=2048, n_ctx=4096) as engine:
            events = engine.generate(list(range(1000, 3040)), SHORT)
            await anext(events)
            await asyncio.sleep(0.3)
            assert (await asyncio.wait_for(_reading(events), 5)).num_prompt_done == 0
            await events.aclose()
            after = await engine.integrity()
            assert (after.num_running, after.num_resident) == (0, 0)  # the chunk was not finished

    run(test)


async def _reading(events: Any) -> Progress:
    event = await anext(events)
    assert isinstance(event, Progress)
    return event


@pytest.mark.thorough
def test_it_is_never_quiet_for_long(standin: Path) -> None:
    async def test() -> None:
        async with started(standin, n_slots=1) as engine:
            running = engine.generate([400, 401], ENDLESS)
            await first_delta(running)
            waiting = engine.generate([500, 501], SHORT)
            assert await anext(waiting) == Progress(0, 2, 0)
            worker = psutil.Process(engine.pid)
            worker.suspend()
            for _ in range(3):  # no news from the worker, yet it speaks
                assert await anext(waiting) == Progress(0, 2, 0)
            worker.resume()
            await running.aclose()
            assert (await first_delta(waiting)).token_ids
            await waiting.aclose()

    run(test)


def test_stop_strings_end_the_answer_and_are_not_shown(standin: Path) -> None:
    async def test() -> None:
        async with started(standin) as engine:
            whole = await text_of(engine, [400, 401], SHORT)
            assert len(whole) > 6
            stop = whole[4:6]
            events = [e async for e in engine.generate([400, 401], ENDLESS, [stop])]
            text = "".join(e.text for e in events if isinstance(e, Delta))
            assert text == whole[: whole.index(stop)]
            last = events[-1]
            assert isinstance(last, Delta) and last.finish_reason is FinishReason.STOP
            assert last.usage is not None
            assert (await engine.integrity()).num_running == 0

    run(test)


def test_a_prompt_that_is_too_long_says_by_how_much(standin: Path) -> None:
    async def test() -> None:
        async with started(standin, n_ctx=256) as engine:
            with pytest.raises(PromptTooLongError) as caught:
                await text_of(engine, [400] * 300)
            assert caught.value.values["num_over"] == 300 + 1 - 256
            assert "45" in caught.value.message(Language.JA)

    run(test)


def test_max_tokens_is_lowered_to_what_the_context_leaves(standin: Path) -> None:
    async def test() -> None:
        async with started(standin, n_ctx=256) as engine:
            events = [e async for e in engine.generate([400] * 200, ENDLESS)]
            last = events[-1]
            assert isinstance(last, Delta) and last.usage is not None
            assert last.usage.completion_tokens == 57

    run(test)


def test_a_bad_grammar_fails_its_own_request_only(standin: Path) -> None:
    async def test() -> None:
        async with started(standin) as engine:
            bad = SamplingParams(grammar="root ::= nonsense")
            good = asyncio.create_task(text_of(engine, [400, 401]))
            with pytest.raises(RequestFailedError):
                await text_of(engine, [402], bad)
            assert await good

    run(test)


def test_a_grammar_of_very_deep_rules_ends_no_worker(standin: Path) -> None:
    """Native code that calls itself for each of them ran out of its stack."""
    rules = [f'r{number} ::= [a-c] r{number + 1} "b"' for number in range(4500)]
    grammar = "\n".join([*rules, 'r4500 ::= "c"', "root ::= r0"])

    async def test() -> None:
        async with started(standin) as engine:
            deep = SamplingParams(max_tokens=4, temperature=0, ignore_eos=True, grammar=grammar)
            assert set(await text_of(engine, [400, 401], deep)) <= set("abc")
            assert await text_of(engine, [400, 401])

    run(test)


def test_grammar_shapes_the_answer_and_forced_text_comes_in_one_step(standin: Path) -> None:
    grammar = (
        'root ::= ("・" ("りんご" | "みかん") "は、とても長い決まった文のあとに続きます。\\n"){3}'
    )

    async def test() -> None:
        async with started(standin) as engine:
            sampling = SamplingParams(max_tokens=400, temperature=1.0, grammar=grammar)
            events = [e async for e in engine.generate([400, 401], sampling)]
            deltas = [e for e in events if isinstance(e, Delta)]
            lines = "".join(d.text for d in deltas).splitlines()
            assert len(lines) == 3
            assert all(line[1:4] in ("りんご", "みかん") for line in lines)
            assert deltas[-1].finish_reason is FinishReason.STOP
            assert max(len(d.token_ids) for d in deltas) > 5

    run(test)


def test_kill_9_is_told_at_once_and_the_next_start_works(standin: Path) -> None:
    async def test() -> None:
        async with started(standin) as engine:
            for _ in range(3):
                events = engine.generate([400, 401], ENDLESS)
                assert (await first_delta(events)).text is not None
                assert engine.pid is not None
                os.kill(engine.pid, signal.SIGKILL)
                with pytest.raises(EngineDeadError):
                    async for _event in events:
                        pass
                await engine.start()
            assert await text_of(engine, [400, 401])

    before = set(psutil.Process().children())
    run(test)
    assert set(psutil.Process().children()) == before  # no process, no zombie


def test_requests_after_the_death_are_refused_clearly(standin: Path) -> None:
    async def test() -> None:
        engine = Engine(load_message(standin), "test")
        await engine.start()
        await engine.stop()
        with pytest.raises(EngineDeadError):
            await text_of(engine, [400])

    run(test)


@pytest.mark.parametrize("damage", ["empty", "not a gguf", "truncated", "absurd counts"])
def test_a_bad_file_is_one_clear_error(damage: str, standin: Path, tmp_path: Path) -> None:
    good = standin.read_bytes()
    content = {
        "empty": b"",
        "not a gguf": b"%PDF-1.7 hello" * 100,
        "truncated": good[: len(good) // 2],
        "absurd counts": good[:8] + (2**62).to_bytes(8, "little") + good[16:],
    }[damage]
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)

    async def test() -> None:
        engine = Engine(load_message(path), "壊れたモデル")
        with pytest.raises(ModelLoadError) as caught:
            await engine.start()
        assert "壊れたモデル" in caught.value.message(Language.JA)
        assert engine.pid is None

    run(test)


def test_the_worker_ends_when_its_parent_is_gone(standin: Path) -> None:
    async def test() -> None:
        async with started(standin) as engine:
            assert engine.pid is not None and engine._worker is not None
            worker = psutil.Process(engine.pid)
            stdin = engine._worker._stdin
            assert stdin is not None
            stdin.close()  # what the kernel does when the parent dies
            worker.wait(2)
            while engine.is_alive:
                await asyncio.sleep(0.01)
            await engine.start()

    run(test)
