"""The routes of documents: what is taken, what is refused with one sentence, who sees what."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.api.servers import Server
from tests.documents.makepdf import pdf, set_lines
from webui.storage import Storage

FILE = pdf([set_lines(["年次有給休暇は十日である。"])])
READ_S = 60.0


@pytest.fixture(scope="module", autouse=True)
def emptied(server: Server) -> Iterator[None]:
    """The server is every test's: what was added here would answer questions elsewhere."""
    yield
    storage = Storage(server.folder / "data" / "kajogaki.db")
    for one in storage.documents.collections("local"):
        storage.documents.delete_collection("local", one.id)
    storage.close()


def upload(http: httpx.Client, content: bytes, name: str = "a.pdf", **more: str) -> httpx.Response:
    headers = {"content-type": "application/octet-stream", "x-file-name": quote(name), **more}
    return http.post("/documents/files", content=content, headers=headers)


def picture(http: httpx.Client, document: str, number: int = 1) -> httpx.Response:
    """Of a document that is read already or soon."""
    deadline = time.monotonic() + READ_S
    while True:
        answer = http.get(f"/documents/{document}/pages/{number}.png?w=200")
        if answer.status_code == 200 or time.monotonic() > deadline:
            return answer


def test_a_page_is_a_picture_and_nothing_else(http: httpx.Client) -> None:
    added = upload(http, FILE, "規程 (最新).pdf").json()
    assert added["is_new"] and added["name"] == "規程 (最新).pdf"
    shown = picture(http, added["document"])
    assert shown.content.startswith(b"\x89PNG")
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert shown.headers["cache-control"] == "no-store"
    assert http.get(f"/documents/{added['document']}/pages/9.png").status_code == 422
    again = upload(http, FILE, "b.pdf").json()
    assert (again["document"], again["is_new"]) == (added["document"], False)
    original = http.get(f"/documents/{added['document']}/file")
    assert original.content == FILE
    assert original.headers["content-disposition"].startswith("attachment;")
    assert original.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "path",
    [
        "/documents/nobody/pages/1.png",
        "/documents/..%2F..%2Fkajogaki.db/file",
        "/documents/%2e%2e/file",
        "/documents/.upload-x/file",
    ],
)
def test_what_is_not_ones_own_is_not_there(path: str, http: httpx.Client) -> None:
    assert http.get(path).status_code == 404


@pytest.mark.parametrize(
    "name", ["../../evil.txt", "a\0b.txt", "\U0001f4c4.txt", "長" * 3000, "", "%2e%2e", "."]
)
def test_names_are_only_names(name: str, http: httpx.Client, server: Server) -> None:
    added = upload(http, f"{name}という名前の資料である。".encode(), name).json()
    assert added["is_new"] and added["name"] and len(added["name"]) <= 200
    assert "/" not in added["name"] and "\0" not in added["name"]
    folder = server.folder / "data" / "documents"
    assert (folder / added["document"]).is_file()
    assert not [path for path in server.folder.rglob("*evil*")]


def test_refusals_are_one_sentence_and_leave_nothing(http: httpx.Client, server: Server) -> None:
    empty = upload(http, b"")
    assert empty.status_code == 422 and "空のファイル" in empty.json()["error"]
    nowhere = upload(http, b"x", **{"x-collection": "nobody"})
    assert nowhere.status_code == 404 and nowhere.json()["error"]
    replaced = upload(http, b"y", **{"x-replaces": "nobody"})
    assert replaced.status_code == 404
    form = http.post("/documents/files", data={"a": "b"})
    assert form.status_code == 415
    other = upload(http, FILE, origin="https://example.com")
    assert other.status_code == 403
    folder = server.folder / "data" / "documents"
    assert not [path for path in folder.iterdir() if path.name.startswith(".upload")]


def test_two_of_one_name_at_once_are_two(server: Server) -> None:
    """From two connections; the names are told apart."""

    def add(text: str) -> str:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            return str(upload(http, text.encode(), "同名.txt").json()["name"])

    with ThreadPoolExecutor(2) as pool:
        names = set(pool.map(add, ["一つ目の資料である。", "二つ目の資料である。"]))
    assert names == {"同名.txt", "同名 (2).txt"}
    storage = Storage(Path(server.folder) / "data" / "kajogaki.db")
    try:
        assert len(storage.documents.collections("local")) == 1
    finally:
        storage.close()
