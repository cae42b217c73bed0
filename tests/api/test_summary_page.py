"""The 要約 view's routes: jobs that go on by themselves, streams to join, bad requests."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.servers import serving
from tests.tasks.summary_world import document
from webui.storage import Status, Storage

Object = dict[str, Any]
QUOTES = {"mode": "verbatim", "num_bullets": 2}
ENDED = ("done", "stopped", "failed")


def start(http: httpx.Client, text: str = "", **body: Any) -> str:
    answer = http.post("/summaries/jobs", json={"text": text, "options": QUOTES, **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job"])


@contextmanager
def news_of(http: httpx.Client, job: str) -> Iterator[Iterator[Object]]:
    """What a listener hears."""
    with http.stream("GET", f"/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        yield (json.loads(line[6:]) for line in lines if line.startswith("data: "))


def end_of(http: httpx.Client, job: str) -> Object:
    """The last news; a job that asks is told to begin."""
    with news_of(http, job) as heard:
        last: Object = {}
        for last in heard:
            if last["details"]["state"] == "asking":
                http.post(f"/summaries/jobs/{job}/confirm")
    assert last["state"] in ENDED
    return last


def made(http: httpx.Client, num_paragraphs: int = 3) -> Object:
    """A finished summary as the page gets it."""
    last = end_of(http, start(http, document(num_paragraphs)))
    assert last["state"] == "done", last
    found = http.get(f"/summaries/{last['details']['finished'][0]}")
    assert found.status_code == 200
    return dict(found.json())


def test_a_job_goes_on_without_listeners_and_tells_all_who_come(http: httpx.Client) -> None:
    job = start(http, document(20), options={"num_bullets": 5, "granularity": "terse"})
    with news_of(http, job) as first, news_of(http, job) as second:
        assert next(first)["state"] == next(second)["state"] == "running"
    assert http.get("/summaries").json()["job"] == job  # both have gone; it has not
    assert [one["id"] for one in http.get("/jobs").json()["jobs"]] == [job]
    last = end_of(http, job)
    assert last["state"] == "done"
    shown = http.get(f"/summaries/{last['details']['finished'][0]}").json()
    assert len(shown["bullets"]) == 5
    assert end_of(http, job)["state"] == "done"  # who comes after the end learns it


def test_one_at_a_time_and_stop(http: httpx.Client) -> None:
    job = start(http, document(40), options={"num_bullets": 5})
    second = http.post("/summaries/jobs", json={"text": "ほかの文章である。", "options": QUOTES})
    assert second.status_code == 409 and "終わってから" in second.json()["error"]
    assert http.post(f"/jobs/{job}/cancel").status_code == 200
    assert end_of(http, job)["state"] == "stopped"
    assert made(http)["bullets"]


def test_bullets_are_changed_only_as_they_were_seen(http: httpx.Client) -> None:
    shown = made(http)
    address = f"/summaries/{shown['id']}/bullets"
    was = shown["bullets"][0]["text"]
    changed = http.put(f"{address}/0", json={"was": was, "text": "・別の\n言葉で書く。"})
    assert changed.json()["bullets"][0]["text"] == "別の 言葉で書く。"
    assert changed.json()["bullets"][0]["is_edited"]
    for method, index, body in (
        ("PUT", 0, {"was": was, "text": "ほかの画面から。"}),
        ("PUT", 1, {"was": shown["bullets"][1]["text"], "text": "  "}),
        ("PUT", 99, {"was": was, "text": "ない項目。"}),
        ("PUT", -1, {"was": shown["bullets"][-1]["text"], "text": "ない項目。"}),
        ("DELETE", 0, {"was": was}),
    ):
        refused = http.request(method, f"{address}/{index}", json=body)
        assert refused.status_code == 422 and refused.json()["error"]
    only = http.request("DELETE", f"{address}/0", json={"was": "別の 言葉で書く。"}).json()
    assert len(only["bullets"]) == len(shown["bullets"]) - 1
    last = http.request("DELETE", f"{address}/0", json={"was": only["bullets"][0]["text"]})
    assert last.status_code == 422  # a summary without bullets is none
    back = http.post(f"{address}/restore").json()
    assert back["bullets"][0]["text"] == "別の 言葉で書く。"
    assert http.post(f"{address}/restore").status_code == 422


def test_once_more_and_deleted_and_brought_back(http: httpx.Client) -> None:
    shown = made(http)
    last = end_of(http, start(http, again=shown["id"], options={**QUOTES, "num_bullets": 1}))
    again = http.get(f"/summaries/{last['details']['finished'][0]}").json()
    assert again["text"] == shown["text"] and len(again["bullets"]) == 1
    assert http.delete(f"/summaries/{again['id']}").status_code == 200
    assert http.get(f"/summaries/{again['id']}").status_code == 404
    assert http.post(f"/summaries/{again['id']}/restore").status_code == 200
    assert http.get(f"/summaries/{again['id']}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/unknown/events"),
        ("POST", "/jobs/unknown/cancel"),
        ("POST", "/summaries/jobs/unknown/confirm"),
        ("GET", "/summaries/unknown"),
        ("GET", "/summaries/..%2Fkajogaki.db"),
        ("GET", "/summaries/unknown.md"),
        ("GET", "/summaries/unknown.exe"),
        ("DELETE", "/summaries/unknown"),
        ("POST", "/summaries/unknown/restore"),
        ("POST", "/summaries/unknown/bullets/restore"),
        ("DELETE", "/summaries/files/unknown"),
    ],
)
def test_what_is_not_there_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    assert http.request(method, path).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"text": 3}',
        b'{"text": "a", "other": 1}',
        b'{"text": "a", "options": {"num_bullets": "3"}}',
        b'{"text": "a", "options": {"num_bullets": 21}}',
        b'{"text": "a", "options": {"mode": "sing"}}',
        b'{"text": "a", "model": "no such model"}',
        b'{"text": " \\n"}',
        b'{"again": "unknown"}',
        b'{"text": ' + b"[" * 100_000 + b"}",
        b'{"text": "\\ud800"}',
    ],
)
def test_a_bad_request_is_one_sentence(http: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = http.post("/summaries/jobs", content=body, headers=headers)
    if answer.status_code == 202:  # a text of nothing readable: the job says so
        assert end_of(http, answer.json()["job"])["error"]
        return
    assert answer.status_code in (400, 404, 422), answer.text
    told = answer.json()
    assert told.get("error") or told.get("detail")


@pytest.mark.thorough
def test_a_killed_server_tells_the_truth_at_its_next_start(standin: Path, tmp_path: Path) -> None:
    """What was done is kept; what was going on is neither running nor complete."""
    text = document(60)
    with serving(tmp_path, may_end=True) as server, httpx.Client(base_url=server.url) as http:
        job = start(http, text, options={"num_bullets": 5, "granularity": "terse"})
        with news_of(http, job) as heard:
            for news in heard:
                if news["details"]["state"] == "asking":
                    http.post(f"/summaries/jobs/{job}/confirm")
                if news["details"]["done"] >= 1:
                    break
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    with serving(tmp_path) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        assert http.get(f"/jobs/{job}/events").status_code == 404
        assert http.get("/jobs").json() == {"jobs": []}
        table = http.get("/summaries").json()
        (past,) = table["history"]
        assert not table["job"] and not past["is_complete"] and past["done"] >= 1
        storage = Storage(tmp_path / "data" / "kajogaki.db")
        assert storage.summaries.get("local", past["id"]).status is Status.PARTIAL
        storage.close()
        assert http.get(f"/summaries/{past['id']}").status_code == 422  # not finished
        job = start(http, resume=past["id"], options={})
        assert end_of(http, job)["details"]["finished"] == [past["id"]]


@pytest.mark.thorough
def test_the_server_ends_at_once_with_listeners_and_keeps_what_is_done(
    standin: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, may_end=True) as server, httpx.Client(base_url=server.url) as http:
        job = start(http, document(60), options={"num_bullets": 5})
        with news_of(http, job) as heard:
            next(heard)
            began = time.monotonic()
            server.process.terminate()
            for _ in heard:
                pass
            server.process.wait(20)
            assert time.monotonic() - began < 9  # uvicorn would wait ten seconds for a stream
    storage = Storage(tmp_path / "data" / "kajogaki.db")
    assert all(one.status is not Status.WRITING for one in storage.summaries.newest("local"))
    storage.close()
