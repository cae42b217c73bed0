"""Jobs: whatever outlives a request: a reply, a summary, a document's reading, a download.

A job belongs to the server, not to a browser tab. Any number of listeners join it at any time and
get its newest update first: an update tells the whole state, so nobody misses anything by coming
late. Used from one event loop. Knows nothing about pages, HTTP, or what is done in a job.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from webui.errors import AppError
from webui.strings import Language, text

HEARTBEAT_S = 1.0  # a listener hears at least that often, so that times go on by the clock
NUM_ENDED_KEPT = 100  # of all owners together: whoever reconnects late still learns the end

log = logging.getLogger(__name__)

Update = TypeVar("Update")


class JobKind(StrEnum):
    REPLY = "reply"
    SUMMARY = "summary"
    DOCUMENT = "document"
    DOWNLOAD = "download"
    BENCH = "bench"
    CONVERSION = "conversion"


class JobState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"  # by its owner, or with the server
    FAILED = "failed"


class NoSuchJobError(AppError):
    """There is no such job, or it is somebody else's: nobody learns which."""

    def __init__(self) -> None:
        super().__init__("jobs.not_found")


class JobRunsError(AppError):
    """Another job about the same thing runs already."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`num_total` 0: nobody can say. `is_waiting`: others are served first."""

    num_done: float = 0
    num_total: float = 0
    is_waiting: bool = False
    has_failed: bool = False  # as the last one: the work ended, but not well


class Job(Generic[Update]):
    """One job. `subject` names what it is about, such as a conversation's id."""

    def __init__(
        self,
        owner: str,
        kind: JobKind,
        title: str = "",
        subject: str = "",
        model_id: str = "",
        on_stop: Callable[[], None] = lambda: None,  # work that is done elsewhere, and only watched
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.owner = owner
        self.kind = kind
        self.title = title
        self.subject = subject
        self.model_id = model_id
        self._on_stop = on_stop
        self.state = JobState.RUNNING
        self.progress = Progress()
        self.update: Update | None = None
        self.error: AppError | None = None
        self._began_at = self._updated_at = time.monotonic()
        self._ended_at = 0.0
        self._num_updates = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False
        self._is_closing = False

    @property
    def is_over(self) -> bool:
        return self.state is not JobState.RUNNING

    @property
    def elapsed_s(self) -> float:
        """By the clock, whether or not there was news."""
        return (self._ended_at or time.monotonic()) - self._began_at

    @property
    def silent_s(self) -> float:
        """Since the last update."""
        return (self._ended_at or time.monotonic()) - self._updated_at

    def cancel(self) -> None:
        """Its owner wants no more of it: end it soon, undisturbed by being called again."""
        if not self.is_over and not self._is_cancelled:
            self._on_stop()
        self._cancel_task()

    def _cancel_task(self) -> None:
        if self._task and not self._is_cancelled:
            self._is_cancelled = True
            self._task.cancel()

    async def wait(self) -> None:
        """Until it has ended, whatever becomes of whoever waits."""
        async with contextlib.aclosing(self.follow()) as news:
            async for _ in news:
                pass

    async def follow(self, heartbeat_s: float = HEARTBEAT_S) -> AsyncGenerator[Update | None, None]:
        """The newest update now, then every newer one, or the same after `heartbeat_s` of silence.

        None until there is one. Ends with the job, after its last update. One who reads slowly
        skips updates, and keeps nobody waiting.
        """
        num_seen = -1
        while True:
            changed = self._changed
            if num_seen != self._num_updates:
                num_seen = self._num_updates
                yield self.update
                continue
            if self.is_over or self._is_closing:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(heartbeat_s):
                    await changed.wait()
            if not changed.is_set():
                yield self.update

    # --- the side of the work ----------------------------------------------------------------

    def publish(self, update: Update, progress: Progress) -> None:
        self.update, self.progress = update, progress
        self._updated_at = time.monotonic()
        self._num_updates += 1
        self._tell()

    def close(self) -> None:
        """The server ends: let the listeners go, and the work with them."""
        self._is_closing = True
        self._tell()

    def _end(self, state: JobState) -> None:
        self.state, self._ended_at = state, time.monotonic()
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


AnyJob = Job[Any]


class Jobs:
    """All jobs of all owners."""

    def __init__(self) -> None:
        self._running: dict[str, AnyJob] = {}
        self._ended: deque[AnyJob] = deque(maxlen=NUM_ENDED_KEPT)

    def start(
        self,
        job: Job[Update],
        updates: AsyncGenerator[Update, None],
        progress_of: Callable[[Update], Progress],
    ) -> Job[Update]:
        """Let `updates` run to their end, listened to or not; cancelling closes them.

        An AppError that they raise becomes the job's.
        """
        self._running[job.id] = job
        job._task = asyncio.create_task(_work(job, updates, progress_of))
        job._task.add_done_callback(lambda _: self._on_end(job))
        return job

    def get(self, owner: str, job_id: str) -> AnyJob:
        """Running, or one of those that ended last. Raises NoSuchJobError."""
        ended = next((job for job in self._ended if job.id == job_id), None)
        job = self._running.get(job_id, ended)
        if job is None or job.owner != owner:
            raise NoSuchJobError
        return job

    def running(self, owner: str) -> list[AnyJob]:
        """In the order in which they began."""
        return [job for job in self._running.values() if job.owner == owner and not job.is_over]

    def find(self, owner: str, kind: JobKind, subject: str = "") -> AnyJob | None:
        """The one that runs about `subject`."""
        return next(
            (j for j in self.running(owner) if j.kind is kind and j.subject == subject), None
        )

    def blocking(self, job: AnyJob) -> AnyJob | None:
        """Of those that use the model for which `job` waits, the one that began first."""
        if not job.progress.is_waiting or not job.model_id:
            return None
        return next(
            (
                other
                for other in self._running.values()
                if other.model_id == job.model_id
                and not (other.is_over or other.progress.is_waiting)
            ),
            None,
        )

    def waits_for(self, job: AnyJob, language: Language) -> str:
        """What a waiting job waits for, "" for another; nobody learns what other people do."""
        if job.is_over or not job.progress.is_waiting:
            return ""
        blocking = self.blocking(job)
        if blocking is None:
            return text("jobs.waits", language)
        if blocking.owner != job.owner:
            return text("jobs.waits_for_others", language)
        return text("jobs.waits_for", language, name=text(f"jobs.kind_{blocking.kind}", language))

    def let_listeners_go(self) -> None:
        """The server is asked to end: open streams must not hold it."""
        for job in [*self._running.values()]:
            job.close()

    async def close(self) -> None:
        """Stop all, and wait until what they have is saved."""
        tasks = [job._task for job in self._running.values() if job._task]
        self.let_listeners_go()
        for job in [*self._running.values()]:
            job._cancel_task()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_end(self, job: AnyJob) -> None:
        if not job.is_over:  # cancelled before its first step
            job._end(JobState.STOPPED)
        self._running.pop(job.id, None)
        self._ended.append(job)


async def _work(
    job: Job[Update],
    updates: AsyncGenerator[Update, None],
    progress_of: Callable[[Update], Progress],
) -> None:
    state = JobState.STOPPED
    try:
        async with contextlib.aclosing(updates):
            async for update in updates:
                job.publish(update, progress_of(update))
        state = JobState.FAILED if job.progress.has_failed else JobState.DONE
    except AppError as error:
        job.error, state = error, JobState.FAILED
    except Exception:
        log.exception("a job failed: %s", job.kind)
        job.error, state = AppError("ui.unexpected"), JobState.FAILED
    finally:
        job._end(state)
