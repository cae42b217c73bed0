"""What a hostile site, a hostile file name or another user's id gets from the running app.

Each test is a class of attack seen in this field; see the docstrings.
"""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.security.events import Events, page_config
from tests.site import OWNER, PROJECT_DIR, Site
from webui.storage import Role

STRANGER = "somebody-else"


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=30) as client:
        yield client


@pytest.fixture
def foreign(site: Site) -> Iterator[dict[str, str]]:
    """A conversation of another user: its id and its messages' ids."""
    storage = site.storage
    made = storage.create_conversation(STRANGER, system_prompt="foreign secret")
    storage.update_conversation(STRANGER, made.id, title="foreign secret")
    question = storage.add_message(STRANGER, made.id, Role.USER, "foreign secret", parent_id=None)
    yield {"conversation": made.id, "message": question.id}
    shown = storage.path(STRANGER, made.id)
    assert [message.content for message in shown] == ["foreign secret"]
    assert storage.conversation(STRANGER, made.id).title == "foreign secret"
    assert storage.conversation(STRANGER, made.id).system_prompt == "foreign secret"


# --- other sites ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/health", "/export/all.json", "/login", "/gradio_api/app_id"]
)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", ""]
)
def test_another_host_name_is_refused(client: httpx.Client, path: str, host: str) -> None:
    """DNS rebinding (Ollama CVE-2024-28224): the name in the request is not ours."""
    answer = client.get(path, headers={"host": host})
    assert answer.status_code == 421
    assert "foreign" not in answer.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
@pytest.mark.parametrize(
    "path", ["/import", "/gradio_api/run/predict", "/gradio_api/queue/join", "/gradio_api/upload"]
)
def test_another_origin_is_refused(client: httpx.Client, path: str, origin: str) -> None:
    """Cross-site requests to a local server, which needs no login to answer."""
    answer = client.post(path, json={}, headers={"origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_our_own_origin_is_not_refused(client: httpx.Client, site: Site) -> None:
    assert client.post("/import", json={}, headers={"origin": site.url}).status_code == 422


def test_a_cross_site_script_or_image_gets_nothing(client: httpx.Client) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert client.get("/export/all.json", headers=headers).status_code == 403
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded; charset=utf-8"])
def test_what_a_form_can_send_is_refused(client: httpx.Client, kind: str) -> None:
    answer = client.post("/import", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415


def test_no_other_site_is_ever_allowed_by_cors(client: httpx.Client, site: Site) -> None:
    answer = client.options(
        "/gradio_api/queue/join",
        headers={"origin": "https://evil.example", "access-control-request-method": "POST"},
    )
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_file_of_the_server_cannot_be_named_as_input(client: httpx.Client, site: Site) -> None:
    """Mounting switches Gradio's input check off: this very request copied /etc/passwd into the
    cache and returned its address (facts: `has_launched`). Any event would do; ours take none of
    these types, so every one of them is tried, and as the value of every input."""
    stolen = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    message = [{"role": "user", "content": [{"type": "file", "file": stolen}]}]
    events = Events(client)
    for name, event in events.all.items():
        for value in (stolen, message, [stolen]):
            answer = events.call(name, {"conversation": stolen}, *[value] * len(event["inputs"]))
            assert "root:" not in answer.text
            assert "/gradio_api/file=" not in answer.text
    cache = site.storage_folder / "gradio"
    assert not [path for path in cache.rglob("*") if path.name == "passwd"]


def test_the_check_that_mounting_switches_off_is_on() -> None:
    """The line itself, on a page with a file input, through Gradio's own code."""
    script = """
import pathlib, tempfile, types
from webui.config import Settings
from webui.ui.environment import prepare_gradio
prepare_gradio(pathlib.Path(tempfile.mkdtemp()) / "gradio")
import gradio as gr
from fastapi import FastAPI
from starlette.testclient import TestClient
import webui.ui.page as page
with gr.Blocks(analytics_enabled=False) as demo:
    chat = gr.Chatbot()
    gr.Button().click(lambda value: value, chat, chat, api_name="echo", queue=False)
page.build_page = lambda application: (demo, gr.I18n())
web = FastAPI()
page.mount_page(web, types.SimpleNamespace(settings=Settings()), 7860)
stolen = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
data = [[{"role": "user", "content": [{"type": "file", "file": stolen}]}]]
with TestClient(web) as client:
    body = {"data": data, "fn_index": 0, "session_hash": "z"}
    answer = client.post("/gradio_api/run/predict", json=body)
    print(answer.status_code, "passwd" in answer.text)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_DIR, capture_output=True, text=True
    )
    assert done.stdout.split() == ["500", "False"], done.stderr


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/hostname",
        "/gradio_api/file=app.py",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file=%2e%2e/%2e%2e/etc/passwd",
        "/gradio_api/file=/proc/self/environ",
        "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc/passwd",
        "/page/x/..%2f..%2fboot.py",
        "/page/x/../../../webui/config.py",
        "/page/x/boot.js",
        "/export/..%2f..%2fetc%2fpasswd.json",
        "/export/%00.json",
        "/export/all.py",
    ],
)
def test_no_path_leads_to_another_file(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 403, 404)
    assert "root:" not in answer.text
    assert "import " not in answer.text


def test_the_database_is_not_served(client: httpx.Client, site: Site) -> None:
    for name in ("kajogaki.db", "settings.toml"):
        answer = client.get(f"/gradio_api/file={site.storage_folder / name}")
        assert answer.status_code == 404


@pytest.mark.parametrize("prefix", ["/gradio_api/file=", "/gradio_api/proxy="])
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://evil.example/x", "HTTPS://e.x/"])
def test_the_server_fetches_no_address(client: httpx.Client, prefix: str, url: str) -> None:
    assert client.get(prefix + url).status_code in (400, 403, 404)


# --- other users ---------------------------------------------------------------------------------


def test_events_with_a_foreign_id_tell_and_change_nothing(
    client: httpx.Client, foreign: dict[str, str], site: Site
) -> None:
    """Every Gradio event is a public endpoint (Open WebUI CVE-2026-45671 and its family)."""
    events = Events(client)
    panel = ["changed", 0.7, 0.95, 40, 0.05, 1, 64, None]
    stolen = {**foreign, "title": "changed", "version": 1, "model": "standin", "text": "changed"}
    answers = [
        events.call(name, stolen)
        for name in (
            "on_open", "on_stop", "on_search", "on_rename", "on_remove", "on_restore",
            "on_version", "on_undo", "on_delete_message", "on_model",
        )
    ]  # fmt: skip
    for action in ("send", "edit", "retry"):
        answers.append(events.call("on_run", {**stolen, "action": action}, *panel))
    answers.append(events.call("on_settings", None, foreign["conversation"], *panel))
    answers.append(
        events.call("on_choose_preset", None, foreign["conversation"], "builtin:precise")
    )
    for answer in answers:
        assert "foreign secret" not in answer.text
    assert client.get(f"/export/{foreign['conversation']}.json").status_code == 404
    assert "foreign secret" not in client.get("/export/all.json").text
    assert "foreign secret" not in client.get("/", params={"chat": foreign["conversation"]}).text


def test_a_foreign_and_an_unknown_id_answer_alike(
    client: httpx.Client, foreign: dict[str, str]
) -> None:
    known = client.get(f"/export/{foreign['conversation']}.json")
    unknown = client.get("/export/0123456789abcdef.json")
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)


def test_an_event_without_outputs_tells_what_went_wrong(client: httpx.Client) -> None:
    """Its only output was given as a list of one, and the page was told nothing to show."""
    events = Events(client)
    gone = events.call("on_documents", {"conversation": "gone"}).json()["data"][0]
    assert "見つかりません" in gone["sentence"]
    done = events.call("on_stop", {"conversation": "gone"}).json()["data"][0]
    assert done["__type__"] == "update" and "value" not in done


HOSTILE: list[Any] = [
    None,
    1,
    [],
    "x",
    {"conversation": 1},
    {"conversation": {"a": 1}, "message": []},
    {"conversation": "\x00", "message": "\ud800", "text": "\ud800\x00"},
    {"version": 10**30, "size": -(10**30), "turns": "x", "query": ["%"]},
]


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, marks=() if number in (4, 6) else pytest.mark.thorough)
        for number in range(len(HOSTILE))
    ],
)
def test_nonsense_is_refused_and_the_page_stays(client: httpx.Client, number: int) -> None:
    events = Events(client)
    for name, event in events.all.items():
        body = {
            "data": [HOSTILE[number]] * len(event["inputs"]),
            "fn_index": event["id"],
            "session_hash": f"nonsense-{number}",
            "event_data": HOSTILE[number],
        }
        content = json.dumps(body).encode()
        path = "/gradio_api/queue/join" if event["queue"] else "/gradio_api/run/predict"
        answer = client.post(path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 400, 422, 500), name
        assert "Traceback" not in answer.text
    assert client.get("/health").status_code == 200


def test_generators_cannot_be_left_hanging(client: httpx.Client, site: Site) -> None:
    """A direct call would run an answer up to its first word and then hold its place for ever."""
    event = Events(client).all["on_run"]
    body = {
        "data": ["", 0.7, 0.95, 40, 0.05, 1, 64, None],
        "fn_index": event["id"],
        "session_hash": "direct",
        "event_data": {"action": "send", "text": "hello"},
    }
    assert client.post("/gradio_api/run/predict", json=body).status_code in (401, 403, 404)


# --- the page and its limits ---------------------------------------------------------------------


def test_the_page_may_load_only_from_itself(client: httpx.Client) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    for part in ("default-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'",
                 "frame-ancestors 'none'", "object-src 'none'", "form-action 'self'"):  # fmt: skip
        assert part in policy
    assert "*" not in policy


@pytest.mark.parametrize("path", ["/", "/health", "/theme.css", "/nowhere", "/export/all.json"])
def test_every_response_carries_the_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


def test_a_body_without_end_is_refused(client: httpx.Client, site: Site) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    head = f"POST /import HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: {1 << 40}\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 413"
    megabyte = b" " * (1 << 20)
    with contextlib.suppress(httpx.TransportError):  # it may hang up before all is sent
        answer = client.post(
            "/import",
            content=(megabyte for _ in range(70)),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code in (400, 413)
    assert client.get("/health").status_code == 200


def test_gradio_shows_no_documentation_of_the_events(client: httpx.Client) -> None:
    shown = client.get("/").text.partition("window.gradio_api_info = ")[2]
    assert '"named_endpoints":{}' in shown.partition("</script>")[0].replace(" ", "")
    for path in ("/docs", "/redoc", "/openapi.json", "/gradio_api/info", "/config"):
        assert client.get(path).status_code == 404


def test_there_is_no_stream_that_never_ends(client: httpx.Client) -> None:
    """gr.State or demo.unload would open one per tab, and the sixth tab would hang."""
    assert page_config(client)["connect_heartbeat"] is False


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff\xfe", b'"' + b"\\ud800" + b'"', b"[" * 100_000, b"1e999",
     b'{"kajogaki": 1, "conversations": [{"title": 1}]}'],
)  # fmt: skip
def test_a_bad_import_is_one_sentence(client: httpx.Client, site: Site, body: bytes) -> None:
    before = len(site.storage.conversations(OWNER))
    answer = client.post("/import", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert len(site.storage.conversations(OWNER)) == before
