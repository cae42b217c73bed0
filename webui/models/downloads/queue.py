"""Downloads: what is being fetched, paused or was left by an earlier run; one child for each.

Nothing starts without start() or resume(). Thread-safe; no call waits for the network except
inspect(). Knows nothing about the page.
"""

import contextlib
import json
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from webui.errors import AppError
from webui.models.downloads.messages import (
    NOTE,
    PART,
    AnyRequest,
    DownloadError,
    DownloadRequest,
    Note,
    RepositoryInfo,
    error_of,
    info_of,
    note_of,
    part_of,
    task_of,
)
from webui.private import MODELS_UMASK
from webui.processes.child import NO_TELEMETRY, Child

SPEED_WINDOW_S = 5.0
INSPECT_TIMEOUT_S = 60.0
END_S = 5.0


class DownloadState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    VERIFYING = "verifying"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


ACTIVE = (DownloadState.STARTING, DownloadState.RUNNING, DownloadState.VERIFYING)


@dataclass(frozen=True, slots=True)
class Download:
    """A snapshot. `name` identifies it: the file's name in the models folder."""

    name: str
    request: AnyRequest
    state: DownloadState
    num_done: int = 0  # bytes
    num_total: int = 0  # 0 = not known yet
    bytes_per_s: float = 0.0
    error: AppError | None = None

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def fraction(self) -> float:
        return self.num_done / self.num_total if self.num_total else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until all bytes are here; None when nobody can say."""
        if self.state is not DownloadState.RUNNING or self.bytes_per_s <= 0 or not self.num_total:
            return None
        return (self.num_total - self.num_done) / self.bytes_per_s


class Downloads:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._downloads: dict[str, Download] = {}
        self._children: dict[str, _Child] = {}
        self._is_closed = False

    def all(self) -> list[Download]:
        """All that this run has had, and what earlier ones left half-fetched."""
        with self._lock:
            known = dict(self._downloads)
        for left in self._left_behind():
            known.setdefault(left.name, left)
        return sorted(known.values(), key=lambda download: download.name)

    def get(self, name: str) -> Download:
        """Raises DownloadError."""
        for download in self.all():
            if download.name == name:
                return download
        raise DownloadError("downloads.unknown", name=name)

    def start(self, request: AnyRequest) -> Download:
        """Begin, or go on where an earlier run stopped. Raises DownloadError."""
        if (self._folder / request.name).exists():
            raise DownloadError("downloads.exists", name=request.name)
        with self._lock:
            running = self._downloads.get(request.name)
            if running and running.is_active:
                raise DownloadError("downloads.under_way", name=request.name)
            started = Download(request.name, request, DownloadState.STARTING)
            self._downloads[request.name] = started
            child = self._children[request.name] = _Child(task_of(request, self._folder))
        threading.Thread(target=self._follow, args=(request.name, child), daemon=True).start()
        return started

    def resume(self, name: str) -> Download:
        """Raises DownloadError."""
        return self.start(self.get(name).request)

    def pause(self, name: str) -> None:
        """Stop; what is here stays for resume()."""
        self._stop(name, DownloadState.PAUSED)

    def cancel(self, name: str) -> None:
        """Stop and delete what is here. Raises DownloadError."""
        download = self.get(name)
        self._stop(name, DownloadState.PAUSED)
        target = self._folder / download.name
        if part_of(target).is_dir():
            shutil.rmtree(part_of(target))
        for path in (part_of(target), note_of(target)):
            path.unlink(missing_ok=True)
        self.forget(name)

    def forget(self, name: str) -> None:
        """Take a finished or failed one off the list."""
        with self._lock:
            download = self._downloads.get(name)
            if download and not download.is_active:
                del self._downloads[name]

    def inspect(self, repository: str) -> RepositoryInfo:
        """What the hub says about `repository`. Waits for the network. Raises DownloadError."""
        DownloadRequest(repository, "any.gguf")  # a name that is one
        child = _Child({"task": "inspect", "repository": repository})
        timer = threading.Timer(INSPECT_TIMEOUT_S, child.stop)
        timer.start()
        try:
            for message in child.messages():
                if message["event"] == "info":
                    return info_of(message)
                if message["event"] == "error":
                    raise error_of(message)
        finally:
            timer.cancel()
            child.stop()
        raise DownloadError("downloads.no_answer", repository=repository)

    def close(self) -> None:
        """End all children. What they have fetched stays, for the next run."""
        with self._lock:
            self._is_closed = True
            children = list(self._children.values())
        for child in children:
            child.stop()

    def _stop(self, name: str, state: DownloadState) -> None:
        with self._lock:
            child = self._children.pop(name, None)
            download = self._downloads.get(name)
            if download and download.is_active:
                self._downloads[name] = replace(download, state=state, bytes_per_s=0.0)
        if child:
            child.stop()

    def _follow(self, name: str, child: "_Child") -> None:
        """The child's thread: its messages become the download's state."""
        speed = _Speed()
        for message in child.messages():
            self._update(name, child, self._heard(message, speed))
        child.stop()
        with self._lock:
            download = self._downloads.get(name)
            is_ours = self._children.get(name) is child
            if is_ours:
                del self._children[name]
            if not (is_ours and download) or self._is_closed:
                return
            if download.is_active:  # it ended without a word
                error = DownloadError("downloads.child_died", name=name)
                self._downloads[name] = replace(download, state=DownloadState.FAILED, error=error)

    def _update(self, name: str, child: "_Child", changes: Mapping[str, Any]) -> None:
        with self._lock:
            if self._children.get(name) is child:
                self._downloads[name] = replace(self._downloads[name], **changes)

    def _heard(self, message: Mapping[str, Any], speed: "_Speed") -> dict[str, Any]:
        match message["event"]:
            case "progress":
                done, total = int(message["done"]), int(message["total"])
                return {
                    "state": DownloadState.RUNNING,
                    "num_done": done,
                    "num_total": total,
                    "bytes_per_s": speed.measure(done),
                }
            case "verifying":
                return {"state": DownloadState.VERIFYING, "num_done": int(message["done"])}
            case "done":
                return {"state": DownloadState.DONE, "num_done": int(message["num_bytes"])}
            case _:
                error = error_of(message)
                return {"state": DownloadState.FAILED, "error": error, "bytes_per_s": 0.0}

    def _left_behind(self) -> list[Download]:
        found = []
        with contextlib.suppress(OSError):  # no folder (yet): nothing was left there
            for path in self._folder.glob(f"*{NOTE}"):
                note, part = Note.read(path), path.with_name(path.name.removesuffix(".json"))
                with contextlib.suppress(DownloadError):  # not ours
                    if note and part.exists():
                        request = note.request(part.name.removesuffix(PART))
                        state, done = DownloadState.PAUSED, _num_bytes(part)
                        found.append(Download(request.name, request, state, done, note.num_bytes))
        return found


def _num_bytes(part: Path) -> int:
    """Of a half-fetched file or folder."""
    paths = part.rglob("*") if part.is_dir() else (part,)
    return sum(path.stat().st_size for path in paths if path.is_file())


class _Speed:
    """Bytes per second over the last seconds."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def measure(self, num_bytes: int) -> float:
        now = time.monotonic()
        if self._points and num_bytes < self._points[-1][1]:
            self._points.clear()  # begun again
        self._points.append((now, num_bytes))
        while now - self._points[0][0] > SPEED_WINDOW_S and len(self._points) > 2:
            self._points.popleft()
        then, before = self._points[0]
        return (num_bytes - before) / (now - then) if now > then else 0.0


class _Child:
    """One fetching process."""

    def __init__(self, task: Mapping[str, str]) -> None:
        environment = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", **NO_TELEMETRY}
        module = "webui.models.downloads.fetch"
        self._child = Child(module, environment=environment, is_quiet=True, umask=MODELS_UMASK)
        self._child.send(json.dumps(task).encode())

    def messages(self) -> Iterator[dict[str, Any]]:
        """Everything it says, until it ends."""
        return map(json.loads, self._child.frames())

    def stop(self) -> None:
        """It may have ended already."""
        self._child.stop(END_S)
