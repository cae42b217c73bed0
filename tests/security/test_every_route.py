"""Every route and every event of the running application, each attacked in the same ways.

They are taken from the application itself, so that a new one is covered on its first day. What is
public is listed here by hand, and short.
"""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.servers import PROJECT_DIR, Server, serving
from tests.security.events import Events, page_config
from webui.credentials import Credentials
from webui.storage import ChunkRow, Role, Storage

PASSWORD = "correct horse"
MARK = "アリスの秘密"  # in everything that is hers
PUBLIC = {("GET", "/login"), ("POST", "/login"), ("GET", "/health"), ("GET", "/page/icon.svg")}
STATIC = ("/assets/", "/static/", "/page/", "/theme.css")  # the same for everybody: may be kept
PAGES = ("/", "/login")  # have policies of their own
HOSTILE_NAMES = ("..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", "x" * 3000, "＇;--")


@dataclass(frozen=True, slots=True)
class World:
    server: Server
    routes: list[tuple[str, str]]
    hers: dict[str, str]  # ids of what is Alice's

    def client(self, user: str = "") -> httpx.Client:
        cookies = httpx.Cookies()
        if user:
            body = {"user": user, "password": PASSWORD}
            answer = httpx.post(f"{self.server.url}/login", json=body, timeout=60)
            assert answer.status_code == 200
            cookies = answer.cookies
        return httpx.Client(base_url=self.server.url, timeout=60, cookies=cookies)


@pytest.fixture(scope="module")
def world(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("routes")
    (folder / "data").mkdir()
    for user in ("alice", "bob"):
        Credentials(folder / "data").set_password(user, PASSWORD)
    storage = Storage(folder / "data" / "kajogaki.db")
    hers = _belongings(storage)
    storage.close()
    command = [sys.executable, "-m", "tests.security.listing", str(tmp_path_factory.mktemp("list"))]
    listed = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    routes = [(method, path) for method, path in json.loads(listed.stdout)]
    with serving(folder, "--login", "on") as server:
        yield World(server, routes, hers)


def _belongings(storage: Storage) -> dict[str, str]:
    chat = storage.create_conversation("alice", system_prompt=MARK)
    storage.update_conversation("alice", chat.id, title=MARK, title_is_auto=False)
    question = storage.add_message("alice", chat.id, Role.USER, MARK, parent_id=None)
    answer = storage.add_message("alice", chat.id, Role.ASSISTANT, MARK, parent_id=question.id)
    documents = storage.documents
    where = documents.create_collection("alice", MARK)
    document, _ = documents.add_document("alice", where.id, f"{MARK}.txt", sha256="a", num_bytes=1)
    documents.save_content(
        "alice", document.id, kind="txt", pages=[],
        chunks=[ChunkRow(1, 0, 1, len(MARK), "", MARK)],
    )  # fmt: skip
    source = {"text": MARK, "title": MARK}
    summary = storage.summaries.begin(
        "alice", "key", title=MARK, model_id="standin", settings={}, source=source, num_parts=1
    )
    storage.save_preset("alice", MARK, {"temperature": 1})
    return {
        "conversation": chat.id, "message": answer.id, "collection": where.id,
        "document": document.id, "summary": getattr(summary, "id", str(summary)),
    }  # fmt: skip


def filled(path: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        path = path.replace("{" + name + "}", value).replace("{" + name + ":path}", value)
    return path


def parameters(path: str) -> list[str]:
    return [part.split("}")[0].removesuffix(":path") for part in path.split("{")[1:]]


def addresses(world: World, path: str, ids: tuple[str, ...]) -> Iterator[str]:
    """`path` with each of `ids` in its places; kinds of files as they are."""
    names = parameters(path)
    kinds = ("json", "md", "png", "docx") if "kind" in names else ("",)
    for identifier, kind in itertools.product(ids if names else ("",), kinds):
        values = dict.fromkeys(names, identifier)
        values |= {"kind": kind} if kind else {}
        values |= {"number": "1"} if "number" in names else {}
        yield filled(path, values)


def bodies(world: World) -> dict[str, Any]:
    """What a body might be about: Alice's ids under every name."""
    hers = world.hers
    return {
        **hers, "id": hers["summary"], "documents": [hers["document"]],
        "collections": [hers["collection"]], "question": MARK[:3], "input": "x", "text": "x",
        "model": "standin", "prompt": "x", "max_tokens": 1,
        "messages": [{"role": "user", "content": "x"}],
    }  # fmt: skip


def test_the_list_is_of_the_application(world: World) -> None:
    """So that the walk below cannot be short without being noticed."""
    paths = {path for _, path in world.routes}
    for path in ("/export/{name}.{kind}", "/import", "/login", "/documents/files", "/metrics"):
        assert path in paths
    assert any(path.startswith("/v1/chat") for path in paths)
    assert any("/gradio_api/file" in path for path in paths), "and what Gradio brings"
    with world.client("bob") as client:
        assert len(page_config(client)["dependencies"]) > 15


def test_without_a_session_nothing_answers(world: World) -> None:
    ids = (world.hers["conversation"], "all")
    with world.client() as client:
        for method, path in world.routes:
            for address in addresses(world, path, ids):
                if (method, address) in PUBLIC or method in ("HEAD", "OPTIONS"):
                    continue
                told = client.request(method, address, json=bodies(world))
                is_led = address in ("/", "//") and told.status_code == 303
                assert told.status_code == 401 or is_led, (method, address)
                assert MARK not in told.text
        for name in ("kjg-" + "x" * 43, "null"):
            bearer = {"authorization": f"Bearer {name}"}
            for method, path in world.routes:
                if path.startswith("/v1") and "{" not in path:
                    told = client.request(method, path, json=bodies(world), headers=bearer)
                    assert told.status_code == 401, (method, path)


EVIL: list[tuple[dict[str, str], tuple[int, ...]]] = [
    ({"origin": "https://evil.example"}, (403,)),
    ({"origin": "null"}, (403,)),
    ({"origin": "http://["}, (403,)),
    ({"origin": "http://127.0.0.1"}, (403,)),  # another port
    ({"host": "evil.example"}, (421,)),
    ({"host": "127.0.0.1.evil.example"}, (421,)),
    ({"host": "evil@127.0.0.1"}, (421,)),
    ({"host": "localhost."}, (421,)),
    ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, (403,)),
    ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, (403,)),
    ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
     (403,)),
    ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, (403,)),
    ({"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}, (403,)),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "statuses"), EVIL, ids=lambda value: str(value))
def test_another_site_gets_nothing_of_any_route(
    world: World, headers: dict[str, str], statuses: tuple[int, ...]
) -> None:
    """With Alice's own session, which a browser sends along."""
    is_link = headers.get("sec-fetch-mode") == "navigate" and "sec-fetch-dest" not in headers
    with world.client("alice") as client:
        for method, path in world.routes:
            address = next(addresses(world, path, (world.hers["conversation"],)))
            if is_link and method in ("GET", "HEAD") and address in PAGES:
                continue
            told = client.request(method, address, headers=headers)
            assert told.status_code in statuses, (method, address)
            assert MARK not in told.text
            assert "access-control-allow-origin" not in told.headers


def test_another_user_gets_and_changes_nothing(world: World) -> None:
    with world.client("alice") as alice, world.client("bob") as bob:
        before = alice.get("/export/all.json").json()
        assert MARK in json.dumps(before, ensure_ascii=False)
        for method, path in world.routes:
            if method in ("HEAD", "OPTIONS") or path in ("/logout", "/login"):
                continue
            for address in addresses(world, path, tuple(world.hers.values())):
                told = bob.request(method, address, json=bodies(world))
                assert MARK not in told.text, (method, address)
                assert told.status_code < 500, (method, address)
        events = Events(bob)
        for name, event in events.all.items():
            for action in ACTIONS:
                about = {**bodies(world), "action": action, "open": True, "first": True}
                inputs: list[Any] = [None] * len(event["inputs"])
                if inputs:
                    inputs[0] = world.hers["conversation"] if name in BY_INPUT else ""
                told = events.call(name, about, *inputs)
                assert MARK not in told.text, (name, action)
                if "action" not in USES.get(name, "action"):
                    break
        assert alice.get("/export/all.json").json() == before
        held = Storage(world.server.folder / "data" / "kajogaki.db")
        assert held.presets("alice") and held.documents.document("alice", world.hers["document"])
        assert held.summaries.get("alice", world.hers["summary"]).title == MARK
        held.close()


BY_INPUT = ("on_settings", "on_choose_preset", "on_save_preset")
ACTIONS = ("", "open", "delete", "resume", "chunks", "search", "rename", "show", "edit", "retry")
USES = {
    name: ""
    for name in ("on_load", "on_open", "on_stop", "on_search", "on_rename", "on_remove",
                 "on_restore", "on_version", "on_undo", "on_delete_message", "on_shorten",
                 "on_settings", "on_choose_preset", "on_save_preset", "on_delete_preset",
                 "on_model", "on_source")
}  # fmt: skip


def test_every_answer_carries_what_protects_it(world: World) -> None:
    ids = (world.hers["conversation"], "all", "gone")
    with world.client("alice") as client:
        for method, path in world.routes:
            if path in ("/logout", "/login") and method == "POST":
                continue
            for address in addresses(world, path, ids):
                headers = client.request(method, address).headers
                assert headers["x-content-type-options"] == "nosniff", address
                assert headers["x-frame-options"] == "DENY", address
                if not address.startswith(STATIC):
                    assert headers["cache-control"] == "no-store", (method, address)
                if address not in PAGES:
                    assert headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_hostile_names_are_only_unknown(world: World) -> None:
    with world.client("alice") as client:
        for method, path in world.routes:
            if "{" not in path or method in ("HEAD", "OPTIONS"):
                continue
            for name in HOSTILE_NAMES:
                address = filled(path, dict.fromkeys(parameters(path), name))
                told = client.request(method, address, json={})
                assert told.status_code < 500, (method, address[:80])
                assert "root:x:" not in told.text and "Traceback" not in told.text
