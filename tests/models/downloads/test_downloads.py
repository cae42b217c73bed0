"""Downloads: from a server that speaks the hub's endpoints, with everything that goes wrong."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests import rawgguf as raw
from tests.models.downloads.hub import Hub, serving
from tests.places import ROOT
from webui.models import Catalog
from webui.models.downloads import (
    Download,
    DownloadError,
    DownloadRequest,
    Downloads,
    DownloadState,
)
from webui.strings import Language

REPOSITORY = "maker/model-GGUF"
FILE = "quants/model-Q4_K_M.gguf"
NAME = "model-Q4_K_M.gguf"
CONTENT = raw.model(num_data_bytes=256) + os.urandom(3_000_000)
REQUEST = DownloadRequest(REPOSITORY, FILE)
TIMEOUT_S = 30


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("KAJOGAKI_DOWNLOAD_WAIT_S", "0.05")
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        hub.add(REPOSITORY, FILE, CONTENT)
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
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        download = downloads.get(NAME)
        if until(download):
            return download
        time.sleep(0.02)
    raise AssertionError(f"still {downloads.get(NAME)}")


def ended(downloads: Downloads) -> Download:
    return wait(downloads, lambda download: not download.is_active)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def failure(downloads: Downloads) -> str:
    downloads.start(REQUEST)
    download = ended(downloads)
    assert download.state is DownloadState.FAILED and download.error
    for language in Language:
        assert "{" not in download.error.message(language)
    return download.error.key.removeprefix("downloads.")


def test_a_file_comes_whole_checked_and_under_its_own_name(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    downloads.start(REQUEST)
    download = ended(downloads)
    assert (download.state, download.error) == (DownloadState.DONE, None)
    assert (folder / NAME).read_bytes() == CONTENT
    assert names(folder) == [NAME]
    assert download.num_done == download.num_total == len(CONTENT)
    paths = [request.split()[1] for request in hub.requests]
    assert all("resolve" in path or "cdn" in path for path in paths), "nothing else was asked for"


def test_nothing_is_fetched_without_being_asked(hub: Hub, folder: Path) -> None:
    assert Downloads(folder).all() == []
    assert hub.requests == []


@pytest.mark.thorough
def test_progress_speed_and_time_left_are_told(hub: Hub, downloads: Downloads) -> None:
    hub.bytes_per_s = 1_500_000
    downloads.start(REQUEST)
    running = wait(downloads, lambda d: d.num_done > 500_000)
    assert running.state is DownloadState.RUNNING
    assert running.num_total == len(CONTENT)
    assert 200_000 < running.bytes_per_s < 6_000_000
    assert running.eta_s is not None and 0.1 < running.eta_s < 15


def test_a_half_fetched_file_is_no_model(hub: Hub, downloads: Downloads, folder: Path) -> None:
    hub.bytes_per_s = 1_000_000
    downloads.start(REQUEST)
    wait(downloads, lambda d: d.num_done > 100_000)
    builtin = folder.parent / "builtin"
    builtin.mkdir()
    assert all(spec.is_standin for spec in Catalog(folder, builtin).models())
    assert not (folder / NAME).exists()


def test_pause_keeps_what_is_here_and_resume_fetches_only_the_rest(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    hub.bytes_per_s = 1_500_000
    downloads.start(REQUEST)
    wait(downloads, lambda d: d.num_done > 500_000)
    downloads.pause(NAME)
    paused = downloads.get(NAME)
    assert paused.state is DownloadState.PAUSED
    size = (folder / f"{NAME}.part").stat().st_size
    assert size >= 500_000
    time.sleep(0.3)
    assert (folder / f"{NAME}.part").stat().st_size == size, "it really stopped"
    hub.bytes_per_s = 0
    downloads.resume(NAME)
    assert ended(downloads).state is DownloadState.DONE
    assert (folder / NAME).read_bytes() == CONTENT
    assert hub.requests[-1].endswith(f"bytes={size}-")


def test_cancel_leaves_nothing(hub: Hub, downloads: Downloads, folder: Path) -> None:
    hub.bytes_per_s = 1_000_000
    downloads.start(REQUEST)
    wait(downloads, lambda d: d.num_done > 100_000)
    downloads.cancel(NAME)
    assert names(folder) == []
    assert downloads.all() == []
    with pytest.raises(DownloadError):
        downloads.get(NAME)


@pytest.mark.thorough
def test_after_a_kill_the_next_run_goes_on_where_it_stopped(hub: Hub, folder: Path) -> None:
    """The parent is killed: its child must end too, and leave what a new run can continue."""
    hub.bytes_per_s = 1_000_000
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from webui.models.downloads import Downloads, DownloadRequest\n"
        f"Downloads(Path({str(folder)!r})).start(DownloadRequest({REPOSITORY!r}, {FILE!r}))\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    part = folder / f"{NAME}.part"
    deadline = time.monotonic() + TIMEOUT_S
    while not (part.exists() and part.stat().st_size > 400_000):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (child,) = psutil.Process(parent.pid).children()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert psutil.wait_procs([child], timeout=10)[0] == [child]
    size = part.stat().st_size
    hub.bytes_per_s = 0
    downloads = Downloads(folder)
    (left,) = downloads.all()
    assert (left.state, left.num_done) == (DownloadState.PAUSED, size)
    assert left.num_total == len(CONTENT)
    downloads.resume(NAME)
    assert ended(downloads).state is DownloadState.DONE
    assert (folder / NAME).read_bytes() == CONTENT
    assert hub.requests[-1].endswith(f"bytes={size}-")


@pytest.mark.thorough
def test_cut_connections_are_taken_up_again(hub: Hub, downloads: Downloads, folder: Path) -> None:
    hub.cut_after = [1_000_000, 500_000, 0]
    downloads.start(REQUEST)
    assert ended(downloads).state is DownloadState.DONE
    assert (folder / NAME).read_bytes() == CONTENT
    assert hub.num_transfers == 4


@pytest.mark.thorough
def test_a_server_that_ignores_ranges_is_understood(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    hub.ignores_range = True
    hub.cut_after = [1_000_000]
    downloads.start(REQUEST)
    assert ended(downloads).state is DownloadState.DONE
    assert (folder / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.thorough
def test_troubles_that_pass_are_waited_out(
    hub: Hub, downloads: Downloads, folder: Path, status: int
) -> None:
    hub.statuses = [status]
    downloads.start(REQUEST)
    assert ended(downloads).state is DownloadState.DONE
    assert (folder / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "key"), [(401, "forbidden"), (403, "forbidden"), (500, "server")]
)
def test_a_refusal_says_what_to_do(
    hub: Hub, downloads: Downloads, folder: Path, status: int, key: str
) -> None:
    hub.statuses = [status] * 60
    assert failure(downloads) == key
    assert not (folder / NAME).exists()


def test_a_gated_repository_is_explained_and_opened_by_a_token(
    hub: Hub, downloads: Downloads, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add(REPOSITORY)
    assert failure(downloads) == "gated"
    error = downloads.get(NAME).error
    assert error and hub.url in error.message() and "HF_TOKEN" in error.message()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    downloads.start(REQUEST)
    assert ended(downloads).state is DownloadState.DONE
    assert "Bearer hf_secret" in hub.tokens


def test_missing_repositories_and_files_are_told_apart(hub: Hub, downloads: Downloads) -> None:
    request = DownloadRequest(REPOSITORY, f"other/{NAME}")
    downloads.start(request)
    download = ended(downloads)
    assert download.error and download.error.key == "downloads.no_file"
    downloads.start(DownloadRequest("maker/nothing", FILE))
    download = ended(downloads)
    assert download.error and download.error.key == "downloads.no_repository"


def test_a_wrong_hash_is_thrown_away(hub: Hub, downloads: Downloads, folder: Path) -> None:
    hub.wrong_hash = True
    assert failure(downloads) == "wrong_hash"
    assert names(folder) == []


def test_the_entrys_own_hash_counts_more_than_the_servers(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    downloads.start(DownloadRequest(REPOSITORY, FILE, sha256="a" * 64))
    assert ended(downloads).state is DownloadState.FAILED
    assert names(folder) == []


def test_a_page_in_place_of_a_model_is_thrown_away(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    """A mirror that tells no hash and answers with something else."""
    hub.tells_hash = False
    hub.add(REPOSITORY, FILE, b"<html>maintenance</html>")
    assert failure(downloads) == "not_sound"
    assert names(folder) == []


@pytest.mark.thorough
def test_a_newer_version_at_the_hub_is_not_glued_to_the_old_half(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    hub.bytes_per_s = 1_500_000
    downloads.start(REQUEST)
    wait(downloads, lambda d: d.num_done > 400_000)
    downloads.pause(NAME)
    hub.bytes_per_s = 0
    newer = raw.model() + os.urandom(2_000_000)
    hub.add(REPOSITORY, FILE, newer)
    downloads.resume(NAME)
    assert ended(downloads).state is DownloadState.DONE
    assert (folder / NAME).read_bytes() == newer


@pytest.mark.thorough
def test_a_file_that_is_here_or_on_its_way_is_not_fetched_twice(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    hub.bytes_per_s = 1_000_000
    downloads.start(REQUEST)
    with pytest.raises(DownloadError, match="being downloaded"):
        downloads.start(REQUEST)
    wait(downloads, lambda d: d.num_done > 100_000)
    other = Downloads(folder)  # another process would do the same
    other.start(REQUEST)
    refused = ended(other)
    assert refused.error and refused.error.key == "downloads.under_way"
    hub.bytes_per_s = 0
    assert ended(downloads).state is DownloadState.DONE
    with pytest.raises(DownloadError, match="already"):
        downloads.start(REQUEST)
    assert (folder / NAME).read_bytes() == CONTENT


def test_an_endpoint_that_nobody_answers_is_told(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("KAJOGAKI_DOWNLOAD_WAIT_S", "0.01")
    assert failure(downloads) == "no_connection"
    error = downloads.get(NAME).error
    assert error and "127.0.0.1:9" in error.message()


def test_a_folder_that_cannot_be_made_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert failure(Downloads(tmp_path / "file" / "models")) == "not_writable"


def test_too_little_room_is_told_before_anything_is_written(
    hub: Hub, downloads: Downloads, folder: Path
) -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 60

    hub.files[REPOSITORY, FILE] = Huge(CONTENT)
    assert failure(downloads) == "no_space"
    assert hub.num_transfers == 0
    assert not (folder / NAME).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are a POSIX thing")
@pytest.mark.thorough
def test_a_disk_that_fills_up_is_told_and_can_be_continued(hub: Hub, folder: Path) -> None:
    """A limit on file sizes stands for the full disk."""
    code = (
        "import resource, signal, sys, errno, json\n"
        "from pathlib import Path\n"
        "import webui.models.downloads.fetch as fetch\n"
        "from webui.models.downloads.messages import DownloadRequest\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        f"request = DownloadRequest({REPOSITORY!r}, {FILE!r})\n"
        "try:\n"
        f"    fetch.fetch(request, Path({str(folder)!r}), lambda text: None)\n"
        "except OSError as error:\n"
        "    print(fetch.explain(error, request.repository, request.file, request.name).key)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "downloads.disk_full"
    assert (folder / f"{NAME}.part").stat().st_size == 1_000_000
    downloads = Downloads(folder)
    downloads.resume(NAME)
    assert ended(downloads).state is DownloadState.DONE
    assert (folder / NAME).read_bytes() == CONTENT


@pytest.mark.thorough
def test_licence_sizes_and_gate_are_known_before(hub: Hub, downloads: Downloads) -> None:
    hub.gated.add("maker/other")
    info = downloads.inspect(REPOSITORY)
    assert info.license == "apache-2.0" and not info.is_gated
    assert info.license_text == hub.license_text
    assert [(file.file, file.num_bytes) for file in info.files] == [(FILE, len(CONTENT))]
    assert len(info.files[0].sha256) == 64
    assert hub.num_transfers == 0
    with pytest.raises(DownloadError):
        downloads.inspect("maker/nothing")


@pytest.mark.parametrize(
    ("repository", "file"),
    [
        ("https://example.com/x", FILE),
        ("../../etc", FILE),
        ("maker/..", FILE),
        ("maker", FILE),
        (REPOSITORY, "../model.gguf"),
        (REPOSITORY, "/etc/passwd.gguf"),
        (REPOSITORY, "model.bin"),
        (REPOSITORY, ".hidden.gguf"),
        (REPOSITORY, "a\\b.gguf"),
        (REPOSITORY, "con.gguf"),
        (REPOSITORY, "x\u202egguf.gguf"),
        (REPOSITORY, "x\0.gguf"),
        (REPOSITORY, ""),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(repository: str, file: str) -> None:
    with pytest.raises(DownloadError):
        DownloadRequest(repository, file)


def test_what_others_left_beside_is_ignored(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.gguf.part").write_bytes(b"x")
    for name, text in {
        "b.gguf": "{}",
        "c.gguf": "nonsense",
        "d.gguf": '{"repository": "../x", "file": "d.gguf", "sha256": "", "etag": "",'
        ' "num_bytes": 1}',
    }.items():
        (folder / f"{name}.part").write_bytes(b"x")
        (folder / f"{name}.part.json").write_text(text, encoding="utf-8")
    assert Downloads(folder).all() == []
