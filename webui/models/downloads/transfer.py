"""One file from the hub to the disk: continued, checked against the hub's hash, then named.

Runs in the fetching child; a door to huggingface_hub. Knows nothing about models.
"""

import errno
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any, Protocol

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils._headers import build_hf_headers

from webui.models.downloads.messages import SHA256, DownloadError, Note, note_of, part_of
from webui.models.downloads.part_file import PartFile, Report
from webui.models.gguf import BadGgufError, read_header

SPARE_BYTES = 1 << 28  # left free on the disk
NUM_TRIES = 5
WAIT_S = float(os.environ.get("KAJOGAKI_DOWNLOAD_WAIT_S", "2"))  # before trying again, doubling
TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
GIT_BLOB = re.compile(r"[0-9a-f]{40}")


class RemoteSource(Protocol):
    """One file of a repository."""

    @property
    def repository(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def name(self) -> str: ...


def fetch_file(
    source: RemoteSource, target: Path, report: Report, *, num_before: int = 0, num_whole: int = 0
) -> int:
    """Fetch or continue, check, and only then give the file its name; its bytes.

    Raises DownloadError, and whatever explain() explains.
    """
    if target.exists():
        raise DownloadError("downloads.exists", name=source.name)
    part = PartFile(part_of(target), report, num_before=num_before, num_whole=num_whole)
    with part:
        part.lock()
        note = _transfer(source, target, part)
        _check(part, note)
        os.fsync(part.fileno())
    os.replace(part_of(target), target)
    note_of(target).unlink(missing_ok=True)
    return note.num_bytes


def check_room(name: str, num_bytes: int, folder: Path) -> None:
    """Raises DownloadError when so many more bytes would fill the disk."""
    free = shutil.disk_usage(folder).free
    if num_bytes + SPARE_BYTES > free:
        values = {"missing_gb": num_bytes / 1e9, "free_gb": free / 1e9}
        raise DownloadError("downloads.no_space", name=name, **values)


def explain(error: Exception, repository: str, file: str, name: str) -> DownloadError:
    """A sentence for everything that can go wrong between here and the hub."""
    values: dict[str, Any] = {"repository": repository, "file": file}
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
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG):
            return DownloadError("downloads.disk_full", name=name)
        case OSError(errno=errno.EACCES | errno.EPERM | errno.EROFS | errno.ENOTDIR | errno.ELOOP):
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


def _transfer(source: RemoteSource, target: Path, part: PartFile) -> Note:
    """All bytes into `part`, from where it ends; troubles that pass are waited out."""
    num_try = 1
    while True:
        size_before = part.size
        try:
            return _transfer_once(source, target, part)
        except Exception as error:
            if not _is_transient(error) or num_try == NUM_TRIES:
                raise
        if part.size > size_before:  # it moves; only standing still counts as a failure
            num_try = 1
            continue
        time.sleep(WAIT_S * 2 ** (num_try - 1))
        num_try += 1


def _transfer_once(source: RemoteSource, target: Path, part: PartFile) -> Note:
    url = hf_hub_url(source.repository, source.file, endpoint=constants.ENDPOINT)
    metadata = get_hf_file_metadata(url)
    etag = metadata.etag or ""
    if metadata.size is None:
        raise DownloadError("downloads.no_file", repository=source.repository, file=source.file)
    sha256 = source.sha256 or (etag if SHA256.fullmatch(etag) else "")
    note = Note(source.repository, source.file, sha256, etag, metadata.size)
    known = Note.read(note_of(target))
    if known != note or part.size > note.num_bytes:
        part.restart()  # another file, or a newer version of it
    check_room(source.name, note.num_bytes - part.size, target.parent)
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


def _check(part: PartFile, note: Note) -> None:
    """The whole file against the hub's hash; without one, that it is a sound GGUF."""
    if note.sha256:
        is_right = part.sha256() == note.sha256
    elif GIT_BLOB.fullmatch(note.etag) and not note.file.endswith(".gguf"):
        is_right = part.git_blob() == note.etag
    else:
        _check_gguf(part)
        return
    if not is_right:
        part.discard()
        raise DownloadError("downloads.wrong_hash", name=part.target_name)


def _check_gguf(part: PartFile) -> None:
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
