"""What a forged import, or a database from before, can make of the page: nothing.

Gradio copies every dict that looks like its FileData, in an output, into its cache, or downloads
it, and gives its address: a forged import read the server's files and the secret of all sessions.
"""

import copy
import json
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.servers import PROJECT_DIR, Server, serving
from tests.security.events import Events
from tests.security.hostile_site import HostileSite, hostile_site
from webui.storage import InvalidExportError, Role, Status, Storage
from webui.tasks.chat.importing import import_conversations
from webui.tasks.sampling import SamplingError, SettingError, settings_of, usable_settings
from webui.ui.plain_values import NotPlainError, check_plain

ME = "local"
PUBLIC_LOOPBACK = ("-m", "tests.security.public_loopback")


def file_data(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


CONVERSATION: dict[str, Any] = {
    "title": "題", "title_is_auto": False, "system_prompt": "", "sampling": {}, "model_id": "",
    "created_at": 1.0, "updated_at": 1.0, "leaf": 2,
    "documents": {"is_on": False, "collection_ids": [], "document_ids": []},
}  # fmt: skip
QUESTION: dict[str, Any] = {
    "id": 1, "parent": None, "role": "user", "content": "問い", "reasoning": "",
    "status": "complete", "model_id": "", "stats": {}, "created_at": 1.0,
}  # fmt: skip
STOLEN = file_data("/etc/passwd")
UPDATE = {"__type__": "update", "js_on_load": "window.owned = 1", "value": "x"}
FORGED: list[Any] = [STOLEN, [STOLEN], {"x": STOLEN}, UPDATE, [UPDATE], "x" * 2000, -1, [[]], {}]
PLACES = [
    ("sampling",),
    *(("sampling", name) for name in ("temperature", "seed", "thinking", "variables", "grammar",
                                      "logit_bias", "max_tokens", "stop_token_ids")),
    ("sampling", "variables", "humor"),
    ("documents",),
    ("documents", "is_on"),
    ("documents", "collection_ids"),
    ("documents", "document_ids", 0),
    ("title",),
    ("model_id",),
    ("messages", 1, "stats"),
    *(("messages", 1, "stats", name) for name in ("error", "too_long", "finish_reason",
                                                  "tokens_per_s", "completion_tokens", "unknown")),
    ("messages", 1, "evidence"),
    *(("messages", 1, "evidence", name) for name in ("passages", "citations", "flags", "notice")),
    ("messages", 1, "model_id"),
    ("messages", 1, "id"),
    ("messages", 1, "parent"),
    ("leaf",),
]  # fmt: skip


def nest(depth: int) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


def export(place: tuple[str | int, ...] = (), value: Any = None) -> dict[str, Any]:
    """A good file, but for `value` at `place`."""
    conversation = copy.deepcopy(CONVERSATION)
    answer = {**QUESTION, "id": 2, "parent": 1, "role": "assistant", "evidence": {}}
    conversation["messages"] = [copy.deepcopy(QUESTION), answer]
    at: Any = conversation
    for step, following in zip(place, place[1:], strict=False):
        if isinstance(at, dict) and step not in at:
            at[step] = {}
        at = at[step]
        if isinstance(following, int) and isinstance(at, list) and len(at) <= following:
            at.append(None)
    if place:
        at[place[-1]] = value
    return {"kajogaki": 1, "conversations": [conversation]}


def is_plain(value: object) -> bool:
    try:
        check_plain(value)
    except NotPlainError:
        return False
    return True


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path / "kajogaki.db")
    yield storage
    storage.close()


def test_a_good_file_is_taken(storage: Storage) -> None:
    """So that the others are refused for what is bad in them."""
    (made,) = import_conversations(storage, ME, export())
    assert [message.content for message in storage.path(ME, made)] == ["問い", "問い"]
    settings = {"temperature": 0.2, "top_k": 40.0, "thinking": True, "variables": {"humor": 3}}
    (made,) = import_conversations(storage, ME, export(("sampling",), settings))
    assert storage.conversation(ME, made).sampling == {**settings, "top_k": 40}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_what_is_imported_is_read_as_strictly_as_what_is_typed(
    storage: Storage, place: tuple[str | int, ...]
) -> None:
    for value in FORGED:
        try:
            (made,) = import_conversations(storage, ME, export(place, value))
        except InvalidExportError as error:
            assert error.values["where"]
            continue
        kept = storage.conversation(ME, made)
        assert kept.sampling == settings_of(kept.sampling)
        for message in storage.path(ME, made):
            assert is_plain([kept.sampling, message.stats, message.evidence]), value
            assert len(json.dumps([message.stats, message.evidence])) < 1500


def test_settings_of_another_kind_are_refused_or_left_out() -> None:
    bad = {"temperature": -1, "top_k": 1.5, "seed": True, "grammar": "root ::= [a-z]+", "x": 1,
           "thinking": "yes", "variables": {"a": [1]}, "max_tokens": 10**30}  # fmt: skip
    for name, value in bad.items():
        with pytest.raises((SettingError, SamplingError)):
            settings_of({name: value})
    assert usable_settings({**bad, "min_p": 0.1}) == {"min_p": 0.1}


@pytest.fixture(scope="module")
def forged(
    standin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, HostileSite]]:
    """A server whose database was written by an attacker, wherever JSON is kept.

    Its data lies where Gradio would serve it from, and addresses are fetched as if public.
    """
    with hostile_site({"/beacon": "x"}) as site, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        storage = Storage(folder / "data" / "kajogaki.db")
        made = storage.create_conversation(ME).id
        parent = storage.add_message(ME, made, Role.USER, "問い", parent_id=None).id
        answer = storage.add_message(
            ME, made, Role.ASSISTANT, "答え", parent_id=parent, status=Status.ERROR
        )
        documents = storage.documents
        where = documents.create_collection(ME, "棚").id
        documents.add_document(ME, where, "規程.txt", sha256="a", num_bytes=1)
        storage.save_preset(ME, "型", {"temperature": 1})
        storage.close()
        _forge(folder / "data" / "kajogaki.db", folder, site.url, answer.id)
        with serving(folder, program=PUBLIC_LOOPBACK) as server:
            yield server, site


def _forge(database: Path, folder: Path, url: str, answer: str) -> None:
    forged = {
        "file": file_data(str(folder / "data" / "kajogaki.db")),
        "app": file_data(str(PROJECT_DIR / "app.py")),
        "fetched": file_data(f"{url}/beacon"),
        "update": UPDATE,
    }
    settings = {name: forged[kind] for name, kind in
                zip(("temperature", "top_p", "seed", "thinking"), forged, strict=True)}  # fmt: skip
    settings["variables"] = forged
    db = sqlite3.connect(database)
    with db:
        db.execute("UPDATE conversations SET sampling = ?", (json.dumps(settings),))
        stats = {**forged, "error": forged["file"], "too_long": forged, "completion_tokens": forged}
        evidence = {**forged, "passages": [forged], "citations": [forged], "notice": forged["file"]}
        db.execute(
            "UPDATE messages SET stats = ?, evidence = ? WHERE id = ?",
            (json.dumps(stats), json.dumps(evidence), answer),
        )
        db.execute("UPDATE presets SET sampling = ?", (json.dumps({**settings, **forged}),))
        db.execute("UPDATE documents SET problem = ?", (json.dumps(["x", forged]),))
    db.close()


def test_a_conversation_with_forged_settings_opens(forged: tuple[Server, HostileSite]) -> None:
    """It could not be opened at all."""
    server, _ = forged
    with httpx.Client(base_url=server.url, timeout=60) as client:
        events = Events(client)
        storage = Storage(server.folder / "data" / "kajogaki.db")
        chat = storage.conversations(ME)[-1]
        storage.close()
        told = events.call("on_open", {"conversation": chat.id})
        assert told.status_code == 200 and "問い" in told.text
        told = events.call("on_inspect", {"conversation": chat.id, "action": "show", "open": True})
        assert told.status_code == 200 and '"num_tokens"' in told.text


ASKED: dict[str, list[dict[str, Any]]] = {
    "on_documents_1": [{"action": one} for one in ("", "search", "choices", "chunks", "test")],
    "on_inspect": [{"action": one, "open": True} for one in ("show", "preview", "manner")],
    "on_run": [{"action": "retry"}, {"action": "send", "text": "続き"}],
}


LAST = ("on_choose_preset", "on_settings", "on_undo", "on_delete_message", "on_remove")


def test_no_handler_gives_gradio_anything_but_plain_values(
    forged: tuple[Server, HostileSite],
) -> None:
    """Every event of the page, taken from the page, over a database that was forged."""
    server, site = forged
    with httpx.Client(base_url=server.url, timeout=60) as client:
        events = Events(client)
        everything = client.get("/export/all.json").json()["conversations"]
        assert everything
        storage = Storage(server.folder / "data" / "kajogaki.db")
        (chat,) = storage.conversations(ME)
        answer = storage.path(ME, chat.id)[-1].id
        storage.close()
        about = {"conversation": chat.id, "message": answer, "first": True, "version": 1,
                 "keep": "start", "title": "題", "question": "問い", "asked": "1"}  # fmt: skip
        for name, event in sorted(events.all.items(), key=lambda one: one[0] in LAST):
            for more in ASKED.get(name, [{}]):
                num_inputs = len(event["inputs"])
                inputs = [chat.id, "saved:型", *[None] * num_inputs][:num_inputs]
                if name in ("on_run", "on_inspect", "on_model"):
                    inputs = ["", *[None] * (num_inputs - 1)]
                told = events.call(name, {**about, **more}, *inputs)
                _is_harmless(told, name)
        _is_harmless(client.get("/activity"), "/activity")
    assert site.asked == [], "the server has fetched what a value named"
    cache = [path for path in (server.folder / "data" / "gradio").rglob("*") if path.is_file()]
    assert cache == [], "Gradio has copied a file to where it serves files from"


def _is_harmless(told: httpx.Response, name: str) -> None:
    assert "gradio_api/file" not in told.text, name
    assert "FileData" not in told.text, name
    assert "window.owned" not in told.text, name
    assert told.status_code in (200, 500), name


@pytest.mark.parametrize(
    "value",
    [STOLEN, UPDATE, {"url": "/gradio_api/file=x"}, [{"a": [STOLEN]}], {"meta": 1}, nest(60)],
)
def test_the_guard_lets_no_such_value_through(value: object) -> None:
    assert not is_plain(value)
    assert is_plain({"title": "path", "list": ["meta", 1, None, {"a": True}]})
