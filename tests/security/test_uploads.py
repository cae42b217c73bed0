"""Files come in through our own routes only, and nobody takes the whole disk."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.servers import Server, serving
from webui.api.quota import Quota
from webui.documents.errors import DocumentError
from webui.storage import Storage

WORDS = "年次有給休暇は十日である。\n"
FILE = (WORDS * (300_000 // len(WORDS.encode()))).encode()  # 0.3 MB


@pytest.fixture(scope="module")
def server(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("uploads"), "--documents-gb", "0.001") as server:
        yield server


def upload(server: Server, number: int, content: bytes) -> httpx.Response:
    headers = {"content-type": "application/octet-stream", "x-file-name": f"{number}.txt"}
    return httpx.post(f"{server.url}/documents/files", content=content, headers=headers, timeout=60)


def test_uploads_through_gradio_are_refused(server: Server) -> None:
    """They had no quota, were kept until a restart and could be read by every user."""
    before = {path for path in (server.folder / "data").rglob("*") if path.is_file()}
    for path in ("/gradio_api/upload", "/gradio_api/process_recording", "/upload"):
        for headers in ({}, {"content-type": "application/octet-stream"}):
            files = {"files": ("a.txt", FILE)} if not headers else None
            answer = httpx.post(
                server.url + path, files=files, content=None if files else FILE, headers=headers
            )
            assert answer.status_code in (404, 415), path
    after = {path for path in (server.folder / "data").rglob("*") if path.is_file()}
    assert not [path for path in after - before if path.read_bytes()[:100] == FILE[:100]]


def test_one_user_has_a_quota(server: Server) -> None:
    for number in range(3):
        assert upload(server, number, f"{number}".encode() + FILE).status_code == 200
    refused = upload(server, 9, b"9" + FILE)
    assert refused.status_code == 422
    assert "MB" in refused.json()["error"] and "documents_gb" in refused.json()["error"]
    endless = httpx.post(
        f"{server.url}/documents/files",
        content=iter([b"x" * 1000]),  # says nothing of its length
        headers={"content-type": "application/octet-stream", "x-file-name": "a.txt"},
    )
    assert endless.status_code == 422
    storage = Storage(server.folder / "data" / "kajogaki.db")
    assert 800_000 < storage.documents.num_bytes("local") < 1_000_000
    assert storage.documents.num_bytes("nobody") == 0
    storage.close()


def test_uploads_at_once_do_not_pass_it_together(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "kajogaki.db")
    quota = Quota(storage.documents, 0.001)
    with quota.reserved("taro", 600_000):
        with pytest.raises(DocumentError), quota.reserved("taro", 600_000):
            pass
        with quota.reserved("hanako", 600_000), quota.reserved("taro", 400_000):
            pass
    with quota.reserved("taro", 1_000_000):
        pass
    storage.close()
