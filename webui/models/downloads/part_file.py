"""PartFile: a half-fetched file, written at its end, counted as it grows, hashed at the end.

Knows nothing about the network.
"""

import hashlib
import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webui.models.downloads.messages import DownloadError, line, note_of

REPORT_S = 0.2
Report = Callable[[str], None]


class PartFile(io.FileIO):
    """`num_before` bytes of `num_whole` were fetched before it, when it is one of several files."""

    def __init__(
        self, path: Path, report: Report, *, num_before: int = 0, num_whole: int = 0
    ) -> None:
        # Never through a link: what it leads to is not ours to write.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        super().__init__(os.open(path, flags, 0o644), "r+")
        self.path = path
        self.target_name = path.name.removesuffix(".part")
        self.size = self.seek(0, os.SEEK_END)
        self._report = report
        self._num_before = num_before
        self._num_whole = num_whole
        self._expected = 0
        self._reported_at = 0.0

    def lock(self) -> None:
        """Only one process may fetch a file. The lock ends with its process."""
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DownloadError("downloads.under_way", name=self.target_name) from error

    def expect(self, num_bytes: int) -> None:
        self._expected = num_bytes
        self._report(self._progress())

    def restart(self) -> None:
        self.seek(0)
        self.truncate()

    def write(self, data: Any) -> int:
        view = memoryview(data)
        while view:
            view = view[super().write(view) :]
        self.size = self.tell()
        self._report_now_and_then(self._progress())
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """huggingface_hub cuts the file when a server sends all of it again."""
        kept = super().truncate(size)
        self.size = kept
        return kept

    def sha256(self) -> str:
        return self._digest(hashlib.sha256())

    def git_blob(self) -> str:
        """The hash that the hub has of small files, which git itself keeps."""
        start = b"blob %d\0" % self.size
        return self._digest(hashlib.sha1(start, usedforsecurity=False))

    def _digest(self, digest: Any) -> str:
        self.seek(0)
        done = self._num_before
        while chunk := self.read(1 << 22):
            digest.update(chunk)
            done += len(chunk)
            total = self._num_whole or self.size
            self._report_now_and_then(line("verifying", done=done, total=total))
        return str(digest.hexdigest())

    def discard(self) -> None:
        """What is wrong is not kept."""
        self.restart()
        self.path.unlink(missing_ok=True)
        note_of(self.path.with_name(self.target_name)).unlink(missing_ok=True)

    def _progress(self) -> str:
        total = self._num_whole or self._expected
        return line("progress", done=self._num_before + self.size, total=total)

    def _report_now_and_then(self, text: str) -> None:
        if time.monotonic() - self._reported_at >= REPORT_S:
            self._reported_at = time.monotonic()
            self._report(text)
