"""The child process that fetches: huggingface_hub's only door. Ends when its parent does.

    python -m webui.downloads.fetch      (one JSON line on stdin; JSON lines on stdout)

A child, because the page must never wait for a network or a disk, because pausing is ending it,
and because huggingface_hub is configured by the environment once, at its import.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import _detect_agent
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import get_session

from webui.downloads.messages import (
    SHA256,
    DownloadError,
    DownloadRequest,
    Note,
    line,
    note_of,
    part_of,
)
from webui.gguf import BadGgufError, read_header

CHUNK_BYTES = 1 << 18  # huggingface_hub's own 10 MB would show nothing for ten seconds at 1 MB/s
REPORT_S = 0.2
SPARE_BYTES = 1 << 28  # left free on the disk
NUM_TRIES = 5
MAX_LICENSE_BYTES = 200_000
WAIT_S = float(os.environ.get("KAJOGAKI_DOWNLOAD_WAIT_S", "2"))  # before trying again, doubling
TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)

Report = Callable[[str], None]


def main() -> None:
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _ask_for_nothing_else()
    request = DownloadRequest(task["repository"], task["file"], task["sha256"])
    try:
        if task["task"] == "inspect":
            _say(_inspect(task["repository"]))
        else:
            _say(line("done", num_bytes=fetch(request, Path(task["folder"]), _say)))
    except DownloadError as error:
        _say(line("error", key=error.key, values=error.values))
    except Exception as error:
        explained = explain(error, request)
        _say(line("error", key=explained.key, values=explained.values))
    sys.stdout.flush()
    os._exit(0)  # the thread above waits for ever


def _ask_for_nothing_else() -> None:
    """Small chunks; and not the hub's list of programs to look for in the environment."""
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    _detect_agent._registry = {"standardEnvVars": [], "harnesses": {}}


def fetch(request: DownloadRequest, folder: Path, report: Report) -> int:
    """Fetch or continue, check, and only then give the file its name; its bytes.

    Raises DownloadError, and whatever explain() explains.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / request.name
    if target.exists():
        raise DownloadError("downloads.exists", name=request.name)
    with _PartFile(part_of(target), report) as part:
        part.lock()
        note = _transfer(request, target, part)
        _check(part, note, report)
        os.fsync(part.fileno())
    os.replace(part_of(target), target)
    note_of(target).unlink(missing_ok=True)
    return note.num_bytes


def explain(error: Exception, request: DownloadRequest) -> DownloadError:
    """A sentence for everything that can go wrong between here and the hub."""
    values: dict[str, Any] = {"repository": request.repository, "file": request.file}
    place = {"endpoint": constants.ENDPOINT}
    match error:
        case DownloadError():
            return error
        case GatedRepoError():
            return DownloadError("downloads.gated", **values, **place)
        case RepositoryNotFoundError():
            return DownloadError("downloads.no_repository", **values)
        case EntryNotFoundError():
            return DownloadError("downloads.no_file", **values)
        case OfflineModeIsEnabled():
            return DownloadError("downloads.offline")
        case HfHubHTTPError():
            return _explain_status(error.response.status_code, values)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return DownloadError("downloads.disk_full", name=request.name)
        case OSError(errno=errno.EACCES | errno.EPERM | errno.EROFS | errno.ENOTDIR):
            return DownloadError("downloads.not_writable", reason=error.strerror or str(error))
    reason = str(error) or type(error).__name__
    return DownloadError("downloads.no_connection", **place, reason=reason[:300])


def _explain_status(status: int, values: dict[str, Any]) -> DownloadError:
    if status in (401, 403):
        return DownloadError("downloads.forbidden", **values)
    if status == 404:
        return DownloadError("downloads.no_file", **values)
    if status == 429:
        return DownloadError("downloads.too_many", **values)
    return DownloadError("downloads.server", status=status)


def _transfer(request: DownloadRequest, target: Path, part: "_PartFile") -> Note:
    """All bytes into `part`, from where it ends; troubles that pass are waited out."""
    for num_try in range(1, NUM_TRIES + 1):
        size_before = part.size
        try:
            return _transfer_once(request, target, part)
        except Exception as error:
            if not _is_transient(error) or num_try == NUM_TRIES:
                raise
            if part.size > size_before:  # it moves; only standing still counts as a failure
                return _transfer(request, target, part)
            time.sleep(WAIT_S * 2 ** (num_try - 1))
    raise AssertionError("the last try returns or raises")


def _transfer_once(request: DownloadRequest, target: Path, part: "_PartFile") -> Note:
    url = hf_hub_url(request.repository, request.file, endpoint=constants.ENDPOINT)
    metadata = get_hf_file_metadata(url)
    etag = metadata.etag or ""
    if metadata.size is None:
        raise DownloadError("downloads.no_file", repository=request.repository, file=request.file)
    sha256 = request.sha256 or (etag if SHA256.fullmatch(etag) else "")
    note = Note(request.repository, request.file, sha256, etag, metadata.size)
    known = Note.read(note_of(target))
    if known != note or part.size > note.num_bytes:
        part.restart()  # another file, or a newer version of it
    missing = note.num_bytes - part.size
    free = shutil.disk_usage(target.parent).free
    if missing + SPARE_BYTES > free:
        values = {"missing_gb": missing / 1e9, "free_gb": free / 1e9}
        raise DownloadError("downloads.no_space", name=request.name, **values)
    note.write(note_of(target))
    part.expect(note.num_bytes)
    http_get(
        url,
        part,
        resume_size=part.size,
        headers=build_hf_headers(),
        expected_size=note.num_bytes,
    )
    return note


def _check(part: "_PartFile", note: Note, report: Report) -> None:
    """The whole file against the hub's hash; without one, that it is a sound GGUF."""
    if note.sha256:
        if part.sha256(report) != note.sha256:
            part.discard()
            raise DownloadError("downloads.wrong_hash", name=part.target_name)
        return
    try:
        read_header(part.path)
    except BadGgufError as error:
        part.discard()
        raise DownloadError("downloads.not_sound", name=part.target_name) from error


def _is_transient(error: Exception) -> bool:
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in TRANSIENT_STATUSES
    if isinstance(error, OSError) and error.errno is None:
        return "Consistency check failed" in str(error)  # a shorter body than was promised
    # By name: whether they are httpx's or httpx2's is huggingface_hub's own affair.
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)


def _inspect(repository: str) -> str:
    info = HfApi().model_info(repository, files_metadata=True)
    siblings = info.siblings or []
    files = [
        {
            "file": file.rfilename,
            "num_bytes": file.size or 0,
            "sha256": str((file.lfs or {"sha256": ""})["sha256"]),
        }
        for file in siblings
        if file.rfilename.lower().endswith(".gguf")
    ]
    license_file = next((f.rfilename for f in siblings if _is_license(f.rfilename)), "")
    card = info.card_data
    values = {
        "repository": repository,
        "is_gated": bool(info.gated),
        "license": str((card and (card.get("license_name") or card.get("license"))) or ""),
        "license_text": _license_text(repository, license_file) if license_file else "",
        "num_downloads": info.downloads or 0,
    }
    return line("info", info=values, files=files)


def _is_license(name: str) -> bool:
    return name.upper().split(".")[0] in ("LICENSE", "LICENCE", "COPYING", "USE_POLICY")


def _license_text(repository: str, file: str) -> str:
    url = hf_hub_url(repository, file, endpoint=constants.ENDPOINT)
    response = get_session().get(url, headers=build_hf_headers(), follow_redirects=True)
    response.raise_for_status()
    return str(response.content[:MAX_LICENSE_BYTES].decode(errors="replace"))


class _PartFile(io.FileIO):
    """The half-fetched file: written at its end, counted as it grows."""

    def __init__(self, path: Path, report: Report) -> None:
        super().__init__(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+")
        self.path = path
        self.target_name = path.name.removesuffix(".part")
        self.size = self.seek(0, os.SEEK_END)
        self._report = report
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
        self._report(line("progress", done=self.size, total=num_bytes))

    def restart(self) -> None:
        self.seek(0)
        self.truncate()

    def write(self, data: Any) -> int:
        view = memoryview(data)
        while view:
            view = view[super().write(view) :]
        self.size = self.tell()
        self._report_now_and_then(line("progress", done=self.size, total=self._expected))
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """huggingface_hub cuts the file when a server sends all of it again."""
        kept = super().truncate(size)
        self.size = kept
        return kept

    def sha256(self, report: Report) -> str:
        digest = hashlib.sha256()
        self.seek(0)
        done = 0
        while chunk := self.read(1 << 22):
            digest.update(chunk)
            done += len(chunk)
            self._report_now_and_then(line("verifying", done=done, total=self.size))
        return digest.hexdigest()

    def discard(self) -> None:
        """What is wrong is not kept."""
        self.restart()
        self.path.unlink(missing_ok=True)
        note_of(self.path.with_name(self.target_name)).unlink(missing_ok=True)

    def _report_now_and_then(self, text: str) -> None:
        if time.monotonic() - self._reported_at >= REPORT_S:
            self._reported_at = time.monotonic()
            self._report(text)


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody listens; stdin's end will finish us
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _end_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
