"""What the web process and the fetching child say to each other, as lines of JSON; file names.

A half-fetched file (or folder) is `<name>.part`, with `<name>.part.json` beside it, so that it can
never be taken for a model and can be continued after a kill. Knows nothing about the network.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from webui.errors import AppError

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
FILE = re.compile(r"(?:[A-Za-z0-9][\w.+-]{0,200}/){0,4}[A-Za-z0-9][\w.+-]{0,200}\.gguf", re.I)
WINDOWS_NAMES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)\..*", re.I)
FOLDER = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}")
SHA256 = re.compile(r"[0-9a-f]{64}")
PART = ".part"
NOTE = ".part.json"


class DownloadError(AppError):
    """Why something could not be fetched, and what to do."""


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """One file of one repository. Raises DownloadError on a name that is none."""

    repository: str
    file: str  # path inside the repository
    sha256: str = ""  # "" = what the hub says

    def __post_init__(self) -> None:
        if not REPOSITORY.fullmatch(self.repository) or ".." in self.repository:
            raise DownloadError("downloads.bad_repository", repository=self.repository[:120])
        is_name = FILE.fullmatch(self.file) and ".." not in self.file
        if not is_name or WINDOWS_NAMES.fullmatch(self.name):
            raise DownloadError("downloads.bad_file", file=self.file[:120])
        if self.sha256 and not SHA256.fullmatch(self.sha256):
            raise DownloadError("downloads.bad_file", file=self.file[:120])

    @property
    def name(self) -> str:
        """In the models folder."""
        return PurePosixPath(self.file).name


@dataclass(frozen=True, slots=True)
class FolderRequest:
    """A model of several files, as one folder. Raises DownloadError on a name that is none."""

    repository: str
    name: str  # of the folder in the models folder

    def __post_init__(self) -> None:
        if not REPOSITORY.fullmatch(self.repository) or ".." in self.repository:
            raise DownloadError("downloads.bad_repository", repository=self.repository[:120])
        is_name = FOLDER.fullmatch(self.name) and ".." not in self.name
        if not is_name or WINDOWS_NAMES.fullmatch(self.name + ".") or self.name == "builtin":
            raise DownloadError("downloads.bad_file", file=self.name[:120])


AnyRequest = DownloadRequest | FolderRequest


@dataclass(frozen=True, slots=True)
class RemoteFile:
    file: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """What the hub says about a repository."""

    repository: str
    is_gated: bool
    license: str
    license_text: str  # "" when the repository has no such file
    num_downloads: int
    files: tuple[RemoteFile, ...]  # GGUF only


@dataclass(frozen=True, slots=True)
class Note:
    """Beside a half-fetched file: what it will be."""

    repository: str
    file: str  # "" = a folder
    sha256: str
    etag: str  # of a folder: the repository's commit
    num_bytes: int

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Note | None":
        """None when there is none, or one that nobody can read."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            note = Note(**values)
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        texts = (note.repository, note.file, note.sha256, note.etag)
        is_sound = type(note.num_bytes) is int and all(type(text) is str for text in texts)
        return note if is_sound else None

    def request(self, name: str) -> AnyRequest:
        """What was asked for, under `name` in the models folder. Raises DownloadError."""
        if not self.file:
            return FolderRequest(self.repository, name)
        return DownloadRequest(self.repository, self.file, self.sha256)


def task_of(request: AnyRequest, folder: Path) -> dict[str, str]:
    """What the child is told to do."""
    kind = "fetch_folder" if isinstance(request, FolderRequest) else "fetch"
    return {"task": kind, "folder": str(folder)} | asdict(request) | {"name": request.name}


def part_of(target: Path) -> Path:
    return target.with_name(target.name + PART)


def note_of(target: Path) -> Path:
    return target.with_name(target.name + NOTE)


def line(event: str, **values: Any) -> str:
    """One message of the child."""
    return json.dumps({"event": event, **values})


def error_of(message: Mapping[str, Any]) -> DownloadError:
    return DownloadError(str(message["key"]), **message["values"])


def info_of(message: Mapping[str, Any]) -> RepositoryInfo:
    files = tuple(RemoteFile(**values) for values in message["files"])
    return RepositoryInfo(**{**message["info"], "files": files})
