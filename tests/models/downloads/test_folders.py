"""Models of several files: whole or not at all, every file checked, nothing that could run."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.models.downloads.hub import Hub, serving
from webui.models.downloads import Download, DownloadError, Downloads, DownloadState, FolderRequest

REPOSITORY = "maker/embedder"
NAME = "embedder-30m"
REQUEST = FolderRequest(REPOSITORY, NAME)
WEIGHTS = os.urandom(2_000_000)
FILES = {
    "model.safetensors": WEIGHTS,
    "modules.json": b"[]",
    "1_Pooling/config.json": b"{}",
    "tokenizer.json": b'{"version": "1.0"}',
}
UNWANTED = {
    "pytorch_model.bin": b"pickle",
    "modeling_custom.py": b"import os",
    "onnx/model.safetensors": b"again",
    "README.md": b"# hello",
    "../evil.json": b"{}",
    ".hidden.json": b"{}",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("KAJOGAKI_DOWNLOAD_WAIT_S", "0.05")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        for file, content in (FILES | UNWANTED).items():
            hub.add(REPOSITORY, file, content)
        hub.in_git |= {file for file in FILES if file.endswith(".json")}
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def downloads(folder: Path) -> Iterator[Downloads]:
    downloads = Downloads(folder)
    yield downloads
    downloads.close()


def wait(downloads: Downloads, until: Callable[[Download], bool]) -> Download:
    deadline = time.monotonic() + 30
    while not until(download := downloads.get(NAME)):
        assert time.monotonic() < deadline, download
        time.sleep(0.02)
    return download


def ended(downloads: Downloads) -> Download:
    return wait(downloads, lambda download: not download.is_active)


def content_of(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_folder_comes_whole_with_what_it_needs_and_nothing_that_runs(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    downloads.start(REQUEST)
    download = ended(downloads)
    assert (download.state, download.error) == (DownloadState.DONE, None)
    assert content_of(folder / NAME) == FILES | {"LICENSE": hub.license_text.encode()}
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert (
        download.num_done == download.num_total == sum(map(len, content_of(folder / NAME).values()))
    )
    with pytest.raises(DownloadError, match="already"):
        downloads.start(REQUEST)


@pytest.mark.thorough
def test_it_can_be_paused_resumed_by_another_run_and_cancelled(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    hub.bytes_per_s = 1_500_000
    downloads.start(REQUEST)
    wait(downloads, lambda download: download.num_done > 400_000)
    assert not (folder / NAME).exists()
    downloads.pause(NAME)
    other = Downloads(folder)
    (left,) = other.all()
    assert (left.state, left.name) == (DownloadState.PAUSED, NAME)
    assert 0 < left.num_done < left.num_total
    hub.bytes_per_s = 0
    hub.requests.clear()
    other.resume(NAME)
    assert ended(other).state is DownloadState.DONE
    assert any(" bytes=" in request for request in hub.requests), "only the rest was fetched"
    assert content_of(folder / NAME)["model.safetensors"] == WEIGHTS
    shutil.rmtree(folder / NAME)
    hub.bytes_per_s = 1_000_000
    downloads.start(REQUEST)
    wait(downloads, lambda download: download.num_done > 100_000)
    downloads.cancel(NAME)
    assert list(folder.iterdir()) == []


@pytest.mark.thorough
def test_a_newer_commit_is_not_mixed_with_the_old_half(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    hub.bytes_per_s = 1_500_000
    downloads.start(REQUEST)
    wait(downloads, lambda download: download.num_done > 400_000)
    downloads.pause(NAME)
    (half,) = folder.glob("*.part")
    (half / "modules.json").write_bytes(b"{}")  # as long as the new one, and another content
    hub.bytes_per_s, hub.commit = 0, "1" * 40
    downloads.resume(NAME)
    assert ended(downloads).state is DownloadState.DONE
    assert content_of(folder / NAME)["modules.json"] == b"[]"


@pytest.mark.parametrize("in_git", [True, False])
def test_one_wrong_file_and_there_is_no_folder(
    hub: Hub, downloads: Downloads, folder: Path, in_git: bool
) -> None:
    hub.in_git = set(FILES) if in_git else set()
    hub.wrong_hash = True
    downloads.start(REQUEST)
    download = ended(downloads)
    assert download.error and download.error.key == "downloads.wrong_hash"
    assert not (folder / NAME).exists()


def test_weights_that_could_run_programs_are_refused(hub: Hub, downloads: Downloads) -> None:
    del hub.files[REPOSITORY, "model.safetensors"]
    downloads.start(REQUEST)
    download = ended(downloads)
    assert download.error and download.error.key == "downloads.no_safetensors"


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "builtin", "con", "x" * 90, "A B"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, folder: Path) -> None:
    with pytest.raises(DownloadError):
        FolderRequest(REPOSITORY, name)
    folder.mkdir()
    note = {"repository": "../x", "file": "", "sha256": "", "etag": "", "num_bytes": 1}
    (folder / "x.part").mkdir()
    (folder / "x.part.json").write_text(json.dumps(note), encoding="utf-8")
    assert Downloads(folder).all() == []
