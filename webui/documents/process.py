"""A document worker process as the web process sees it: spawned when first needed, killed when a
job takes too long or too much, started again by the next job.

Blocking, for threads; one job at a time per process. Knows nothing about the database.
"""

import base64
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.messages import (
    CODEC,
    ChunksMade,
    DrawPage,
    EmbedderReady,
    Failed,
    FileRead,
    InputVectors,
    Message,
    PageRead,
    Picture,
    ReadFile,
    Reading,
    Recognised,
    Scores,
    Started,
    Vectors,
)
from webui.errors import AppError
from webui.processes.child import NO_TELEMETRY, Child
from webui.text.pages import Chunk, Page, Reader, RecognisedPage

log = logging.getLogger(__name__)

_POLL_S = 0.1
_START_LIMIT_S = 180.0  # torch takes ten seconds, far more on a busy machine
_MAX_RSS_BYTES = 500_000_000
_NEAR_LIMIT = 0.7  # the process limits its own private memory lower than that
_NO_MEMORY = "documents.too_much_memory"

# A file may use this much processor time, and more only for what it delivers: the slowest honest
# documents give 10,000 characters a second, empty pages take 2 ms.
_FREE_S = 6.0
_S_PER_CHAR = 1 / 2000
_S_PER_PAGE = 0.005
_S_PER_RECOGNISED = 50.0  # with the wall's share, what one page may take (rapid.PAGE_LIMIT_S)
_SECOND_TRY_S = 3.0
_MAX_WALL_SHARE = 6.0  # of the processor time, for a busy machine

_DRAW_LIMIT_S = 15.0


class WorkerDiedError(DocumentError):
    """The process ended, or had to be ended, in the middle of a job."""

    def __init__(self, key: str = "documents.reader_died") -> None:
        super().__init__(key)


class Cancelled(Exception):
    """The job's owner does not want it any more."""


class Role(StrEnum):
    READER = "reader"
    EMBEDDER = "embedder"


_DIED = {Role.READER: "documents.reader_died", Role.EMBEDDER: "documents.embedder_died"}


@dataclass(slots=True)
class ReadDocument:
    """What came out of a file."""

    kind: str
    pages: list[Page] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    left_out: tuple[str, ...] = ()  # parts that were not read, by name


@dataclass(slots=True)
class Budget:
    """Processor seconds that a job may use; `extend` as it delivers."""

    allowed_s: float
    max_rss_bytes: int = 0  # 0: no limit

    def for_reading(self, news: Reading) -> "Budget":
        earned = news.num_chars * _S_PER_CHAR + news.num_done * _S_PER_PAGE
        earned += news.num_recognised * _S_PER_RECOGNISED
        return Budget(_FREE_S + earned, self.max_rss_bytes)


_LAST = FileRead | Picture | EmbedderReady | Vectors | InputVectors | Scores  # of an answer
IsCancelled = Callable[[], bool]


def never() -> bool:
    return False


class WorkerProcess:
    """One child. `run` is for one thread at a time; the lock makes the others wait."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._lock = threading.RLock()
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        return self._child.process.pid if self._child else None

    @contextlib.contextmanager
    def reserved(self) -> Iterator[None]:
        """Nobody else's job comes between."""
        with self._lock:
            yield

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.process.is_alive

    def run(
        self, job: Message, budget: Budget, is_cancelled: IsCancelled = never
    ) -> Iterator[Message]:
        """The answers to `job`; stop asking when the last one has come.

        Raises the AppError that the worker reports, WorkerDiedError, Cancelled. Whoever leaves in
        the middle leaves a worker that is ended.
        """
        with self._lock:
            child = self._started(is_cancelled)
            watch = _Watch(child.process, budget)
            is_over = False
            try:
                child.send(job)
                while not is_over:
                    message = self._next(child, watch, is_cancelled)
                    is_over = isinstance(message, _LAST)
                    if isinstance(message, Failed):
                        is_over = True
                        raise _error(message)
                    if isinstance(message, Reading):
                        watch.budget = watch.budget.for_reading(message)
                    yield message
            finally:
                if not is_over or _is_full(child.process, budget):
                    self.stop()

    def stop(self) -> None:
        """End the process; its memory is given back."""
        child, self._child = self._child, None
        if child:
            child.process.stop()

    def _started(self, is_cancelled: IsCancelled) -> "_Child":
        if self._child and self._child.process.is_alive:
            return self._child
        self.stop()
        self._child = child = _Child(self._role)
        deadline = time.monotonic() + _START_LIMIT_S
        while True:
            message = child.receive(_POLL_S)
            if isinstance(message, Started):
                return child
            if message is _Child.END or time.monotonic() > deadline or is_cancelled():
                self.stop()
                if is_cancelled():
                    raise Cancelled
                raise WorkerDiedError(_DIED[self._role])

    def _next(self, child: "_Child", watch: "_Watch", is_cancelled: IsCancelled) -> Message:
        while True:
            message = child.receive(_POLL_S)
            if message is _Child.END:
                raise WorkerDiedError(_NO_MEMORY if watch.is_memory_short else _DIED[self._role])
            if is_cancelled():
                raise Cancelled
            if message is not None:
                return cast(Message, message)
            watch.check()


def _is_full(process: Child, budget: Budget) -> bool:
    """A large file leaves memory behind that the next, small one would be refused for."""
    return process.rss_bytes() > budget.max_rss_bytes / 2 > 0


class DocumentReader:
    """Reads files and draws pages in a child that may die of them."""

    def __init__(self) -> None:
        self._process = WorkerProcess(Role.READER)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def stop(self) -> None:
        self._process.stop()

    def read(
        self,
        path: Path,
        name: str,
        *,
        password: str = "",
        recognised_path: Path | None = None,
        on_progress: Callable[[Reading], None] = lambda news: None,
        on_recognised: Callable[[RecognisedPage], None] = lambda page: None,
        is_cancelled: IsCancelled = never,
    ) -> ReadDocument:
        """Everything in the file. Raises DocumentError, PasswordNeededError, Cancelled.

        With `recognised_path` pages without text go through character recognition; what it sees
        comes by `on_recognised`, and whoever keeps it there has it known the next time.
        """

        def attempt(reader: Reader, allowed_s: float) -> ReadDocument:
            job = ReadFile(str(path), name, password, reader, str(recognised_path or ""))
            budget = Budget(allowed_s, _MAX_RSS_BYTES)
            messages = self._process.run(job, budget, is_cancelled)
            return _collect(messages, on_progress, on_recognised)

        try:
            return attempt(Reader.PDFIUM, _FREE_S)
        except WorkerDiedError as error:
            log.warning("a file ended the reader (%s); the other reader tries", error.key)
            if error.key in ("documents.too_slow", _NO_MEMORY):
                raise
        return attempt(Reader.PYPDF, _SECOND_TRY_S)

    def draw(self, path: Path, number: int, width: int, password: str = "") -> bytes:
        """A page of a PDF as PNG."""
        job = DrawPage(str(path), password, number, width)
        for message in self._process.run(job, Budget(_DRAW_LIMIT_S, _MAX_RSS_BYTES)):
            if isinstance(message, Picture):
                return base64.b64decode(message.png)
        raise WorkerDiedError


def _collect(
    messages: Iterator[Message],
    on_progress: Callable[[Reading], None],
    on_recognised: Callable[[RecognisedPage], None],
) -> ReadDocument:
    document = ReadDocument("")
    for message in messages:
        match message:
            case Reading():
                on_progress(message)
            case Recognised(seen):
                on_recognised(seen)
            case PageRead(page):
                document.pages.append(page)
            case ChunksMade(chunks):
                document.chunks += chunks
            case FileRead(kind, _, left_out):
                document.kind, document.left_out = kind, left_out
    return document


def _error(failure: Failed) -> AppError:
    if failure.password:
        return PasswordNeededError(was_given=failure.password == 2)
    return DocumentError(failure.key, **failure.values)


class _Watch:
    """Ends a job that uses more than its budget."""

    def __init__(self, child: Child, budget: Budget) -> None:
        self.budget = budget
        self._child = child
        self._started = time.monotonic()
        self._cpu_before = child.cpu_s()
        self._rss_bytes = 0

    def check(self) -> None:
        used_s = self._child.cpu_s() - self._cpu_before
        wall_s = time.monotonic() - self._started
        if used_s > self.budget.allowed_s or wall_s > _MAX_WALL_SHARE * self.budget.allowed_s:
            raise WorkerDiedError("documents.too_slow")
        self._rss_bytes = self._child.rss_bytes()
        if 0 < self.budget.max_rss_bytes < self._rss_bytes:
            raise WorkerDiedError(_NO_MEMORY)

    @property
    def is_memory_short(self) -> bool:
        """Near its limit a process ends of what pdfium cannot allocate."""
        return 0 < _NEAR_LIMIT * self.budget.max_rss_bytes < self._rss_bytes


class _Child:
    """The worker with what it has said and nobody has heard yet."""

    END = object()

    def __init__(self, role: Role) -> None:
        environment = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", **NO_TELEMETRY}
        environment["TOKENIZERS_PARALLELISM"] = "false"
        self.process = Child("webui.documents.worker", role, environment=environment)
        self._messages: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.process.listen(self._hear)

    def send(self, message: Message) -> None:
        self.process.send(CODEC.encode(message))

    def receive(self, timeout_s: float) -> Any:
        """The next message, END when the child is gone, None when nothing came in time."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _hear(self, frame: bytes | None) -> None:
        self._messages.put(self.END if frame is None else CODEC.decode(frame))
