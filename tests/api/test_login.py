"""One login for page and API on an address that others can reach."""

import asyncio
import json
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.api.servers import PROJECT_DIR, Server, serving
from webui.storage import ChunkRow, Storage

PASSWORD = "correct horse"
CHAT = {"messages": [{"role": "user", "content": "はい"}], "max_tokens": 1}


@dataclass(frozen=True, slots=True)
class Guarded:
    server: Server
    keys: dict[str, str]  # by user


def app(*arguments: str, data_dir: Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "app.py", *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(command, cwd=PROJECT_DIR, input=typed, capture_output=True, text=True)


@pytest.fixture(scope="module")
def guarded(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    refused = app("serve", "--host", "0.0.0.0", "--no-browser", data_dir=folder / "data")
    assert refused.returncode == 2 and "keys create" in refused.stderr
    assert refused.stderr.count("\n") == 1
    keys = {}
    for user in ("taro", "hanako"):
        made = app("keys", "create", user, "--json", data_dir=folder / "data")
        keys[user] = json.loads(made.stdout)["key"]
        app("keys", "create", user, "--password", data_dir=folder / "data", typed=PASSWORD + "\n")
    with serving(folder, host="0.0.0.0") as server:
        yield Guarded(server, keys)


@pytest.fixture
def http(guarded: Guarded) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=guarded.server.url, timeout=60) as client:
        yield client


def log_in(client: httpx.Client, user: str = "taro", password: str = PASSWORD) -> httpx.Response:
    return client.post("/login", json={"user": user, "password": password})


@pytest.mark.parametrize(
    "path",
    ["/config", "/info", "/gradio_api/info", "/gradio_api/heartbeat/x", "/gradio_api/app_id",
     "/export/all.json", "/theme.css", "/static/x", "/metrics", "/v1/models", "/v1/openapi.json",
     "/gradio_api/queue/data?session_hash=x", "/manifest.json", "/v1", "//v1/models"],
)  # fmt: skip
def test_nothing_answers_without_a_login(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 401, path


def test_the_page_leads_to_the_login(http: httpx.Client) -> None:
    answer = http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    login = http.get("/login")
    assert login.status_code == 200 and "ログイン" in login.text
    assert "config" not in login.text and http.get("/health").status_code == 200


def test_a_password_opens_the_page_and_the_cookie_is_kept_from_scripts(
    http: httpx.Client,
) -> None:
    answer = log_in(http)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert "gradio-app" in http.get("/").text
    assert http.get("/gradio_api/app_id").status_code == 200
    assert http.get("/v1/models").status_code == 200
    http.post("/logout", json={})
    assert http.get("/").status_code == 303


def test_logging_out_ends_the_session_for_a_copied_cookie_too(
    guarded: Guarded, http: httpx.Client
) -> None:
    """F10: the cookie worked for thirty days after the logout."""
    log_in(http)
    copied = {"cookie": f"kajogaki_session={http.cookies['kajogaki_session']}"}
    url = guarded.server.url + "/export/all.json"
    assert httpx.get(url, headers=copied).status_code == 200
    assert http.post("/logout", json={}).status_code == 200
    assert httpx.get(url, headers=copied).status_code == 401


@pytest.mark.parametrize(
    "claim",
    [b"[" * 20_000, b'{"a":' * 5_000, b"[" * 20_000 + b"]" * 20_000, b"1" * 30_000, b"\xff"],
)
def test_a_nested_cookie_is_401(guarded: Guarded, claim: bytes) -> None:
    """F14: it was a RecursionError, so 500 and a traceback for each request without a login."""
    for cookie in (urlsafe_b64encode(claim).decode() + ".x", "." * 30_000):
        headers = {"cookie": f"kajogaki_session={cookie}"}
        answer = httpx.get(guarded.server.url + "/export/all.json", headers=headers)
        assert answer.status_code == 401
    log = (guarded.server.folder / "stderr.log").read_text(encoding="utf-8")
    assert "Traceback" not in log


def test_a_wrong_password_is_401_and_too_many_are_429(guarded: Guarded) -> None:
    """From an address of its own: others must still get in."""
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=guarded.server.url, transport=transport) as client:
        statuses = [log_in(client, password="wrong").status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        blocked = log_in(client)
        assert blocked.status_code == 429 and int(blocked.headers["retry-after"]) > 0
    with httpx.Client(base_url=guarded.server.url) as client:
        assert log_in(client).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"user":1}', b"[" * 100_000, b"\xff"])
def test_a_login_that_is_none(http: httpx.Client, body: bytes) -> None:
    kind = {"content-type": "application/json"}
    assert http.post("/login", content=body, headers=kind).status_code == 400


def test_api_keys_open_v1_and_metrics_only(guarded: Guarded, http: httpx.Client) -> None:
    client = guarded.server.client(guarded.keys["taro"])
    assert [model.id for model in client.models.list()] == ["kajogaki", "standin"]
    bearer = {"Authorization": f"Bearer {guarded.keys['taro']}"}
    assert http.get("/metrics", headers=bearer).status_code == 200
    assert http.get("/gradio_api/app_id", headers=bearer).status_code == 401
    assert http.get("/export/all.json", headers=bearer).status_code == 401


def test_a_wrong_key_is_401_in_openais_shape(guarded: Guarded) -> None:
    for key in ("none", "kjg-" + "x" * 43, "ü"):
        with httpx.Client(base_url=guarded.server.url) as client:
            bearer = {b"Authorization": f"Bearer {key}".encode()}
            answer = client.post("/v1/chat/completions", json=CHAT, headers=bearer)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
    with pytest.raises(openai.AuthenticationError):
        guarded.server.client("kjg-wrong").models.list()


@pytest.mark.thorough
def test_a_revoked_key_is_refused_at_once(guarded: Guarded) -> None:
    data_dir = guarded.server.folder / "data"
    made: dict[str, Any] = json.loads(
        app("keys", "create", "jiro", "--json", data_dir=data_dir).stdout
    )
    client = guarded.server.client(made["key"])
    assert list(client.models.list())
    listed = json.loads(app("keys", "list", "--json", data_dir=data_dir).stdout)
    assert made["id"] in [key["id"] for key in listed["keys"]]
    assert made["key"] not in json.dumps(listed)
    assert app("keys", "revoke", made["id"], data_dir=data_dir).returncode == 0
    with pytest.raises(openai.AuthenticationError):
        client.models.list()
    assert app("keys", "revoke", made["id"], data_dir=data_dir).returncode == 2


def test_chats_belong_to_who_has_logged_in(guarded: Guarded) -> None:
    with httpx.Client(base_url=guarded.server.url) as taro:
        log_in(taro)
        chat = {"title": "太郎の会話", "title_is_auto": False, "system_prompt": "", "sampling": {}}
        exported = taro.get("/export/all.json").json()
        exported["conversations"] = [
            {
                **chat,
                "model_id": "",
                "created_at": 1.0,
                "updated_at": 1.0,
                "messages": [],
                "leaf": None,
            }
        ]
        imported = taro.post("/import", json=exported)
        assert imported.status_code == 200, imported.text
        (identifier,) = imported.json()["conversations"]
        assert "太郎" in taro.get(f"/export/{identifier}.md").text
    with httpx.Client(base_url=guarded.server.url) as hanako:
        log_in(hanako, "hanako")
        assert hanako.get(f"/export/{identifier}.md").status_code == 404
        assert hanako.get("/export/all.json").json()["conversations"] == []


def test_documents_answer_only_who_they_belong_to(guarded: Guarded) -> None:
    storage = Storage(guarded.server.folder / "data" / "kajogaki.db")
    documents = storage.documents
    where = documents.create_collection("taro", "私物").id
    texts = "年次有給休暇は、入社六か月後に十日を与える。"
    document, _ = documents.add_document("taro", where, "規程.txt", sha256="a", num_bytes=1)
    chunk = ChunkRow(1, 0, 1, len(texts), "", texts)
    documents.save_content("taro", document.id, kind="txt", pages=[], chunks=[chunk])
    storage.close()
    body = {"question": "年次有給休暇は何日ですか", "max_tokens": 1}
    for user, choice, status in (
        ("taro", {}, 200),
        ("hanako", {}, 400),
        ("hanako", {"documents": [document.id]}, 400),
        ("hanako", {"collections": [where]}, 400),
    ):
        key = {"authorization": f"Bearer {guarded.keys[user]}"}
        url = f"{guarded.server.url}/v1/answers"
        answer = httpx.post(url, json={**body, **choice}, headers=key, timeout=60)
        assert answer.status_code == status, answer.text
        assert (texts in answer.text) is (status == 200)


def test_who_waits_sees_own_and_others_requests_apart(guarded: Guarded) -> None:
    """Taro fills the places with his key; of that Hanako sees on the page only that he waits."""

    async def test() -> None:
        bearer = {"Authorization": f"Bearer {guarded.keys['taro']}"}
        body = {**CHAT, "max_tokens": 900, "ignore_eos": True, "temperature": 0}
        async with httpx.AsyncClient(base_url=guarded.server.url, timeout=60) as client:
            asked = [
                asyncio.create_task(client.post("/v1/chat/completions", json=body, headers=bearer))
                for _ in range(10)
            ]
            async with httpx.AsyncClient(base_url=guarded.server.url) as page:
                await page.post("/login", json={"user": "hanako", "password": PASSWORD})
                view: dict[str, Any] = {"queue": []}
                while not view["queue"]:
                    view = (await page.get("/activity")).json()
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        assert view["user"] == "hanako"
        assert not any(waiter["is_mine"] for waiter in view["queue"])
        assert "taro" not in json.dumps(view)
        assert view["models"][0]["state"] in ("loading", "ready")

    asyncio.run(test())


def test_other_names_and_sites_are_refused_before_any_login(http: httpx.Client) -> None:
    assert http.get("/login", headers={"host": "evil.example"}).status_code == 421
    crossed = http.post("/login", json={}, headers={"origin": "https://evil.example"})
    assert crossed.status_code == 403


def test_a_job_and_what_it_made_are_its_owner_s_alone(http: httpx.Client, guarded: Guarded) -> None:
    log_in(http)
    wish = {"text": "一つ目の文である。二つ目の文である。", "options": {"mode": "verbatim"}}
    job = http.post("/summaries/jobs", json=wish).json()["job"]
    with httpx.Client(base_url=guarded.server.url, timeout=60) as other:
        for path in (f"/jobs/{job}/events", "/jobs", "/summaries"):
            assert other.get(path).status_code == 401  # nobody yet
        log_in(other, "hanako")
        assert other.get(f"/jobs/{job}/events").status_code == 404
        assert other.post(f"/jobs/{job}/cancel").status_code == 404
        assert other.post(f"/summaries/jobs/{job}/confirm").status_code == 404
        assert other.get("/jobs").json() == {"jobs": []}
        assert other.get("/summaries").json()["job"] == ""
        events = http.get(f"/jobs/{job}/events").text.strip().splitlines()
        (made,) = json.loads(events[-1].removeprefix("data: "))["details"]["finished"]
        assert http.get(f"/summaries/{made}").status_code == 200
        for method, path in (
            ("GET", f"/summaries/{made}"),
            ("GET", f"/summaries/{made}.json"),
            ("DELETE", f"/summaries/{made}"),
            ("POST", f"/summaries/{made}/restore"),
            ("POST", f"/summaries/{made}/bullets/restore"),
        ):
            assert other.request(method, path).status_code == 404
        body = {"was": "一つ目の文である。", "text": "書き換えた。"}
        assert other.put(f"/summaries/{made}/bullets/0", json=body).status_code == 404
        assert other.post("/summaries/jobs", json={"again": made}).status_code == 404
        assert other.post("/summaries/jobs", json={"resume": made}).status_code == 404
