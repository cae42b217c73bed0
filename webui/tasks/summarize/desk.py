"""SummaryDesk: the texts that each reader has laid out, and the jobs that summarise them.

Used from one event loop. Knows nothing about pages or HTTP.
"""

import asyncio
import secrets
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from webui.documents.process import DocumentReader
from webui.engine.pool import Waiting
from webui.errors import AppError
from webui.jobs import Job, JobKind, JobRunsError, Jobs, Progress
from webui.storage import NotFoundError, Status, Storage, SummaryRecord
from webui.strings import Language
from webui.tasks.summarize.editing import EditError, with_bullet, with_text, without
from webui.tasks.summarize.reading import read_source
from webui.tasks.summarize.result import Bullet, Summary, summary_from
from webui.tasks.summarize.settings import SummarySettings
from webui.tasks.summarize.source import MAX_CHARS, EmptySourceError, Source, pasted, source_from
from webui.tasks.summarize.summarizer import Planned, RunState, Summarizer, SummaryUpdate

MAX_SOURCES = 20  # of one reader
MAX_DESKS = 200
MAX_UNDO = 50  # bullets
ASKS_FROM_S = 60.0  # longer work begins only when its reader has seen how long it will take
WAITING_STATES = (RunState.LOADING, RunState.QUEUED)


@dataclass(frozen=True, slots=True)
class SummaryProgress:
    """How far a job is: its plans while it plans and asks, then the run of one source at a time."""

    num_sources: int
    num_chars: int = 0
    plans: tuple[Planned, ...] = ()
    waiting: Waiting | None = None  # for the model that makes the plan
    is_asking: bool = False  # confirm() lets it begin
    position: int = 0  # of the source that is being summarised
    update: SummaryUpdate | None = None
    finished: tuple[str, ...] = ()  # ids of summaries, in order

    @property
    def eta_s(self) -> float:
        """Of the whole plan."""
        return sum(planned.plan.eta_s for planned in self.plans)


SummaryJob = Job[SummaryProgress]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be summarised, and how."""

    sources: tuple[Source, ...]
    settings: SummarySettings
    model_id: str = ""
    text: str = ""  # pasted; it comes after the sources
    language: Language = Language.JA  # of the errors


@dataclass(frozen=True, slots=True)
class _Removed:
    """A bullet that was taken out of a summary, and where it was."""

    summary_id: str
    index: int
    bullet: Bullet


@dataclass(slots=True)
class _Desk:
    """What one reader has uploaded, by token; what lets a job begin that asks first; and what was
    taken out of summaries last: only here, so that it leaves the disk at once."""

    sources: dict[str, Source] = field(default_factory=dict)
    may_begin: asyncio.Event = field(default_factory=asyncio.Event)
    removed: deque[_Removed] = field(default_factory=lambda: deque(maxlen=MAX_UNDO))


class SummaryDesk:
    def __init__(
        self, storage: Storage, summarizer: Summarizer, reader: DocumentReader, jobs: Jobs
    ) -> None:
        self._storage = storage
        self._summarizer = summarizer
        self._reader = reader
        self._jobs = jobs
        self._desks: dict[str, _Desk] = {}

    # --- texts -----------------------------------------------------------------------------------

    def sources(self, owner: str) -> dict[str, Source]:
        """By token, which remove() takes."""
        return dict(self._desk(owner).sources)

    async def add_file(self, owner: str, name: str, data: bytes, password: str = "") -> str:
        """Read an uploaded file; its token. Raises DocumentError, EmptySourceError."""
        source = await asyncio.to_thread(self._read, name, data, password)
        desk = self._desk(owner)
        if len(desk.sources) >= MAX_SOURCES:
            raise AppError("summary.too_many_files", limit=MAX_SOURCES)
        token = secrets.token_hex(8)
        desk.sources[token] = source
        return token

    def remove(self, owner: str, token: str) -> None:
        """Raises NotFoundError."""
        if self._desk(owner).sources.pop(token, None) is None:
            raise NotFoundError

    # --- jobs ------------------------------------------------------------------------------------

    def start(self, owner: str, wish: Wish, *, may_begin: bool = False) -> SummaryJob:
        """Summarise what was uploaded and what was pasted, one after the other.

        Raises EmptySourceError, JobRunsError: one at a time, so that each is as fast as it can be.
        """
        desk = self._desk(owner)
        wish = replace(wish, sources=(*desk.sources.values(), *wish.sources))
        if len(wish.text) > MAX_CHARS:
            raise EmptySourceError("summary.too_long", num_chars=len(wish.text), limit=MAX_CHARS)
        if not wish.sources and not wish.text.strip():
            raise EmptySourceError("summary.empty")
        return self._start(owner, wish, may_begin)

    def again(self, owner: str, summary_id: str, wish: Wish) -> SummaryJob:
        """An earlier summary's text, other settings. Raises NotFoundError, JobRunsError."""
        source = source_from(self._storage.summaries.source(owner, summary_id))
        return self._start(owner, replace(wish, sources=(source,), text=""), False)

    def resume(self, owner: str, summary_id: str, language: Language) -> SummaryJob:
        """Go on with an unfinished one of the history. Raises NotFoundError, JobRunsError."""
        record = self._storage.summaries.get(owner, summary_id)
        source = source_from(self._storage.summaries.source(owner, summary_id))
        settings = SummarySettings.parse(record.settings)
        return self._start(owner, Wish((source,), settings, record.model_id, "", language), True)

    def running(self, owner: str) -> SummaryJob | None:
        return self._jobs.find(owner, JobKind.SUMMARY)

    def confirm(self, owner: str, job_id: str) -> None:
        """The reader has seen how long it takes, and wants it. Raises NoSuchJobError."""
        self._jobs.get(owner, job_id)
        self._desk(owner).may_begin.set()

    # --- results ---------------------------------------------------------------------------------

    def result(self, owner: str, summary_id: str) -> tuple[Summary, Source]:
        """Raises NotFoundError, also while it is not complete."""
        record = self._storage.summaries.get(owner, summary_id)
        if record.status is not Status.COMPLETE:
            raise AppError("summary.not_complete")
        source = source_from(self._storage.summaries.source(owner, summary_id))
        return summary_from(record.result), source

    def history(self, owner: str) -> list[SummaryRecord]:
        return self._storage.summaries.newest(owner)

    def delete(self, owner: str, summary_id: str) -> None:
        """Hidden until restore(). Raises NotFoundError."""
        self._storage.summaries.delete(owner, summary_id)

    def restore(self, owner: str, summary_id: str) -> None:
        """Raises NotFoundError."""
        self._storage.summaries.restore(owner, summary_id)

    def edit(self, owner: str, summary_id: str, index: int, was: str, text: str) -> None:
        """Another wording of a bullet, compared with its sources anew. Raises EditError, …"""
        summary, source = self.result(owner, summary_id)
        self._save(owner, summary_id, with_text(summary, source, index, was, text))

    def remove_bullet(self, owner: str, summary_id: str, index: int, was: str) -> None:
        """Taken out until restore_bullet(). Raises EditError, NotFoundError."""
        summary, source = self.result(owner, summary_id)
        changed, bullet = without(summary, source, index, was)
        self._save(owner, summary_id, changed)
        self._desk(owner).removed.append(_Removed(summary_id, index, bullet))

    def restore_bullet(self, owner: str, summary_id: str) -> None:
        """The bullet that was taken out last. Raises EditError, NotFoundError."""
        summary, source = self.result(owner, summary_id)
        removed = self._desk(owner).removed
        last = next((one for one in reversed(removed) if one.summary_id == summary_id), None)
        if last is None:
            raise EditError("summary.bullet_changed")
        removed.remove(last)
        self._save(owner, summary_id, with_bullet(summary, source, last.index, last.bullet))

    # --- inside ----------------------------------------------------------------------------------

    def _desk(self, owner: str) -> _Desk:
        desk = self._desks.setdefault(owner, _Desk())
        for name in list(self._desks)[: len(self._desks) - MAX_DESKS]:
            if name != owner and not self.running(name):
                del self._desks[name]
        return desk

    def _save(self, owner: str, summary_id: str, changed: Summary) -> None:
        self._storage.summaries.end(owner, summary_id, Status.COMPLETE, changed.values())

    def _read(self, name: str, data: bytes, password: str) -> Source:
        with tempfile.TemporaryDirectory(prefix="kajogaki-") as folder:
            path = Path(folder) / "upload"
            path.write_bytes(data)
            return read_source(self._reader, path, name, password=password)

    def _start(self, owner: str, wish: Wish, may_begin: bool) -> SummaryJob:
        if self.running(owner):
            raise JobRunsError("summary.runs_already")
        desk = self._desk(owner)
        desk.may_begin = asyncio.Event()
        if may_begin:
            desk.may_begin.set()
        model_id = self._summarizer.model_of(wish.model_id).id
        title = wish.sources[0].title if wish.sources else ""
        job: SummaryJob = Job(owner, JobKind.SUMMARY, title, model_id=model_id)
        work = self._work(job, replace(wish, model_id=model_id), desk)
        return self._jobs.start(job, work, _progress_of)

    async def _work(
        self, job: SummaryJob, wish: Wish, desk: _Desk
    ) -> AsyncGenerator[SummaryProgress, None]:
        """Raises AppError: of the first source that cannot be summarised, after all others."""
        sources = list(wish.sources)
        now = SummaryProgress(len(sources) + bool(wish.text.strip()))
        yield now
        if wish.text.strip():
            sources.append(await asyncio.to_thread(pasted, wish.text))
            job.title = job.title or sources[-1].title
        now = replace(now, num_chars=sum(len(source.text) for source in sources))
        async with aclosing(self._planning(job.owner, sources, wish, now)) as steps:
            async for now in steps:
                yield now
        if now.eta_s > ASKS_FROM_S and not desk.may_begin.is_set():
            yield replace(now, is_asking=True)
            await desk.may_begin.wait()
        async with aclosing(self._running(job.owner, sources, wish, now)) as steps:
            async for now in steps:
                yield now
        if now.finished:
            desk.sources.clear()

    async def _planning(
        self, owner: str, sources: Sequence[Source], wish: Wish, now: SummaryProgress
    ) -> AsyncGenerator[SummaryProgress, None]:
        for source in sources:
            plans = self._summarizer.plan(owner, source, wish.settings, wish.model_id)
            async with aclosing(plans) as events:
                async for event in events:
                    if isinstance(event, Planned):
                        now = replace(now, plans=(*now.plans, event), waiting=None)
                    else:
                        now = replace(now, waiting=event)
                    yield now

    async def _running(
        self, owner: str, sources: Sequence[Source], wish: Wish, now: SummaryProgress
    ) -> AsyncGenerator[SummaryProgress, None]:
        failure: AppError | None = None
        for position, source in enumerate(sources):
            updates = self._summarizer.run(
                owner, source, wish.settings, model_id=wish.model_id, language=wish.language
            )
            async with aclosing(updates):
                async for update in updates:
                    now = replace(now, position=position, update=update)
                    if update.result:
                        now = replace(now, finished=(*now.finished, update.summary_id))
                    failure = failure or update.failure
                    yield now
        if failure:
            raise failure


def _progress_of(now: SummaryProgress) -> Progress:
    if now.update is None:
        is_queued = now.waiting is not None and not now.waiting.is_loading
        return Progress(is_waiting=is_queued)
    done = now.position + now.update.num_done / max(1, now.update.num_calls)
    return Progress(done, now.num_sources, is_waiting=now.update.state is RunState.QUEUED)
