"""The reading of one owner's documents as one job, for the list of all that is under way.

The library's thread does the work, and goes on with it after a restart; the job only watches.
Used from one event loop. Knows nothing about pages.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from webui.documents.library import Library
from webui.documents.progress import EVERYTHING
from webui.jobs import Job, JobKind, Jobs, Progress

WATCH_S = 0.5


@dataclass(frozen=True, slots=True)
class DocumentsRead:
    """Of those that were unfinished at some time while the job runs."""

    num_done: int
    num_total: int


def watch_documents(jobs: Jobs, library: Library, owner: str) -> Job[DocumentsRead]:
    """The job that watches them; it ends as soon as none is unfinished. Stop cancels them all."""
    running = jobs.find(owner, JobKind.DOCUMENT)
    if running:
        return running
    job: Job[DocumentsRead] = Job(
        owner, JobKind.DOCUMENT, on_stop=lambda: _cancel_all(library, owner)
    )
    return jobs.start(job, _updates(library, owner), _progress_of)


async def _updates(library: Library, owner: str) -> AsyncGenerator[DocumentsRead, None]:
    seen: set[str] = set()
    while unfinished := await asyncio.to_thread(_unfinished, library, owner):
        seen |= unfinished
        yield DocumentsRead(len(seen) - len(unfinished), len(seen))
        await asyncio.sleep(WATCH_S)
    if seen:
        yield DocumentsRead(len(seen), len(seen))


def _unfinished(library: Library, owner: str) -> set[str]:
    return {one.document_id for one in library.progress(owner)} - {EVERYTHING}


def _cancel_all(library: Library, owner: str) -> None:
    for document_id in _unfinished(library, owner):
        library.cancel(owner, document_id)


def _progress_of(read: DocumentsRead) -> Progress:
    return Progress(read.num_done, read.num_total)
