"""Whatever is sent to /v1: an answer or a 4xx in OpenAI's shape, never a crash."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.budget import examples

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
NUMBERS = (
    "temperature top_p top_k min_p repeat_penalty presence_penalty frequency_penalty seed"
    " max_tokens n"
).split()
BAD_NUMBERS = ["-1e999", "1e999", "NaN", "Infinity", '"1"', "[]", "true", "-" + "9" * 400, "1e308"]


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The error of an answer that must be a 4xx in OpenAI's shape."""
    assert answer.status_code in (statuses or (400,)), answer.text
    error = answer.json()["error"]
    assert set(error) >= {"message", "type"} and error["message"]
    return dict(error)


def chat(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "はい"}], "max_tokens": 1, **fields}


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("value", BAD_NUMBERS)
def test_numbers_out_of_range_name_their_field(http: httpx.Client, field: str, value: str) -> None:
    body = json.dumps(chat()).replace('"max_tokens": 1', f'"max_tokens": 1, "{field}": {value}')
    answer = http.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert field in refused(answer)["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"unknown_field": 1},
        {"tools": [{"type": "function"}]},
        {"logit_bias": {"x": 1}},
        {"logit_bias": {"-1": 1}},
        {"logit_bias": {"99999999": 1}},
        {"logit_bias": {str(i): 1 for i in range(2000)}},
        {"stop": ["x"] * 100},
        {"stream_options": {"include_usage": True}},
        {"top_logprobs": 3},
        {"top_logprobs": 21, "logprobs": True},
        {"grammar": "root ::= nonsense"},
        {"grammar": "root ::= root"},
        {"grammar": 'root ::= "a"{3000}'},
        {"grammar": "x" * 300_000},
        {"grammar": 'root ::= "a"', "response_format": {"type": "json_object"}},
        {"response_format": {"type": "yaml"}},
        {"messages": []},
        {"messages": [{"role": "nobody", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x", "name": "y" * 1000}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
        {"messages": [{"role": "user", "content": "\ud800"}]},
        {"messages": "はい"},
        {"model": "../../etc/passwd"},
        {"model": "x" * 500},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_cannot_be_done_is_refused_clearly(http: httpx.Client, fields: Any) -> None:
    body = json.dumps(chat(**fields))
    answer = http.post(CHAT, content=body, headers={"content-type": "application/json"})
    refused(answer, 400, 404)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": []},
        {"prompt": [-1]},
        {"prompt": [1 << 23]},
        {"prompt": [[1], "x"]},
        {"prompt": "x", "best_of": 5},
        {"prompt": ["x"] * 64, "n": 2},
        {"prompt": "x", "suffix": "y"},
        {},
    ],
)
def test_bad_completions_are_refused_clearly(http: httpx.Client, fields: Any) -> None:
    refused(http.post(TEXT, json={"max_tokens": 1, **fields}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe{}",
        b'{"messages": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"messages": [], "messages": ' + b"9" * 5000 + b"}",
    ],
    ids=repr,
)
def test_bodies_that_are_no_json_object(http: httpx.Client, body: bytes) -> None:
    answer = http.post(CHAT, content=body, headers={"content-type": "application/json"})
    refused(answer)


def test_a_body_of_10_mb_is_413_whatever_it_declares(http: httpx.Client) -> None:
    body = json.dumps(chat(user="x" * 10_000_000)).encode()
    kind = {"content-type": "application/json"}
    for is_declared in (True, False):
        for _ in range(8):  # the answer can be lost where the server closes on one who still sends
            chunks = (body[at : at + 65536] for at in range(0, len(body), 65536))
            try:
                answer = http.post(CHAT, content=body if is_declared else chunks, headers=kind)
            except httpx.TransportError:
                continue
            refused(answer, 413)
            break
        else:
            raise AssertionError("never an answer")


def test_unknown_paths_and_methods_have_the_same_shape(http: httpx.Client) -> None:
    refused(http.get("/v1/nothing"), 404)
    refused(http.get(CHAT), 405)
    refused(http.get("/v1/models/no/such/model"), 404)


def test_requests_of_other_sites_are_refused(http: httpx.Client) -> None:
    refused(http.post(CHAT, json=chat(), headers={"origin": "https://evil.example"}), 403)
    refused(http.post(CHAT, json=chat(), headers={"host": "evil.example"}), 421)
    plain = {"content-type": "text/plain"}
    refused(http.post(CHAT, content=json.dumps(chat()), headers=plain), 415)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [*NUMBERS, "messages", "model", "stop", "logit_bias", "response_format", "grammar", "stream",
     "stream_options", "logprobs", "top_logprobs", "user", "metadata", "reasoning_effort"]
)  # fmt: skip


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.dictionaries(FIELDS, JSON_VALUES, min_size=1, max_size=3))
def test_any_value_in_any_field_gets_an_answer(http: httpx.Client, fields: dict[str, Any]) -> None:
    body = json.dumps(chat(**fields))
    answer = http.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code != 200:
        refused(answer, 400, 404)


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(JSON_VALUES)
def test_any_json_as_a_schema_gets_an_answer(http: httpx.Client, schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = json.dumps(chat(response_format=wanted))
    answer = http.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400), answer.text
