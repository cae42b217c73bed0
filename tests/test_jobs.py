"""Jobs go on without listeners; listeners come late, leave early, and miss nothing."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from webui.errors import AppError
from webui.jobs import Job, JobKind, Jobs, JobState, NoSuchJobError, Progress


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """In a thread: while Playwright runs, this one has an event loop already."""

    async def limited() -> None:
        async with asyncio.timeout(60):
            await scenario

    with ThreadPoolExecutor() as pool:
        pool.submit(lambda: asyncio.run(limited())).result()


class Work:
    """Counts to `total`, one step for each go(); then waits for ever, fails, or is done."""

    def __init__(self, total: int = 3, then: str = "done") -> None:
        self.total = total
        self.then = then
        self.steps: asyncio.Queue[None] = asyncio.Queue()
        self.is_closed = False

    def go(self) -> None:
        self.steps.put_nowait(None)

    async def updates(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(1, self.total + 1):
                await self.steps.get()
                yield number
            if self.then == "hang":
                await asyncio.sleep(3600)
            if self.then == "app error":
                raise AppError("summary.empty")
            if self.then == "fault":
                raise ZeroDivisionError
        finally:
            await asyncio.sleep(0)  # a clean-up that has to wait for something
            self.is_closed = True


def counted(number: int) -> Progress:
    return Progress(number, 3)


def started(jobs: Jobs, work: Work, model_id: str = "") -> Job[int]:
    job: Job[int] = Job("me", JobKind.SUMMARY, model_id=model_id)
    return jobs.start(job, work.updates(), counted)


async def all_of(job: Job[int]) -> list[int | None]:
    return [update async for update in job.follow()]


def test_it_runs_to_its_end_without_a_listener() -> None:
    async def scenario() -> None:
        jobs, work = Jobs(), Work()
        job = started(jobs, work)
        for _ in range(3):
            work.go()
        await job.wait()
        assert (job.state, job.update, job.progress) == (JobState.DONE, 3, Progress(3, 3))
        assert work.is_closed
        assert jobs.running("me") == []
        assert jobs.get("me", job.id) is job  # who comes late learns how it ended

    run(scenario())


def test_a_late_listener_gets_the_newest_update_first_and_then_the_rest() -> None:
    async def scenario() -> None:
        jobs, work = Jobs(), Work()
        job = started(jobs, work)
        early = asyncio.create_task(all_of(job))
        work.go()
        work.go()
        while job.update != 2:
            await asyncio.sleep(0)
        late = asyncio.create_task(all_of(job))
        await asyncio.sleep(0)
        work.go()
        seen = [one or 0 for one in await early]
        assert seen == sorted(seen) and seen[-2:] == [2, 3]
        assert await late == [2, 3]
        assert await all_of(job) == [3]  # after the end

    run(scenario())


def test_a_listener_that_goes_stops_nothing_and_one_that_sleeps_holds_nothing_up() -> None:
    async def scenario() -> None:
        jobs, work = Jobs(), Work()
        job = started(jobs, work)
        gone, sleeping = job.follow(), job.follow()
        await anext(gone)
        await anext(sleeping)
        await gone.aclose()
        for _ in range(3):
            work.go()
        await job.wait()
        assert job.state is JobState.DONE
        assert [update async for update in sleeping] == [3]  # the last one, not each

    run(scenario())


def test_silence_is_filled_so_that_times_go_on() -> None:
    async def scenario() -> None:
        jobs, work = Jobs(), Work()
        job = started(jobs, work)
        following = job.follow(heartbeat_s=0.01)
        assert [await anext(following) for _ in range(3)] == [None] * 3
        before = job.elapsed_s
        await anext(following)
        assert job.elapsed_s > before
        await jobs.close()
        ended = job.elapsed_s
        await asyncio.sleep(0.01)
        assert job.elapsed_s == ended

    run(scenario())


def test_stop_lets_the_work_clean_up_once() -> None:
    async def scenario() -> None:
        jobs, work = Jobs(), Work(total=1, then="hang")
        job = started(jobs, work)
        work.go()
        while job.update is None:
            await asyncio.sleep(0)
        job.cancel()
        job.cancel()
        await job.wait()
        assert (job.state, job.update) == (JobState.STOPPED, 1)
        assert work.is_closed

    run(scenario())


def test_stop_before_the_first_step() -> None:
    async def scenario() -> None:
        jobs, work = Jobs(), Work()
        job = started(jobs, work)
        job.cancel()
        await job.wait()
        assert job.state is JobState.STOPPED
        assert jobs.running("me") == []

    run(scenario())


@pytest.mark.parametrize(
    ("then", "key"), [("app error", "summary.empty"), ("fault", "ui.unexpected")]
)
def test_a_failure_is_told_in_a_sentence(then: str, key: str) -> None:
    async def scenario() -> None:
        jobs, work = Jobs(), Work(total=0, then=then)
        job = started(jobs, work)
        await job.wait()
        assert job.state is JobState.FAILED
        assert job.error and job.error.key == key

    run(scenario())


def test_jobs_of_others_are_as_unknown_as_none() -> None:
    async def scenario() -> None:
        jobs, work = Jobs(), Work()
        job = started(jobs, work)
        for owner, id in (("somebody else", job.id), ("me", "no such id"), ("me", "")):
            with pytest.raises(NoSuchJobError):
                jobs.get(owner, id)
        assert jobs.running("somebody else") == []
        assert jobs.find("somebody else", JobKind.SUMMARY) is None
        assert jobs.find("me", JobKind.REPLY) is None
        assert jobs.find("me", JobKind.SUMMARY) is job
        await jobs.close()

    run(scenario())


def test_what_a_waiting_job_waits_for() -> None:
    async def scenario() -> None:
        jobs = Jobs()
        running = started(jobs, Work(), model_id="small")
        waiting: Job[int] = Job("me", JobKind.REPLY, model_id="small")
        first, second = Work(), Work()
        jobs.start(waiting, first.updates(), lambda _: Progress(is_waiting=True))
        other: Job[int] = Job("me", JobKind.REPLY, model_id="large")
        jobs.start(other, second.updates(), lambda _: Progress(is_waiting=True))
        assert jobs.blocking(waiting) is None  # nobody knows yet that it waits
        first.go()
        second.go()
        while not (waiting.progress.is_waiting and other.progress.is_waiting):
            await asyncio.sleep(0)
        assert jobs.blocking(waiting) is running
        assert jobs.blocking(other) is None
        assert jobs.blocking(running) is None
        running.cancel()
        await running.wait()
        assert jobs.blocking(waiting) is None
        await jobs.close()

    run(scenario())


def test_the_end_of_the_server_lets_listeners_go_and_stops_the_work() -> None:
    async def scenario() -> None:
        jobs, work = Jobs(), Work()
        job = started(jobs, work)
        listening = asyncio.create_task(all_of(job))
        await asyncio.sleep(0)
        jobs.let_listeners_go()
        await listening
        assert not job.is_over
        await jobs.close()
        assert job.state is JobState.STOPPED

    run(scenario())
