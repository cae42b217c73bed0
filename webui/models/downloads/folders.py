"""A model of several files from the hub, as a folder that appears only when it is whole.

For embedders and rerankers. Takes weights and settings only: nothing that could run (Python,
pickles), nothing twice (ONNX, other frameworks). Runs in the fetching child; a door to
huggingface_hub. Knows nothing about what reads the folder.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoSibling

from webui.models.downloads.messages import (
    DownloadError,
    FolderRequest,
    Note,
    line,
    note_of,
    part_of,
)
from webui.models.downloads.part_file import PartFile, Report
from webui.models.downloads.transfer import check_room, fetch_file

WANTED = (".safetensors", ".json", ".txt", ".model", ".jinja", ".spm")
OTHER_FORMATS = frozenset({"onnx", "openvino", "coreml", "gguf", "tf", "flax"})
PATH = re.compile(r"(?:[\w][\w.+-]{0,120}/){0,4}[\w][\w.+-]{0,160}", re.ASCII)
MAX_FILES = 200
LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class FolderFile:
    """One file of the repository, under its own path."""

    repository: str
    file: str
    num_bytes: int
    sha256: str  # "" = kept by git itself: its blob's hash is the etag

    @property
    def name(self) -> str:
        return PurePosixPath(self.file).name


def fetch_folder(request: FolderRequest, folder: Path, report: Report) -> int:
    """Fetch or continue, check each file, and only then give the folder its name; its bytes.

    Raises DownloadError, and whatever explain() explains.
    """
    target = folder / request.name
    if target.exists():
        raise DownloadError("downloads.exists", name=request.name)
    part = part_of(target)
    part.mkdir(parents=True, exist_ok=True)
    with PartFile(part / LOCK, report) as lock:
        lock.lock()
        info = HfApi().model_info(request.repository, files_metadata=True)
        files = list(_files(request.repository, info.siblings or []))
        total = sum(file.num_bytes for file in files)
        _begin(Note(request.repository, "", "", info.sha or "", total), target)
        check_room(request.name, total - num_bytes_in(part), folder)
        done = 0
        for file in files:
            done += _fetch_one(file, part, report, done, total)
        report(line("progress", done=done, total=total))
    (part / LOCK).unlink()
    os.replace(part, target)
    note_of(target).unlink(missing_ok=True)
    return done


def num_bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _begin(note: Note, target: Path) -> None:
    """What was fetched of another version of the repository is not mixed with this one."""
    known = Note.read(note_of(target))
    if known is None or known.etag != note.etag:
        for path in part_of(target).iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
    note.write(note_of(target))


def _fetch_one(file: FolderFile, part: Path, report: Report, done: int, total: int) -> int:
    """Its bytes. One that an earlier run had finished was checked then."""
    path = part / file.file
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size == file.num_bytes:
        return file.num_bytes
    path.unlink(missing_ok=True)
    return fetch_file(file, path, report, num_before=done, num_whole=total)


def _files(repository: str, siblings: Sequence[RepoSibling]) -> Iterator[FolderFile]:
    """What is wanted of it. Raises DownloadError where that is no safe model."""
    names = [file.rfilename for file in siblings if _is_wanted(file.rfilename)]
    if not any(name.endswith(".safetensors") for name in names):
        raise DownloadError("downloads.no_safetensors", repository=repository)
    if len(names) > MAX_FILES:
        raise DownloadError("downloads.bad_file", file=f"{len(names)} files")
    for file in siblings:
        if file.rfilename in names:
            sha256 = str((file.lfs or {"sha256": ""})["sha256"])
            yield FolderFile(repository, file.rfilename, file.size or 0, sha256)


def _is_wanted(name: str) -> bool:
    path = PurePosixPath(name)
    is_license = path.name.upper().startswith(("LICENSE", "LICENCE"))
    return bool(
        PATH.fullmatch(name)
        and ".." not in name
        and not OTHER_FORMATS.intersection(part.lower() for part in path.parts[:-1])
        and (path.suffix.lower() in WANTED or is_license)
    )
