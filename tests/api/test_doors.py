"""The other doors of /v1: responses, rerank, tokenize; names, ids, origins, many at once."""

import concurrent.futures
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.servers import Server, serving
from tests.api.test_bad_input import CHAT, chat, refused
from tests.api.test_tools import WEATHER, is_weather

FLAT = {"type": "function", **WEATHER["function"]}


# --- /responses ----------------------------------------------------------------------------------


def test_a_response_is_continued_by_its_id_until_it_is_forgotten(server: Server) -> None:
    client = server.client()
    asked: Any = {"model": "standin", "max_output_tokens": 8}
    first = client.responses.create(input="はい", instructions="短く。", **asked)
    assert first.output_text and first.usage and first.status in ("completed", "incomplete")
    second = client.responses.create(input="次は？", previous_response_id=first.id, **asked)
    assert second.usage and second.usage.input_tokens > first.usage.input_tokens
    assert client.responses.retrieve(first.id).output_text == first.output_text
    client.responses.delete(first.id)
    gone = httpx.post(
        f"{server.url}/v1/responses", json={"input": "x", "previous_response_id": first.id}
    )
    assert refused(gone)["param"] == "previous_response_id"
    unkept = client.responses.create(input="はい", store=False, **asked)
    refused(httpx.get(f"{server.url}/v1/responses/{unkept.id}"))


def test_a_stream_of_events_tells_the_same_response(server: Server) -> None:
    client = server.client()
    kinds, text, last = [], "", None
    for event in client.responses.create(
        model="standin", input="はい", stream=True, max_output_tokens=12
    ):
        kinds.append(event.type)
        assert event.sequence_number == len(kinds) - 1
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type in ("response.completed", "response.incomplete"):
            last = event.response
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                         "response.content_part.added"]  # fmt: skip
    assert kinds[-4:-1] == ["response.output_text.done", "response.content_part.done",
                            "response.output_item.done"]  # fmt: skip
    assert last and last.output_text == text


@pytest.mark.parametrize("stream", [False, True])
def test_responses_call_tools_and_take_their_results(server: Server, stream: bool) -> None:
    client = server.client()
    asked: Any = {"model": "standin", "tools": [FLAT], "tool_choice": "required",
                  "parallel_tool_calls": False, "max_output_tokens": 120}  # fmt: skip
    if stream:
        with client.responses.stream(input="天気は？", **asked) as events:
            response = events.get_final_response()
    else:
        response = client.responses.create(input="天気は？", **asked)
    (call,) = [item for item in response.output if item.type == "function_call"]
    assert call.name == "get_weather" and is_weather(call.arguments)
    history: Any = [
        {"role": "user", "content": "天気は？"},
        call.model_dump(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "晴れ"},
    ]
    answer = client.responses.create(model="standin", input=history, max_output_tokens=4)
    assert answer.output_text


def test_a_responses_text_obeys_its_format(server: Server) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"],
              "additionalProperties": False}  # fmt: skip
    text: Any = {"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}}
    answer = server.client().responses.create(model="standin", input="はい", text=text)
    assert set(json.loads(answer.output_text)) == {"a"}


@pytest.mark.parametrize(
    "fields",
    [{"input": []}, {"input": [{"type": "item_reference"}]}, {"input": "x", "tools": [3]},
     {"input": [{"role": "nobody", "content": "x"}]}, {"input": "x", "unknown": 1}, {},
     {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}],
    ids=str,
)  # fmt: skip
def test_bad_responses_are_refused_clearly(http: httpx.Client, fields: Any) -> None:
    refused(http.post("/v1/responses", json=fields))


# --- tokens --------------------------------------------------------------------------------------


def test_tokens_are_made_and_spelled(http: httpx.Client) -> None:
    text = "こんにちは、世界。"
    made = http.post("/v1/tokenize", json={"content": text}).json()
    assert made["count"] == len(made["tokens"]) > 0 and made["max_model_len"] > 0
    told = http.post("/v1/detokenize", json={"tokens": made["tokens"]}).json()
    assert told["content"] == text
    pieces = http.post("/v1/tokenize", json={"prompt": text, "with_pieces": True}).json()["tokens"]
    assert "".join(one["piece"] for one in pieces).strip() == text
    refused(http.post("/v1/tokenize", json={}))
    refused(http.post("/v1/detokenize", json={"tokens": [1 << 23]}))


def test_without_a_model_to_rerank_with_it_is_told(http: httpx.Client) -> None:
    error = refused(http.post("/v1/rerank", json={"query": "x", "documents": ["a"]}))
    assert error["param"] == "model"


# --- names and headers ---------------------------------------------------------------------------


def test_every_answer_has_a_request_id(http: httpx.Client) -> None:
    assert http.post(CHAT, json=chat()).headers["x-request-id"].startswith("req_")
    assert http.get("/v1/nothing").headers["x-request-id"].startswith("req_")
    own = http.get("/v1/models", headers={"x-request-id": "mine"})
    assert own.headers["x-request-id"] == "mine"
    assert all(model["created"] > 0 for model in own.json()["data"])


@pytest.mark.parametrize(
    "name", ["standin.gguf", "STANDIN", "models/standin.gguf", "standin:latest"]
)
def test_a_model_is_found_by_a_near_name(http: httpx.Client, name: str) -> None:
    answer = http.post(CHAT, json=chat(model=name))
    assert answer.json()["model"] == "standin"
    assert http.get(f"/v1/models/{name}").json()["id"] == "standin"


def test_an_unknown_model_is_told_which_there_are(http: httpx.Client) -> None:
    error = refused(http.post(CHAT, json=chat(model="gpt-4o")), 404)
    assert "standin" in error["message"] and error["code"] == "model_not_found"


def test_a_wrong_path_is_told_the_right_one(http: httpx.Client) -> None:
    assert "/v1/chat/completions" in refused(http.post("/v1/chat/completion"), 404)["message"]
    assert "/v1/embeddings" in refused(http.post("/v1/embedding"), 404)["message"]


def test_a_body_that_does_not_say_its_kind_is_json(http: httpx.Client) -> None:
    request = http.build_request("POST", CHAT, content=json.dumps(chat()).encode())
    request.headers.pop("content-type", None)
    assert http.send(request).status_code == 200


def test_five_megabytes_are_refused_where_the_client_can_read_it(http: httpx.Client) -> None:
    body = json.dumps(chat(user="x" * 5_000_000)).encode()
    for _ in range(3):
        answer = http.post(CHAT, content=body, headers={"content-type": "application/json"})
        refused(answer, 413)


def test_a_hundred_at_once_are_all_answered(server: Server) -> None:
    """On a machine of one's own everybody waits; nobody is sent away."""
    with httpx.Client(base_url=server.url, timeout=120) as client:

        def ask(_: int) -> int:
            return client.post(CHAT, json=chat()).status_code

        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            assert set(pool.map(ask, range(100))) == {200}


# --- origins -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("opened")
    with (
        serving(folder, "--origins", "app://obsidian.md, http://localhost:3000/") as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield client


def test_named_origins_may_use_the_api_and_nothing_else(opened: httpx.Client) -> None:
    origin = {"origin": "app://obsidian.md", "sec-fetch-site": "cross-site"}
    asked = {**origin, "access-control-request-method": "POST"}
    preflight = opened.request("OPTIONS", CHAT, headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "app://obsidian.md"
    assert "access-control-allow-credentials" not in preflight.headers
    answer = opened.post(CHAT, json=chat(), headers=origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "app://obsidian.md"
    assert opened.get("/", headers=origin).status_code == 403
    other = opened.post(CHAT, json=chat(), headers={"origin": "http://localhost:3001"})
    assert "origins" in refused(other, 403)["message"]
    assert "access-control-allow-origin" not in other.headers


def test_no_origin_is_let_in_by_default(http: httpx.Client) -> None:
    for origin in ("app://obsidian.md", "null", "http://localhost:3000"):
        refused(http.post(CHAT, json=chat(), headers={"origin": origin}), 403)
        refused(http.request("OPTIONS", CHAT, headers={"origin": origin}), 403)
