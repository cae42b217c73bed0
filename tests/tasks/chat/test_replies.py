"""An answer is a job: it goes on by itself, one at a time in a conversation, until its owner stops
it."""

import asyncio
from pathlib import Path

import pytest

from tests.tasks.chat.test_chat import ENDLESS, ME, World, in_world
from webui.jobs import JobRunsError, Jobs, JobState
from webui.storage import NotFoundError, Status
from webui.strings import Language
from webui.tasks.chat.replies import Replies, ReplyJob


def asked(world: World, replies: Replies, **sampling: object) -> ReplyJob:
    conversation = world.conversation(**sampling)
    world.chat.send(ME, conversation, "こんにちは。")
    return replies.start(ME, conversation, Language.JA)


async def has_begun(job: ReplyJob) -> None:
    while not (job.update and job.update.text):
        await asyncio.sleep(0.01)


def test_it_is_written_to_its_end_without_a_listener(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        replies = Replies(world.storage, world.chat, Jobs())
        job = asked(world, replies, max_tokens=5)
        await job.wait()
        answer = world.storage.path(ME, job.subject)[-1]
        assert (job.state, answer.status) == (JobState.DONE, Status.COMPLETE)
        assert replies.running(ME, job.subject) is None

    in_world(standin, tmp_path, test)


def test_only_its_owner_stops_it_and_what_was_written_stays(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        replies = Replies(world.storage, world.chat, Jobs())
        job = asked(world, replies, **ENDLESS)
        await has_begun(job)
        with pytest.raises(JobRunsError):
            replies.start(ME, job.subject, Language.JA)
        replies.stop("somebody else", job.subject)
        assert replies.running("somebody else", job.subject) is None
        assert replies.running(ME, job.subject) is job
        replies.stop(ME, job.subject)
        await job.wait()
        answer = world.storage.path(ME, job.subject)[-1]
        assert (job.state, answer.status) == (JobState.STOPPED, Status.PARTIAL)
        assert answer.content
        replies.check_free(ME, job.subject)

    in_world(standin, tmp_path, test)


def test_the_end_of_the_server_keeps_what_was_written(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        jobs = Jobs()
        job = asked(world, Replies(world.storage, world.chat, jobs), **ENDLESS)
        await has_begun(job)
        await jobs.close()
        answer = world.storage.path(ME, job.subject)[-1]
        assert answer.status is Status.PARTIAL and answer.content

    in_world(standin, tmp_path, test)


def test_an_error_of_the_model_is_a_failed_job(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        replies = Replies(world.storage, world.chat, Jobs())
        job = asked(world, replies, temperature="hot")
        await job.wait()
        assert job.state is JobState.FAILED
        with pytest.raises(NotFoundError):
            replies.start(ME, "no such conversation", Language.JA)

    in_world(standin, tmp_path, test)
