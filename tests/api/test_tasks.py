"""POST /v1/answers and /v1/summaries as programs use them, on a real server with real documents."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.servers import Server
from tests.documents.makepdf import pdf, set_lines
from webui.documents.library import Library
from webui.storage import Storage

ANSWERS, SUMMARIES = "/v1/answers", "/v1/summaries"
LEAVE = "年次有給休暇は、入社六か月後に十日を与える。"
TRAVEL = "旅費は、出張の後五日以内に実費を支給する。"
TEXTS = [
    {"name": "規程.txt", "text": f"{LEAVE}\n旅費は、実費を支給する。"},
    {"name": "メモ.md", "text": "# 会議\n会議は毎週月曜日に開く。"},
]
QUESTION = "年次有給休暇は何日もらえますか"


def about_texts(**fields: Any) -> dict[str, Any]:
    return {"question": QUESTION, "documents": TEXTS, "max_tokens": 4, **fields}


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def refused(answer: httpx.Response, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error = dict(answer.json()["error"])
    assert error["message"] and set(error) == {"message", "type", "param", "code"}
    return error


def test_texts_are_answered_from_with_their_passages(http: httpx.Client) -> None:
    answer = http.post(ANSWERS, json=about_texts()).json()
    assert answer["object"] == "answer" and answer["model"] and not answer["abstained"]
    first = answer["passages"][0]
    assert (first["file"], first["page"]) == ("規程.txt", None) and LEAVE in first["text"]
    assert answer["truncated"] is True and answer["finish_reason"] == "length"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 50
    assert answer["timings"]["search_s"] >= 0 and isinstance(answer["citations"], list)


def test_a_stream_ends_with_the_whole_answer(http: httpx.Client) -> None:
    *chunks, whole = events_of(http.post(ANSWERS, json=about_texts(stream=True, seed=1)))
    assert whole["object"] == "answer" and {c["object"] for c in chunks} == {"answer.chunk"}
    assert len({event["id"] for event in (*chunks, whole)}) == 1
    written = "".join(chunk.get("delta", {}).get("content", "") for chunk in chunks)
    assert whole["answer"].startswith(written) and written
    assert chunks[0]["num_passages"] == len(whole["passages"])


def test_what_is_not_in_the_texts_is_said_in_the_callers_language(http: httpx.Client) -> None:
    body = about_texts(question="量子コンピューターの誤り訂正とは")
    answer = http.post(ANSWERS, json=body, headers={"accept-language": "ja"}).json()
    assert (answer["abstained"], answer["reason"]) == (True, "nothing_relevant")
    assert answer["answer"] == "資料には見当たりません。" and answer["usage"]["total_tokens"] == 0
    english = http.post(ANSWERS, json={**body, "language": "en"}).json()
    assert english["answer"] == "The documents do not say."
    (whole,) = events_of(http.post(ANSWERS, json={**body, "stream": True}))[-1:]
    assert whole["abstained"]


def test_a_follow_up_uses_the_history(http: httpx.Client) -> None:
    turns = [{"question": QUESTION, "answer": "十日です[1]。"}]
    answer = http.post(ANSWERS, json=about_texts(question="それはいつですか", history=turns)).json()
    assert answer["question"] == f"{QUESTION} それはいつですか" and not answer["abstained"]


def test_documents_of_the_caller_by_collection_and_by_id(
    server: Server, http: httpx.Client, tmp_path: Path
) -> None:
    assert refused(http.post(ANSWERS, json={"question": QUESTION}))["message"]
    path = tmp_path / "規程.pdf"
    path.write_bytes(pdf([set_lines(["前文である。"]), set_lines([LEAVE])]))
    storage = Storage(server.folder / "data" / "kajogaki.db")
    library = Library(storage.documents, server.folder / "data" / "documents")
    try:
        where = storage.documents.create_collection("local", "規程集").id
        document, _ = library.add("local", where, path.name, path)
        deadline = time.monotonic() + 60
        while storage.documents.document("local", document.id).status != "ready":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for chosen in ({}, {"documents": [document.id]}, {"collections": [where]}):
            body = {"question": QUESTION, "max_tokens": 2, **chosen}
            answer = http.post(ANSWERS, json=body).json()
            first = answer["passages"][0]
            assert (first["file"], first["page"]) == ("規程.pdf", 2)
            assert first["document"] == document.id
        gone = {"question": QUESTION, "documents": ["nobody's"]}
        assert "gone" in refused(http.post(ANSWERS, json=gone))["message"]
        library.remove("local", document.id)
    finally:
        library.close()
        storage.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"question": ""},
        {"question": " \n"},
        {"question": "x" * 20_001},
        {"documents": []},
        {"documents": [{"name": "a"}]},
        {"documents": [{"name": "", "text": "x"}]},
        {"documents": [{"name": "a", "text": "x", "more": 1}]},
        {"documents": [{"name": "a", "text": " \n"}]},
        {"documents": TEXTS * 40},
        {"documents": [{"name": "a", "text": "x y " * 225_000}] * 3},
        {"documents": TEXTS, "collections": ["x"]},
        {"documents": ["x", TEXTS[0]]},
        {"collections": []},
        {"history": [{"question": ""}]},
        {"history": [{"question": "x"}] * 51},
        {"language": "fr"},
        {"max_tokens": 0},
        {"temperature": 3},
        {"top_p": -1},
        {"seed": 1 << 70},
        {"grammar": "root ::= x"},
        {"question": "\ud800"},
    ],
    ids=lambda fields: f"{next(iter(fields))}",
)
def test_bad_questions_are_refused_clearly(http: httpx.Client, fields: Any) -> None:
    body = json.dumps(about_texts(**fields))
    answer = http.post(ANSWERS, content=body, headers={"content-type": "application/json"})
    refused(answer)


def test_an_unknown_model_is_404_for_both(http: httpx.Client) -> None:
    refused(http.post(ANSWERS, json=about_texts(model="nope")), 404)
    refused(http.post(SUMMARIES, json={"text": LEAVE, "model": "nope"}), 404)


def test_a_text_becomes_bullets_with_citations(http: httpx.Client) -> None:
    text = f"{LEAVE}旅費は、実費を支給する。会議は毎週月曜日に開く。"
    body = {"text": text, "bullets": 2, "mode": "verbatim"}
    summary = http.post(SUMMARIES, json=body).json()
    assert summary["object"] == "summary" and len(summary["bullets"]) == 2
    assert summary["truncated"] is False and summary["language_ok"]
    for citation in summary["citations"]:
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        assert citation["quote"] == summary["bullets"][citation["bullet"]]["text"]
    assert summary["usage"]["total_tokens"] > 0 and summary["timings"]["total_s"] > 0


def test_a_conversation_is_summarised_and_streamed(http: httpx.Client, server: Server) -> None:
    messages = [
        {"role": "user", "content": "年次有給休暇は何日ですか。入社したのは四月です。"},
        {"role": "assistant", "content": [{"type": "text", "text": f"{LEAVE}{TRAVEL}"}]},
    ]
    body = {"messages": messages, "bullets": 2, "granularity": "terse", "stream": True}
    *chunks, whole = events_of(http.post(SUMMARIES, json=body))
    assert len(whole["bullets"]) == 2 and whole["id"] == chunks[0]["id"]
    assert chunks[-1]["progress"]["num_calls"] >= 1
    storage = Storage(server.folder / "data" / "kajogaki.db")
    assert storage.summaries.newest("local") == []  # nothing of it is kept
    storage.close()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": ""},
        {"text": "！？"},
        {"text": LEAVE, "messages": [{"role": "user", "content": "x"}]},
        {"messages": []},
        {"messages": [{"role": "nobody", "content": "x"}]},
        {"text": LEAVE, "bullets": 0},
        {"text": LEAVE, "bullets": 21},
        {"text": LEAVE, "bullets": True},
        {"text": LEAVE, "mode": "poem"},
        {"text": LEAVE, "language": "fr"},
        {"text": LEAVE, "unknown": 1},
        {"text": 5},
    ],
    ids=str,
)
def test_bad_summaries_are_refused_clearly(http: httpx.Client, fields: Any) -> None:
    refused(http.post(SUMMARIES, json=fields))


def test_a_client_that_goes_away_stops_the_work(http: httpx.Client) -> None:
    body = about_texts(stream=True, max_tokens=1500)
    for _ in range(3):
        with http.stream("POST", ANSWERS, json=body) as answer:
            next(answer.iter_lines())
    deadline = time.monotonic() + 10
    while num_running(http):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def num_running(http: httpx.Client) -> int:
    lines = http.get("/metrics").text.splitlines()
    samples = [line for line in lines if line.startswith("kajogaki_requests_running{")]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in samples)
