"""TemporaryLibrary: files or texts that are asked about once. Nothing of them is kept.

Searched by keywords alone: embedding them would take longer than the answer.
"""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path
from types import TracebackType

from webui.config import LOCAL_USER
from webui.documents.library import Library, packed
from webui.engine.pool import EnginePool
from webui.storage import ChunkRow, Document, Documents, Storage
from webui.tasks.ask.asker import HEARTBEAT_S, Asker
from webui.tasks.ask.inquiry import AnswerUpdate, Asking, AskState
from webui.tasks.ask.searching import AskError
from webui.tasks.formats import Formats
from webui.text.pages import Kind, Page
from webui.text.splitter import Source, chunks, split


async def answer_from_texts(
    pool: EnginePool, formats: Formats, asking: Asking, texts: Iterable[tuple[str, str]]
) -> AsyncGenerator[AnswerUpdate, None]:
    """As Asker.answer, from (name, text) each. Raises AskError when there is no text in them."""
    pool.spec(asking.model_id)  # raises when there is no such model
    yield AnswerUpdate(AskState.SEARCHING)
    filling = asyncio.create_task(asyncio.to_thread(_filled, asking.owner, texts))
    try:
        while not (await asyncio.wait({filling}, timeout=HEARTBEAT_S))[0]:
            yield AnswerUpdate(AskState.SEARCHING)
        temporary = filling.result()
        asker = Asker(temporary.library, temporary.documents, pool, formats)
        async with aclosing(asker.answer(asking)) as updates:
            async for update in updates:
                yield update
    finally:
        await asyncio.wait({filling})
        if not filling.cancelled() and filling.exception() is None:
            await asyncio.to_thread(filling.result().close)


def _filled(owner: str, texts: Iterable[tuple[str, str]]) -> "TemporaryLibrary":
    """Raises AskError when there is no text in them, StorageError; leaves nothing behind then."""
    temporary = TemporaryLibrary(owner)
    try:
        temporary.add_texts(texts)
    except BaseException:
        temporary.close()
        raise
    return temporary


class TemporaryLibrary:
    """Blocking, for threads."""

    def __init__(self, owner: str = LOCAL_USER) -> None:
        """Raises StorageError when the disk has no room for it."""
        self._owner = owner
        with ExitStack() as undo:
            folder = Path(tempfile.mkdtemp(prefix="kajogaki-"))
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            self._storage = Storage(folder / "documents.db")
            undo.callback(self._storage.close)
            self._collection = self.documents.create_collection(owner, "").id
            self.library = Library(self.documents, folder / "files")
            self._undo = undo.pop_all()

    @property
    def documents(self) -> Documents:
        return self._storage.documents

    def __enter__(self) -> "TemporaryLibrary":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.library.close()
        self._undo.close()

    def add_file(self, path: Path, password: str = "") -> Document:
        """Read soon, in the document worker. Raises DocumentError."""
        document, _ = self.library.add(
            self._owner, self._collection, path.name, path, password=password
        )
        return document

    def remove(self, document_id: str) -> None:
        self.library.remove(self._owner, document_id)

    def state(self) -> list[Document]:
        """All of them as they are now."""
        return self.documents.documents(self._owner)

    def add_texts(self, texts: Iterable[tuple[str, str]]) -> None:
        """(name, text) each; searchable when it returns. Raises AskError when all are empty."""
        num_chunks = sum(self._add_text(name, text) for name, text in texts)
        if not num_chunks:
            raise AskError("ask.empty_texts")

    def _add_text(self, name: str, text: str) -> int:
        page = Page(1, text.replace("\r\n", "\n").replace("\r", "\n"))
        source = Source([page])
        rows = list(_rows(source))
        document, is_new = self.documents.add_document(
            self._owner,
            self._collection,
            name,
            sha256=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
            num_bytes=len(text),
        )
        if is_new:
            self.documents.save_content(
                self._owner, document.id, kind=Kind.TEXT, pages=[packed(page)], chunks=rows
            )
        return len(rows)


def _rows(source: Source) -> Iterator[ChunkRow]:
    for chunk in chunks(split(source, is_wrapped=True), source):
        span = chunk.span
        yield ChunkRow(
            span.page_from, span.char_from, span.page_to, span.char_to, chunk.title, chunk.text
        )
