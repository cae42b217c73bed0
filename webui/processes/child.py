"""A Python module in a process of its own, as its parent has it: start, speak, watch, end.

Frames of bytes go both ways (wire.py); what is in them is the business of both ends. Knows nothing
about models, documents or networks.
"""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import BinaryIO, cast

import psutil

from webui.config import PROJECT_DIR
from webui.processes.wire import read_frame, write_frame

log = logging.getLogger(__name__)

NO_TELEMETRY = {"HF_HUB_DISABLE_TELEMETRY": "1"}


class Child:
    """May be sent to from any thread; one thread, or one event loop, hears it."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        is_quiet: bool = False,
        umask: int = -1,
    ) -> None:
        """Starts `python -m module arguments`. `is_quiet`: what it writes to stderr is dropped.

        `umask`: of the files that it makes; -1: as ours.
        """
        self.module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if is_quiet else None,
            umask=umask,
            env={
                **os.environ,
                "PYTHONPATH": str(PROJECT_DIR),
                "GGML_NO_BACKTRACE": "1",  # an abort must be over at once, not start a debugger
                **(environment or {}),
            },
        )
        self.pid = self._process.pid
        self._is_heard = False
        self._sending, self._stopping = threading.Lock(), threading.Lock()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, frame: bytes) -> None:
        """A child that is gone gets nothing; its end is told to whoever hears it."""
        with self._sending, contextlib.suppress(OSError, ValueError):
            write_frame(self._stdin, frame)

    def frames(self) -> Iterator[bytes]:
        """Everything it says until it is gone. Blocking. What is no frame ends the child."""
        self._is_heard = True
        with self._stdout as pipe:
            try:
                while (frame := read_frame(pipe)) is not None:
                    yield frame
            except (OSError, ValueError) as error:
                self.kill(f"it sent something unreadable: {error}")

    def listen(self, hear: Callable[[bytes | None], None]) -> None:
        """Call `hear` from a thread of its own for each frame, with None once the child is gone.

        A ValueError of `hear` (the frame is none of its messages) ends the child.
        """
        threading.Thread(target=self._listen, args=(hear,), daemon=True).start()

    async def heard(self) -> AsyncIterator[bytes]:
        """As `frames`, for an event loop."""
        loop, frames = asyncio.get_running_loop(), asyncio.Queue[bytes | None]()

        def hear(frame: bytes | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended; nobody is left to tell
                loop.call_soon_threadsafe(frames.put_nowait, frame)

        self.listen(hear)
        while (frame := await frames.get()) is not None:
            yield frame

    def stop(self, grace_s: float = 0.0) -> None:
        """End it and leave no zombie. With a grace it may end by itself, its stdin being closed.

        Blocks up to `grace_s`. It may have ended already.
        """
        with self._stopping:
            if grace_s:
                self._close_stdin()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(grace_s)
            self._process.kill()
            self._process.wait()
            self._close_stdin()
            if not self._is_heard:
                self._stdout.close()

    def kill(self, reason: str) -> None:
        """At once; `stop` still has to follow."""
        log.error("%s (%d) is ended: %s", self.module, self.pid, reason)
        self._process.kill()

    def cpu_s(self) -> float:
        """Processor seconds that it has used."""
        try:
            times = psutil.Process(self.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)

    def rss_bytes(self) -> int:
        """Memory that it holds now."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    @property
    def _stdin(self) -> BinaryIO:
        return cast(BinaryIO, self._process.stdin)

    @property
    def _stdout(self) -> BinaryIO:
        return cast(BinaryIO, self._process.stdout)

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stdin.close()

    def _listen(self, hear: Callable[[bytes | None], None]) -> None:
        frames = self.frames()
        with contextlib.closing(frames):  # type: ignore[type-var]
            try:
                for frame in frames:
                    hear(frame)
            except ValueError as error:
                self.kill(f"it sent something unreadable: {error}")
        hear(None)
