"""The documents that are being read are one job of their owner's."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from webui.documents.library import Library
from webui.documents.under_way import DocumentsRead, watch_documents
from webui.jobs import Jobs, JobState
from webui.storage import DocumentStatus, Storage

ME = "me"


def with_two_documents(
    folder: Path, test: Callable[[Storage, Library, list[str]], Awaitable[None]]
) -> None:
    """Of mine; the library's thread does not run, so that nothing reads them."""
    storage = Storage(folder / "kajogaki.db")
    documents = storage.documents
    where = documents.create_collection(ME, "規程集").id
    ids = [
        documents.add_document(ME, where, f"{name}.txt", sha256=name, num_bytes=1)[0].id
        for name in ("一", "二")
    ]
    library = Library(documents, folder / "documents")
    try:
        asyncio.run(test(storage, library, ids))  # type: ignore[arg-type]
    finally:
        library.close()
        storage.close()


def test_it_ends_when_all_are_read_and_only_then(tmp_path: Path) -> None:
    async def test(storage: Storage, library: Library, ids: list[str]) -> None:
        jobs = Jobs()
        job = watch_documents(jobs, library, ME)
        assert watch_documents(jobs, library, ME) is job  # one for all
        seen = []
        async for update in job.follow():
            seen.append(update)
            left = 2 - sum(one is not None for one in set(seen))
            if update and 0 <= left < len(ids):
                done = ids.pop()
                storage.documents.set_status(ME, done, DocumentStatus.READY, None)
        assert seen[-1] == DocumentsRead(2, 2) and DocumentsRead(0, 2) in seen
        assert job.state is JobState.DONE
        assert jobs.running("somebody else") == []

    with_two_documents(tmp_path, test)


def test_stop_cancels_the_reading_but_the_end_of_the_server_does_not(tmp_path: Path) -> None:
    async def test(storage: Storage, library: Library, ids: list[str]) -> None:
        def statuses() -> set[str]:
            return {str(storage.documents.document(ME, id).status) for id in ids}

        jobs = Jobs()
        job = watch_documents(jobs, library, ME)
        await anext(job.follow())
        await jobs.close()
        assert statuses() == {"waiting"}  # the next start goes on with them
        job = watch_documents(jobs, library, ME)
        job.cancel()
        await job.wait()
        assert statuses() == {"failed"}
        assert storage.documents.document(ME, ids[0]).problem

    with_two_documents(tmp_path, test)


def test_nothing_to_read_is_a_job_that_ends_at_once(tmp_path: Path) -> None:
    async def test(storage: Storage, library: Library, ids: list[str]) -> None:
        jobs = Jobs()
        job = watch_documents(jobs, library, "somebody else")
        await job.wait()
        assert job.state is JobState.DONE and job.update is None

    with_two_documents(tmp_path, test)
