"""Library: a user's documents, from the uploaded file to the searchable index.

Files are kept under their document's id, never under a name that came from outside. One thread
reads and embeds, one document after the other; a killed process goes on where it was, because a
document's content is saved in one transaction and vectors in small ones.
"""

import hashlib
import json
import logging
import os
import secrets
import shutil
import threading
import time
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from webui.documents.errors import DocumentError
from webui.documents.messages import Reading
from webui.documents.process import Cancelled, DocumentReader, ReadDocument
from webui.documents.progress import EMBEDDING, EVERYTHING, Progress, embedding_of, measured
from webui.documents.reader.ocr import as_line, is_available
from webui.documents.search.embedder_process import LocalEmbedder
from webui.documents.search.embedding import EmbedderState, EmbedderStatus, Embedding
from webui.documents.search.model_folder import can_embed
from webui.documents.search.retriever import Found, MakeStore, Retriever
from webui.documents.trust import CollectionTest, run_test
from webui.errors import AppError
from webui.storage import (
    ChunkRow,
    Document,
    Documents,
    DocumentStatus,
    NotFoundError,
    PageRow,
    StorageError,
)
from webui.text.pages import Chunk, Page, PageProblem, RecognisedPage, Span, TextRun
from webui.text.places import Place, place_from

log = logging.getLogger(__name__)

MAX_UPLOAD_BYTES = 1_000_000_000
_MAX_NAMED_PAGES = 8
_TRY_AGAIN_S = 20.0  # after the disk was full
_UPLOAD = ".upload-"
_RECOGNISED = ".ocr"  # behind a document's id


class Library:
    """Thread-safe. `start` once; `close` at the end."""

    def __init__(
        self,
        documents: Documents,
        folder: Path,
        embedding: Embedding | None = None,
        make_store: MakeStore | None = None,
    ) -> None:
        self._documents = documents
        self._folder = folder
        self._reader = DocumentReader()
        self._drawer = DocumentReader()  # a picture must not wait until a long file is read
        self._embedding = embedding
        self.retriever = Retriever(documents, embedding, make_store)
        self._passwords: dict[str, str] = {}  # never stored
        self._cancelled: set[str] = set()
        self._progress: dict[str, Progress] = {}
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble: AppError | None = None  # why the job stands still: a full disk

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Go on with what a stopped or killed process has left, and remove what is nobody's."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = self._documents.ids()
        for file in self._folder.iterdir():
            if file.name.removesuffix(_RECOGNISED) not in known:
                file.unlink()
        if known:
            self._work_soon()

    def close(self) -> None:
        """Ends the thread and both workers; a document that is being read stays unfinished."""
        self._closing.set()
        self._wake.set()
        self._reader.stop()
        self._drawer.stop()
        if self._embedding:
            self._embedding.stop()
        if self._thread:
            self._thread.join()
        self.retriever.close()

    # --- documents -------------------------------------------------------------------------------

    def add(
        self,
        owner: str,
        collection_id: str,
        name: str,
        source: Path,
        *,
        password: str = "",
        replaces: str = "",
    ) -> tuple[Document, bool]:
        """Takes a copy of `source` and reads it soon; False: the same content is there already.

        The document `replaces` stays until this one is ready, and goes then.
        """
        num_bytes = source.stat().st_size
        if num_bytes > MAX_UPLOAD_BYTES:
            raise DocumentError("documents.too_large", limit_mb=MAX_UPLOAD_BYTES // 1_000_000)
        if num_bytes == 0:
            raise DocumentError("documents.empty")
        with self._copied(source) as (copy, sha256):
            document, is_new = self._documents.add_document(
                owner,
                collection_id,
                _base_name(name),
                sha256=sha256,
                num_bytes=num_bytes,
                replaces=replaces,
            )
            if is_new:
                os.replace(copy, self._file(document.id))
        if is_new:
            self._remember_password(document.id, password)
            self._work_soon()
        return document, is_new

    def new_upload(self) -> Path:
        """Where an upload may be written; `add` takes it without a copy. Swept at a start."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._folder / f"{_UPLOAD}{secrets.token_hex(8)}"

    def original(self, owner: str, document_id: str) -> tuple[Path, str]:
        """The file as it came, and its name."""
        document = self._documents.document(owner, document_id)
        path = self._file(document.id)
        if not path.exists():
            raise DocumentError("documents.file_lost")
        return path, document.name

    def retry(self, owner: str, document_id: str, password: str = "") -> None:
        """Reads it again: after a failure, with a password, or to have it indexed anew."""
        self._documents.document(owner, document_id)  # only its owner changes anything
        self._remember_password(document_id, password)
        self._cancelled.discard(document_id)
        self._documents.set_status(owner, document_id, DocumentStatus.WAITING)
        self._work_soon()

    def recognise(self, owner: str, document_id: str) -> None:
        """Reads it again, with character recognition for the pages that have no text."""
        self._documents.document(owner, document_id)
        if not is_available():
            raise DocumentError("documents.no_ocr")
        self._recognised_file(document_id).touch(mode=0o600)
        self.retry(owner, document_id)

    def unlock(self, owner: str, document_id: str, password: str) -> None:
        """Remember the password for pictures. Raises PasswordNeededError when it is wrong."""
        document = self._documents.document(owner, document_id)
        self._drawer.draw(self._file(document.id), 1, 16, password)
        self._remember_password(document.id, password)

    def cancel(self, owner: str, document_id: str) -> None:
        """Stops its reading; what is indexed of it stays as it was."""
        document = self._documents.document(owner, document_id)
        if document.status in (DocumentStatus.WAITING, DocumentStatus.READING):
            self._cancelled.add(document_id)
            if document.num_chunks:  # it was read before
                problem = self._page_problem(owner, document_id)
                self._documents.set_status(owner, document_id, DocumentStatus.READY, problem)
            else:
                self._documents.set_status(
                    owner, document_id, DocumentStatus.FAILED, ("documents.cancelled", {})
                )

    def remove(self, owner: str, document_id: str) -> None:
        self._documents.delete_document(owner, document_id)
        self._forget(owner, [document_id])

    def remove_collection(self, owner: str, collection_id: str) -> None:
        self._forget(owner, self._documents.delete_collection(owner, collection_id))

    def progress(self, owner: str) -> list[Progress]:
        """Of the owner's documents that are not finished, in the order they will be."""
        unfinished = [item for item in self._documents.unfinished() if item.owner == owner]
        waiting = {item.id: Progress(item.id, str(item.status)) for item in unfinished}
        current = {
            id: progress
            for id, progress in dict(self._progress).items()
            if id in waiting or progress.stage == EMBEDDING
        }
        return list((waiting | current).values())

    def embedding_progress(self, documents: Sequence[Document]) -> list[Progress]:
        """Of those of the documents whose turn to be embedded is now or still comes."""
        overall = self._progress.get(EVERYTHING)
        if overall is None or self._embedding is None:
            return []
        num_embedded = self._embedding.num_embedded([one.id for one in documents])
        return list(embedding_of(documents, num_embedded, overall))

    def embedder(self) -> LocalEmbedder | None:
        """The model that documents are embedded with; None while there is none."""
        return self._embedding.local if self._embedding else None

    def reranker(self) -> Path | None:
        """The folder of the model that reranks what was found; None while there is none."""
        return self._embedding.choice.reranker if self._embedding else None

    def search(
        self, owner: str, question: str, limit: int = 10, document_ids: list[str] | None = None
    ) -> Found:
        """See Retriever.search."""
        return self.retriever.search(owner, question, limit, document_ids)

    def test_collection(
        self, owner: str, collection_id: str, num_questions: int = 100
    ) -> Iterator[CollectionTest]:
        """Questions from its own sentences, and how many find them: snapshots, the result last.

        Blocking between snapshots; closing the iterator ends it. Raises DocumentError for a
        collection without sentences to ask about.
        """
        documents = self._documents.documents(owner, collection_id)
        ids = [document.id for document in documents]
        return run_test(self._documents, self.retriever, owner, ids, num_questions)

    # --- the embedding model ---------------------------------------------------------------------

    def embedder_status(self) -> EmbedderStatus:
        """Which model searches by meaning, how far it is, what is wrong; without loading it."""
        if self._embedding is None:
            problem = None if can_embed() else DocumentError("documents.no_torch")
            return EmbedderStatus(EmbedderState.NONE, problem=problem)
        return self._embedding.status()

    def reembed(self) -> None:
        """Embed everything anew with the chosen model; `progress` tells how far it is."""
        if self._embedding is None:
            raise DocumentError("documents.no_embedder")
        self._embedding.reembed()
        self._work_soon()

    # --- pages -----------------------------------------------------------------------------------

    def pages(self, owner: str, document_id: str) -> list[Page]:
        return [unpacked(row) for row in self._documents.pages(owner, document_id)]

    def page(self, owner: str, document_id: str, number: int) -> Page:
        return unpacked(self._documents.page(owner, document_id, number))

    def place(self, owner: str, document_id: str, span: Span) -> Place | None:
        """Where the span stands, in the words of its kind; None where its page's number says it."""
        first = self.page(owner, document_id, span.page_from)
        if span.page_to == span.page_from:
            return first.place_of(span.char_from, span.char_to)
        begin = first.place_of(span.char_from, len(first.text))
        end = self.page(owner, document_id, span.page_to).place_of(0, span.char_to)
        return begin.until(end) if begin and end else begin

    def picture(self, owner: str, document_id: str, number: int, width: int = 1000) -> bytes:
        """A page as PNG. Raises PasswordNeededError after a restart, where the file has one."""
        document = self._documents.document(owner, document_id)
        password = self._passwords.get(document.id, "")
        return self._drawer.draw(self._file(document.id), number, min(width, 3000), password)

    # --- the job ---------------------------------------------------------------------------------

    def wait(self, timeout_s: float) -> bool:
        """Until there is nothing to do; for tests and the command line."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            is_idle = self._idle.is_set() and not self._wake.is_set()
            if is_idle and not self._documents.unfinished():
                return True
            time.sleep(0.02)
        return False

    def _work_soon(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="library", daemon=True)
            self._thread.start()
        self._wake.set()

    def _work(self) -> None:
        while not self._closing.is_set():
            self._idle.clear()
            self._wake.clear()
            try:
                for document in self._documents.unfinished():
                    self._read(document)
                    if self._closing.is_set():
                        return
                self._embed()
                self.trouble = None
            except StorageError as error:  # a full disk: the documents stay unfinished
                log.error("the library cannot go on: %s", error)
                self.trouble = error
            except NotFoundError:
                continue  # removed meanwhile; look again
            except Exception:  # the thread must outlive what nobody has thought of
                log.exception("the library cannot go on")
                self.trouble = DocumentError("documents.job_failed")
            finally:
                self._progress.clear()
            self._idle.set()
            self._wake.wait(_TRY_AGAIN_S if self.trouble else None)

    def _read(self, document: Document) -> None:
        if document.id in self._cancelled:
            return
        owner, id = document.owner, document.id
        self._documents.set_status(owner, id, DocumentStatus.READING)
        started = time.monotonic()
        recognised = self._recognised_file(id)

        def report(news: Reading) -> None:
            stage = "recognising" if news.num_recognised else "reading"
            self._report(id, stage, news.num_done, news.num_pages, started)

        def is_cancelled() -> bool:
            return id in self._cancelled or self._closing.is_set()

        try:
            read = self._reader.read(
                self._file(id),
                document.name,
                password=self._passwords.get(id, ""),
                recognised_path=recognised if recognised.exists() else None,
                on_progress=report,
                on_recognised=lambda page: _append(recognised, page),
                is_cancelled=is_cancelled,
            )
            self._report(id, "saving", 0, 0, started)
            self._save(document, read)
        except Cancelled:
            log.info("reading was cancelled")
        except (StorageError, NotFoundError):
            raise
        except Exception as error:
            if not is_cancelled():
                self._documents.set_status(owner, id, DocumentStatus.FAILED, _reason(error))
        finally:
            self._progress.pop(id, None)

    def _save(self, document: Document, read: ReadDocument) -> None:
        unusable = [page.number for page in read.pages if page.problem]
        if len(unusable) == len(read.pages):
            raise DocumentError("documents.no_text")
        replaced = self._documents.save_content(
            document.owner,
            document.id,
            kind=read.kind,
            pages=[packed(page) for page in read.pages],
            chunks=[_chunk_row(chunk) for chunk in read.chunks],
            problem=_unreadable(unusable) or (left_out(read.left_out) if read.left_out else None),
        )
        self.retriever.forget(document.owner, document.id)
        if replaced:
            self._forget(document.owner, [replaced])

    def _page_problem(self, owner: str, document_id: str) -> tuple[str, dict[str, Any]] | None:
        pages = self._documents.page_problems(owner, document_id)
        return _unreadable([number for number, problem, _ in pages if problem])

    def _embed(self) -> None:
        if self._embedding is None:
            return

        def report(num_done: int, num_total: int, started: float) -> None:
            self._report(EVERYTHING, EMBEDDING, num_done, num_total, started)

        def is_interrupted() -> bool:
            return bool(self._documents.unfinished())

        if not self._embedding.run(self._closing.is_set, is_interrupted, report):
            self._wake.set()  # reading goes before embedding; come back afterwards

    def _report(self, id: str, stage: str, num_done: int, num_total: int, started: float) -> None:
        self._progress[id] = measured(id, stage, num_done, num_total, started)

    # --- files -----------------------------------------------------------------------------------

    def _file(self, document_id: str) -> Path:
        return self._folder / document_id

    def _recognised_file(self, document_id: str) -> Path:
        """What character recognition has seen of it; there once it was asked for."""
        return self._folder / f"{document_id}{_RECOGNISED}"

    @contextmanager
    def _copied(self, source: Path) -> Iterator[tuple[Path, str]]:
        """A private copy, and its SHA-256; gone afterwards unless it was moved away."""
        is_ours = source.parent == self._folder and source.name.startswith(_UPLOAD)
        copy = source if is_ours else self.new_upload()
        try:
            if not is_ours:
                shutil.copyfile(source, copy)
            with copy.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            yield copy, sha256
        except OSError as error:
            raise DocumentError("documents.cannot_store", reason=error.strerror or "") from error
        finally:
            copy.unlink(missing_ok=True)

    def _forget(self, owner: str, document_ids: list[str]) -> None:
        for id in document_ids:
            self._cancelled.add(id)
            self._passwords.pop(id, None)
            self._file(id).unlink(missing_ok=True)
            self._recognised_file(id).unlink(missing_ok=True)
            self.retriever.forget(owner, id)

    def _remember_password(self, document_id: str, password: str) -> None:
        if password:
            self._passwords[document_id] = password


def _base_name(name: str) -> str:
    """The last part of a name that came from outside, without anything that misleads."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in last if char.isprintable())
    return shown.strip(". ")[-200:] or "document"


def _append(path: Path, page: RecognisedPage) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(as_line(page))
    except OSError as error:
        raise DocumentError("documents.cannot_store", reason=error.strerror or "") from error


def _reason(error: Exception) -> tuple[str, dict[str, Any]]:
    """Why a document was not read, for its owner."""
    if isinstance(error, AppError):
        return error.key, dict(error.values)
    if isinstance(error, FileNotFoundError):
        return "documents.file_lost", {}
    log.error("a document was not read", exc_info=error)
    return "documents.reading_failed", {}


def _unreadable(pages: list[int]) -> tuple[str, dict[str, Any]] | None:
    return ("documents.pages_unreadable", {"pages": page_ranges(pages)}) if pages else None


def left_out(names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The sentence for parts that were not read: the first of them by name."""
    shown = "、".join(names[:_MAX_NAMED_PAGES]) + ("…" if len(names) > _MAX_NAMED_PAGES else "")
    return "documents.left_out", {"n": len(names), "names": shown}


def page_ranges(numbers: list[int]) -> str:
    """[1, 3, 4, 5] → "1, 3–5"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = [f"{a}–{b}" if b > a else str(a) for a, b in ranges[:_MAX_NAMED_PAGES]]
    return ", ".join(shown) + ("…" if len(ranges) > _MAX_NAMED_PAGES else "")


def packed(page: Page) -> PageRow:
    """A page as the database keeps it."""
    runs = [
        (run.start, run.is_vertical, run.near, run.far, [edge / 10 for edge in run.edges])
        for run in page.runs
    ]
    kept: Any = runs
    if page.places or page.engine:
        kept = {"runs": runs, "places": [[at, asdict(place)] for at, place in page.places]}
        kept["engine"], kept["confidence"] = page.engine, page.confidence
    return PageRow(
        page.number,
        page.text,
        zlib.compress(json.dumps(kept).encode()),
        page.width,
        page.height,
        page.continues,
        page.problem,
        page.is_recognised,
    )


def unpacked(row: PageRow) -> Page:
    """Inverse of `packed`."""
    kept = json.loads(zlib.decompress(row.places))
    if isinstance(kept, list):  # only runs: of a kind with paper pages, or saved before 0100
        kept = {"runs": kept, "places": []}
    runs = tuple(
        TextRun(start, is_vertical, near, far, array("i", (round(edge * 10) for edge in edges)))
        for start, is_vertical, near, far, edges in kept["runs"]
    )
    page = Page(row.page, row.text, runs, row.width, row.height, row.continues)
    marks = ((at, place_from(place)) for at, place in kept["places"])
    return replace(
        page,
        problem=PageProblem(row.problem),
        is_recognised=row.is_recognised,
        engine=kept.get("engine", ""),
        confidence=kept.get("confidence", 0.0),
        places=tuple((at, place) for at, place in marks if place),
    )


def _chunk_row(chunk: Chunk) -> ChunkRow:
    span = chunk.span
    return ChunkRow(
        span.page_from, span.char_from, span.page_to, span.char_to, chunk.title, chunk.text
    )
