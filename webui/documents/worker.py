"""The document worker process: one job after the other, each answered on the pipe.

Started by process.py as `python -m webui.documents.worker ROLE`. A reader parses hostile files, so
it limits its own memory and may write no file; an embedder loads torch. They are never the same
process. When stdin closes, the parent is gone and so is this process.
"""

import base64
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.messages import (
    CODEC,
    ChunksMade,
    DrawPage,
    Embed,
    EmbedInputs,
    Failed,
    FileRead,
    LoadEmbedder,
    Message,
    PageRead,
    Picture,
    ReadFile,
    Reading,
    Recognised,
    Rerank,
    Started,
)
from webui.documents.reader import images, rapid
from webui.documents.reader.loader import kind_of, load
from webui.documents.reader.ocr import Recognition
from webui.errors import AppError
from webui.processes.parent import pipe_to_parent, plain
from webui.processes.wire import read_frame, write_frame
from webui.text.pages import Kind, Reader
from webui.text.splitter import Source, chunks, split

log = logging.getLogger(__name__)

READER_MEMORY_BYTES = 420_000_000  # private memory; with code and caches under 500 MB
_REPORT_EVERY_S = 0.2
_CHUNKS_PER_MESSAGE = 500
MAX_LEFT_OUT = 10_000  # names of parts

Send = Callable[[Message], None]


def main(role: str) -> None:
    logging.basicConfig(level=os.environ.get("KAJOGAKI_LOG_LEVEL", "WARNING"), stream=sys.stderr)
    pipe_in, pipe_out = sys.stdin.buffer, pipe_to_parent()

    def send(message: Message) -> None:
        write_frame(pipe_out, CODEC.encode(message))

    handle = _reader() if role == "reader" else _embedder()
    send(Started())
    while (frame := read_frame(pipe_in)) is not None:
        _answer(CODEC.decode(frame), handle, send)


def _answer(message: Any, handle: Callable[[Any, Send], None], send: Send) -> None:
    try:
        handle(message, send)
    except PasswordNeededError as error:
        send(Failed(error.key, {}, 2 if error.was_given else 1))
    except AppError as error:
        send(Failed(error.key, plain(error.values)))
    except MemoryError:
        send(Failed("documents.reader_died", {}))
        raise
    except Exception:
        log.exception("a job failed")
        send(Failed("documents.damaged", {}))


# --- reading -------------------------------------------------------------------------------------


def _reader() -> Callable[[Any, Send], None]:
    _limit_memory()

    def handle(message: Any, send: Send) -> None:
        match message:
            case ReadFile():
                _read_file(message, send)
            case DrawPage():
                _draw(message, send)
            case _:
                raise ValueError(f"unexpected message {message!r}")

    return handle


def _limit_memory() -> None:
    """Where the system can: no more memory than READER_MEMORY_BYTES, and no file written."""
    try:
        import resource
    except ImportError:  # Windows; the parent watches the memory there
        return
    # The second number is what the character recognition, a child, may raise its own limit to.
    resource.setrlimit(resource.RLIMIT_DATA, (READER_MEMORY_BYTES, rapid.MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_file(job: ReadFile, send: Send) -> None:
    path = Path(job.path)
    kind = kind_of(path, job.name)
    report = _Reporter(send)
    left_out: list[str] = []
    known = Path(job.recognised_path) if job.recognised_path else None
    recognition = Recognition(known, report.on_recognition, lambda seen: send(Recognised(seen)))
    with closing(recognition):
        pages = load(
            path,
            job.name,
            password=job.password,
            reader=Reader(job.reader),
            on_progress=report,
            recognition=recognition,
            reads_scans=known is not None,
            on_left_out=left_out.append,
        )
    for index, page in enumerate(pages):
        send(PageRead(page))
        pages[index] = replace(page, runs=())  # sentences need no places, and a book has many
    source = Source(pages)
    packed = chunks(split(source, is_wrapped=kind in (Kind.TEXT, Kind.MARKDOWN)), source)
    for start in range(0, len(packed), _CHUNKS_PER_MESSAGE):
        send(ChunksMade(tuple(packed[start : start + _CHUNKS_PER_MESSAGE])))
    send(FileRead(kind, len(pages), tuple(left_out[:MAX_LEFT_OUT])))


class _Reporter:
    """Sends Reading at most every _REPORT_EVERY_S."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._next = 0.0
        self._last = Reading(0, 0, 0)

    def __call__(self, num_done: int, num_pages: int, num_chars: int) -> None:
        self._last = replace(
            self._last, num_done=num_done, num_pages=num_pages, num_chars=num_chars
        )
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _REPORT_EVERY_S
            self._send(self._last)

    def on_recognition(self) -> None:
        """A page goes to character recognition: told at once, because it earns time."""
        self._last = replace(self._last, num_recognised=self._last.num_recognised + 1)
        self._send(self._last)


def _draw(job: DrawPage, send: Send) -> None:
    if kind_of(Path(job.path)) is Kind.IMAGE:
        with Path(job.path).open("rb") as stream:
            png = images.picture(stream, job.number, job.width)
        send(Picture(base64.b64encode(png).decode("ascii")))
        return
    from webui.documents.reader.pdfium import PdfiumFile, UnreadableError, WrongPasswordError

    try:
        file = PdfiumFile(Path(job.path), job.password)
        try:
            png = file.picture(job.number, job.width)
        finally:
            file.close()
    except WrongPasswordError as error:
        raise PasswordNeededError(was_given=bool(job.password)) from error
    except UnreadableError as error:
        raise DocumentError("documents.no_picture") from error
    send(Picture(base64.b64encode(png).decode("ascii")))


# --- embedding -----------------------------------------------------------------------------------


def _embedder() -> Callable[[Any, Send], None]:
    from webui.documents.search.embedder import Embedder, Reranker

    embedder: Embedder | None = None
    rerankers: dict[str, Reranker] = {}

    def handle(message: Any, send: Send) -> None:
        nonlocal embedder
        match message:
            case LoadEmbedder(path, num_threads):
                embedder = None
                embedder = Embedder(Path(path), num_threads)
                send(embedder.ready())
            case Embed(texts, is_query):
                if embedder is None:
                    raise DocumentError("documents.no_embedder")
                send(embedder.embed(texts, is_query=is_query))
            case EmbedInputs():
                if embedder is None:
                    raise DocumentError("documents.no_embedder")
                send(embedder.embed_inputs(message))
            case Rerank(path, query, texts):
                if path not in rerankers:
                    rerankers[path] = Reranker(Path(path))
                send(rerankers[path].scores(query, texts))
            case _:
                raise ValueError(f"unexpected message {message!r}")

    return handle


if __name__ == "__main__":
    main(sys.argv[1])
