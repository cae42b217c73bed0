"""What everybody shares is changed by administrators only, whichever way it is asked for (F6).

Every user could unload models, set their options, convert any folder of the server, quantise,
download, cancel others' work, clear results, embed everything anew.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.api.servers import Server, serving
from tests.security.events import Events
from webui.application import AdminNeededError, Application
from webui.config import Settings
from webui.credentials import Credentials
from webui.errors import AppError
from webui.strings import text
from webui.ui.documents.documents_tab import ACTIONS as DOCUMENT_ACTIONS
from webui.ui.models.models_desk import allowed_folder
from webui.ui.models.models_tab import ACTIONS

PASSWORD = "correct horse"
CHANGES = sorted({*ACTIONS, "pause", "cancel", "inspect", "whatever is added"})
REFUSED = text("login.admin_needed")


@dataclass(frozen=True, slots=True)
class Shared:
    server: Server
    clients: dict[str, httpx.Client]
    events: dict[str, Events]


@pytest.fixture(scope="module")
def shared(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "data").mkdir()
    credentials = Credentials(folder / "data")
    for user in ("first", "second"):
        credentials.set_password(user, PASSWORD)
    credentials.set_password("made", PASSWORD, is_admin=True)
    with serving(folder, "--login", "on") as server:
        clients = {}
        for user in ("first", "second", "made"):
            clients[user] = httpx.Client(base_url=server.url, timeout=60)
            answer = clients[user].post("/login", json={"user": user, "password": PASSWORD})
            assert answer.status_code == 200
        yield Shared(server, clients, {user: Events(one) for user, one in clients.items()})
        for client in clients.values():
            client.close()


def asked(shared: Shared, user: str, event: str, data: dict[str, Any]) -> str:
    answer = shared.events[user].call(event, data)
    assert answer.status_code == 200, answer.text
    return json.dumps(answer.json()["data"], ensure_ascii=False)


@pytest.mark.parametrize("action", CHANGES)
def test_nobody_else_changes_models(shared: Shared, action: str) -> None:
    data = {"action": action, "model": "standin", "name": "x", "entry": "x", "folder": "/etc"}
    assert REFUSED in asked(shared, "second", "on_models", data)


@pytest.mark.parametrize("user", ["first", "made"])
def test_an_administrator_does(shared: Shared, user: str) -> None:
    for action in ("unload", "clear_results", "cancel_job", "load"):
        told = asked(shared, user, "on_models", {"action": action, "model": "standin"})
        assert REFUSED not in told
        assert '"may_change": true' in told


def test_everybody_sees_the_models_and_what_they_would_need(shared: Shared) -> None:
    told = asked(shared, "second", "on_models", {"action": "show", "first": True})
    assert '"may_change": false' in told and "standin" in told
    values = {"action": "preview", "model": "standin", "values": {"n_ctx": 512}}
    assert '"preview"' in asked(shared, "second", "on_models", values)


def test_only_an_administrator_embeds_everything_anew(shared: Shared) -> None:
    assert "reembed" in DOCUMENT_ACTIONS
    assert REFUSED in asked(shared, "second", "on_documents_1", {"action": "reembed"})
    assert REFUSED not in asked(shared, "first", "on_documents_1", {"action": "reembed"})
    assert '"may_reembed": false' in asked(shared, "second", "on_documents_1", {"action": "show"})


@pytest.mark.parametrize("folder", ["/etc", "/etc/ssl", "/nowhere", "~root", "~/x", "../x", "."])
def test_a_folder_of_the_server_is_neither_read_nor_told_of(shared: Shared, folder: str) -> None:
    """Whether a folder exists could be told from two different sentences."""
    told = asked(
        shared, "first", "on_models", {"action": "convert", "folder": folder, "kind": "F16"}
    )
    assert "convert_from" in told and "config.json" not in told


def test_where_the_page_may_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, models, outside = (tmp_path / name for name in ("home", "models", "outside"))
    for folder in (home / "model", models / "model", outside):
        folder.mkdir(parents=True)
    (home / "link").symlink_to(outside)
    (models / "loop").symlink_to(models / "loop")
    monkeypatch.setenv("HOME", str(home))
    alone = Settings(models_dir=models)
    among = Settings(models_dir=models, login="on")
    chosen = Settings(models_dir=models, convert_from=f"{outside}, {tmp_path / 'none'}")
    assert allowed_folder("~/model", alone) == home / "model"
    assert allowed_folder(str(models / "model"), among) == models / "model"
    assert allowed_folder(str(outside), chosen) == outside
    for named, settings in (
        ("~/link", alone),
        (str(home / "link" / "x"), alone),
        (str(models / ".." / "outside"), alone),
        (str(models) + "-other", alone),
        ("~/model", among),
        (str(models / "model"), chosen),
        ("~root/x", alone),
        ("", alone),
        ("model", alone),
        ("/\0", alone),
    ):
        with pytest.raises(AppError) as refused:
            allowed_folder(named, settings)
        assert refused.value.key == "convert.folder_not_allowed"


def test_whoever_is_alone_on_the_machine_administers(tmp_path: Path) -> None:
    for settings in (Settings(data_dir=tmp_path), Settings(data_dir=tmp_path, host="localhost")):
        Application.open(settings).check_admin("local")
    for settings in (
        Settings(data_dir=tmp_path, login="on"),
        Settings(data_dir=tmp_path, host="0.0.0.0"),
    ):
        with pytest.raises(AdminNeededError):
            Application.open(settings).check_admin("local")


def test_the_page_says_what_one_may_not_do(shared: Shared, browser: Browser) -> None:
    for user, is_allowed in (("second", False), ("first", True)):
        context = browser.new_context(locale="ja-JP")
        name, value = "kajogaki_session", shared.clients[user].cookies["kajogaki_session"]
        context.add_cookies([{"name": name, "value": value, "url": shared.server.url}])
        page = context.new_page()
        page.goto(f"{shared.server.url}/?view=models")
        card = page.locator('[data-model="standin"]')
        measure = card.get_by_role("button", name=text("models_page.measure"))
        note = page.get_by_text(text("models_page.admins_only"))
        if is_allowed:
            expect(measure).to_be_enabled()
            expect(note).to_have_count(0)
        else:
            expect(measure).to_be_disabled()
            expect(note).to_be_visible()
            expect(page.locator("#models button.button:not([data-free]):enabled")).to_have_count(0)
        context.close()
