"""Where downloads come from and go to: proxies, mirrors, folders that cannot be written."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import rawgguf as raw
from tests.models.downloads.hub import serving
from tests.models.downloads.proxy import Proxy, certificate, proxying
from webui.models.downloads import Download, DownloadRequest, Downloads, DownloadState

REPOSITORY, NAME = "maker/model-GGUF", "model-Q4_K_M.gguf"
CONTENT = raw.model(num_data_bytes=256) + bytes(100_000)
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("KAJOGAKI_DOWNLOAD_WAIT_S", "0.01")
    with proxying() as proxy:
        yield proxy


def fetched(folder: Path) -> Download:
    downloads = Downloads(folder)
    try:
        downloads.start(DownloadRequest(REPOSITORY, NAME))
        deadline = time.monotonic() + 30
        while (download := downloads.get(NAME)).is_active:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return download
    finally:
        downloads.close()


def test_http_proxy_is_used_for_a_mirror(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as mirror:
        mirror.add(REPOSITORY, NAME, CONTENT)
        monkeypatch.setenv("HF_ENDPOINT", mirror.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert fetched(tmp_path).state is DownloadState.DONE
        assert (tmp_path / NAME).read_bytes() == CONTENT
        assert len(proxy.requests) == len(mirror.requests), "nothing went past it"
        assert all("http://" in request for request in proxy.requests)


def test_https_proxy_is_a_tunnel(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, context = certificate(tmp_path)
    with serving(context) as mirror:
        mirror.add(REPOSITORY, NAME, CONTENT)
        monkeypatch.setenv("HF_ENDPOINT", mirror.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert fetched(tmp_path / "models").state is DownloadState.DONE
        assert proxy.requests and all(r.startswith("CONNECT ") for r in proxy.requests)


def test_a_proxy_that_is_not_there_is_named_as_a_cause(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as mirror:
        monkeypatch.setenv("HF_ENDPOINT", mirror.url)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        download = fetched(tmp_path)
        assert download.error and "HTTPS_PROXY" in download.error.message()
        assert mirror.requests == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write")
def test_a_folder_without_permission_is_told(proxy: Proxy, tmp_path: Path) -> None:
    """Where even root may not write."""
    tmp_path.chmod(0o500)
    download = fetched(Path("/sys/kernel") if os.geteuid() == 0 else tmp_path)
    assert download.error and download.error.key == "downloads.not_writable"


def test_nothing_is_written_through_a_link(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine", encoding="utf-8")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / f"{NAME}.part").symlink_to(precious)
    with serving() as mirror:
        mirror.add(REPOSITORY, NAME, CONTENT)
        monkeypatch.setenv("HF_ENDPOINT", mirror.url)
        download = fetched(folder)
    assert download.error and download.error.key == "downloads.not_writable"
    assert precious.read_text(encoding="utf-8") == "mine"
