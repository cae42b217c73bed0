"""EnginePool: several models within a budget, on real workers."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from webui.config import Settings
from webui.engine.client import Delta, Engine, ModelLoadError
from webui.engine.pool import EnginePool, LoadState, Waiting
from webui.engine.request import SamplingParams
from webui.engine.turns import TooBusyError
from webui.errors import AppError
from webui.models import Catalog
from webui.tasks.complete import Ask, Completions, Piece

SAMPLING = SamplingParams(max_tokens=20, temperature=0, ignore_eos=True)
LONG = replace(SAMPLING, max_tokens=400)
ONE_MODEL_GB = 0.08  # the stand-in needs a bit less


def in_pool(
    standin: Path, tmp_path: Path, test: Callable[[EnginePool], Awaitable[None]], **options: Any
) -> None:
    async def run() -> None:
        for name in ("one", "two", "three"):
            shutil.copy(standin, tmp_path / f"{name}.gguf")
        (tmp_path / "broken.gguf").write_bytes(standin.read_bytes()[:-200_000])
        settings = replace(Settings(n_ctx=1024, n_slots=2), **options)
        pool = EnginePool(Catalog(tmp_path, standin.parent), settings)
        try:
            await test(pool)
        finally:
            await pool.close()

    before = set(psutil.Process().children(recursive=True))
    asyncio.run(run())
    assert set(psutil.Process().children(recursive=True)) == before


async def answer(pool: EnginePool, model_id: str, sampling: SamplingParams = SAMPLING) -> str:
    async with pool.lease(model_id) as engine:
        events = engine.generate([400, 401], sampling)
        return "".join([e.text async for e in events if isinstance(e, Delta)])


def test_two_models_that_fit_answer_at_the_same_time(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        async with pool.lease("one"), pool.lease("two"):
            assert set(pool.loaded_ids()) == {"one", "two"}
        assert all(await asyncio.gather(answer(pool, "one"), answer(pool, "two")))

    in_pool(standin, tmp_path, test)


def test_models_that_compute_at_the_same_time_divide_the_threads(
    standin: Path, tmp_path: Path
) -> None:
    async def test(pool: EnginePool) -> None:
        async with pool.lease("one") as one:
            assert one.num_threads == 5
            async with pool.lease("two") as two:
                assert (one.num_threads, two.num_threads) == (3, 2)
                assert all(await asyncio.gather(answer(pool, "one"), answer(pool, "two")))
                async with pool.lease("three") as three:
                    assert [e.num_threads for e in (one, two, three)] == [2, 2, 1]
            assert one.num_threads == 5

    in_pool(standin, tmp_path, test, n_threads=5)


def test_two_models_that_do_not_fit_are_served_one_after_the_other(
    standin: Path, tmp_path: Path
) -> None:
    ends: list[str] = []

    async def test(pool: EnginePool) -> None:
        async def ask(model_id: str, sampling: SamplingParams) -> None:
            assert await answer(pool, model_id, sampling)
            assert len(pool.loaded_ids()) == 1
            ends.append(model_id)

        first = asyncio.create_task(ask("one", LONG))
        while not pool.turns.running:
            await asyncio.sleep(0.01)
        second = asyncio.create_task(ask("two", SAMPLING))
        while not pool.turns.waiting:
            await asyncio.sleep(0.01)
        third = asyncio.create_task(
            ask("one", SAMPLING)
        )  # its model is loaded, yet it may not pass
        await asyncio.gather(first, second, third)
        assert ends == ["one", "two", "one"]

    in_pool(standin, tmp_path, test, memory_gb=ONE_MODEL_GB)


def test_the_longest_unused_model_goes_first(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        await answer(pool, "one")
        await answer(pool, "two")
        await answer(pool, "one")
        await answer(pool, "three")
        assert set(pool.loaded_ids()) == {"one", "three"}
        assert pool.state("two").state is LoadState.UNLOADED

    in_pool(standin, tmp_path, test, memory_gb=2 * ONE_MODEL_GB)


def test_a_model_larger_than_the_budget_is_tried_alone(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        assert await answer(pool, "one")
        assert await answer(pool, "two")
        assert pool.loaded_ids() == ["two"]

    in_pool(standin, tmp_path, test, memory_gb=0.001)


def test_an_unused_model_is_unloaded_and_its_memory_given_back(
    standin: Path, tmp_path: Path
) -> None:
    async def test(pool: EnginePool) -> None:
        async with pool.lease("one") as engine:
            pid = engine.pid
            assert pid and psutil.pid_exists(pid)
            resident = pool._residents["one"]
        pool._unload_idle(resident, 0.0)  # what the timer calls when the minutes are over
        while pool.loaded_ids() or pool.state("one").state is not LoadState.UNLOADED:
            await asyncio.sleep(0.01)
        assert not psutil.pid_exists(pid)
        assert await answer(pool, "one")

    in_pool(standin, tmp_path, test)


def test_the_idle_timer_spares_what_was_used_since(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        await answer(pool, "one")
        resident = pool._residents["one"]
        pool._unload_idle(resident, 60)
        async with pool.lease("one"):
            pool._unload_idle(resident, 0.0)
            await asyncio.sleep(0.05)
            assert pool.loaded_ids() == ["one"]

    in_pool(standin, tmp_path, test)


def test_a_question_does_not_wait_for_a_summary(standin: Path, tmp_path: Path) -> None:
    """It stood 80 s behind one that had all places of its model."""

    async def steps(pool: EnginePool) -> None:
        async with aclosing(pool.leased("one", weight=2, is_background=True)) as states:
            async for state in states:
                if isinstance(state, Waiting):
                    continue
                parts = [asyncio.create_task(_part(state, first)) for first in (300, 301)]
                assert await answer(pool, "one")
                assert not any(part.done() for part in parts)
                assert all(await asyncio.gather(*parts))
                return

    in_pool(standin, tmp_path, steps)


async def _part(engine: Engine, first: int) -> str:
    events = engine.generate([first, 401], LONG, is_background=True)
    return "".join([event.text async for event in events if isinstance(event, Delta)])


def test_waiting_is_told_again_and_again(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        async with pool.lease("one"), pool.lease("one"):  # both slots
            async with aclosing(pool.leased("one")) as states:
                for _ in range(3):  # nothing happens, yet it speaks
                    state = await anext(states)
                    assert isinstance(state, Waiting) and not state.is_loading
            assert not pool.turns.waiting

    in_pool(standin, tmp_path, test)


def test_a_file_that_does_not_load_fails_its_own_requests_only(
    standin: Path, tmp_path: Path
) -> None:
    async def test(pool: EnginePool) -> None:
        async def fail() -> None:
            with pytest.raises(AppError):
                await answer(pool, "broken")

        await asyncio.gather(fail(), fail(), answer(pool, "one"))
        assert pool.state("broken").state is LoadState.FAILED
        assert not pool.turns.waiting and not pool.turns.running

    in_pool(standin, tmp_path, test)


def test_a_model_that_llama_cpp_refuses_fails_all_who_wait_for_it(
    standin: Path, tmp_path: Path
) -> None:
    async def test(pool: EnginePool) -> None:
        spec = pool.spec("one")
        pool.catalog._read.clear()
        (tmp_path / "one.gguf").write_bytes(b"GGUF" + bytes(500))  # after it was looked at
        wanted = await pool._want(spec)
        assert wanted.num_bytes > 0
        with pytest.raises(AppError):
            await answer(pool, "one")

    in_pool(standin, tmp_path, test)


def test_a_killed_worker_is_started_again_for_the_next_request(
    standin: Path, tmp_path: Path
) -> None:
    async def test(pool: EnginePool) -> None:
        async with pool.lease("one") as engine:
            assert engine.pid
            os.kill(engine.pid, signal.SIGKILL)
            while engine.is_alive:
                await asyncio.sleep(0.01)
        assert await answer(pool, "one")

    in_pool(standin, tmp_path, test)


def test_going_away_leaves_no_place_taken(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        tasks = [asyncio.create_task(answer(pool, "one", LONG)) for _ in range(12)]
        await asyncio.sleep(1.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not pool.turns.waiting and not pool.turns.running
        assert await answer(pool, "one")

    in_pool(standin, tmp_path, test)


def test_too_many_waiting_are_told_when_to_come_back(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        async with pool.lease("one"), pool.lease("one"):
            waiting = [asyncio.create_task(answer(pool, "one")) for _ in range(2)]
            while len(pool.turns.waiting) < 2:
                await asyncio.sleep(0.01)
            with pytest.raises(TooBusyError) as caught:
                await answer(pool, "one")
            assert caught.value.retry_after_s >= 1
        assert all(await asyncio.gather(*waiting))

    in_pool(standin, tmp_path, test, max_waiting=2)


def test_load_errors_reach_whoever_waits(
    standin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies while it loads (out of memory): one clear error, and the next try works."""

    async def test(pool: EnginePool) -> None:
        async def die(self: Engine, _: object = None) -> None:
            raise ModelLoadError("engine.load_failed", name=self.name, reason="killed")

        with monkeypatch.context() as patch:
            patch.setattr(Engine, "start", die)
            with pytest.raises(ModelLoadError):
                await answer(pool, "one")
        assert await answer(pool, "one")

    in_pool(standin, tmp_path, test)


def test_one_person_leaves_a_place_for_the_next(standin: Path, tmp_path: Path) -> None:
    """F8: forty requests of four answers held every slot for as long as they ran."""

    async def test(pool: EnginePool) -> None:
        async def ask(owner: str, weight: int) -> None:
            async with aclosing(pool.leased("one", owner, weight)) as states:
                async for state in states:
                    if isinstance(state, Engine):
                        await over.wait()
                        return

        over = asyncio.Event()
        greedy = [asyncio.create_task(ask("greedy", weight)) for weight in (2, 2, 1, 1, 9)]
        while pool.turns.load_of("one") < 3 or len(pool.turns.waiting) < 3:
            await asyncio.sleep(0.01)
        async with aclosing(pool.leased("one", "late")) as states:
            states_until_engine = [state async for state in _until_engine(states)]
        assert all(isinstance(state, Waiting) for state in states_until_engine)
        assert {ticket.owner for ticket in pool.turns.running} == {"greedy"}
        assert pool.turns.load_of("one") == 3
        over.set()
        await asyncio.gather(*greedy)

    in_pool(standin, tmp_path, test, login="on", n_slots=4)


async def _until_engine(states: AsyncGenerator[Waiting | Engine, None]) -> AsyncIterator[Waiting]:
    async for state in states:
        if isinstance(state, Engine):
            return
        yield state


def test_many_answers_to_one_request_leave_a_place_too(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        ask = Ask(
            "one", owner="greedy", prompts=("はい",), num_choices=9, sampling={"max_tokens": 6}
        )
        most, done = 0, set()
        async with aclosing(Completions(pool).run(ask)) as events:
            async for event in events:
                engine = pool.loaded("one")
                most = max(most, engine.num_requests if engine else 0)
                if isinstance(event, Piece) and event.finish_reason:
                    done.add(event.choice)
        assert done == set(range(9)) and most == 3

    in_pool(standin, tmp_path, test, login="on", n_slots=4)
