"""response_format and its kin: what comes back is what was asked for, or an error that says why."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.api.test_bad_input import CHAT, chat, refused


def content(http: httpx.Client, **fields: Any) -> str:
    answer = http.post(CHAT, json=chat(**{"max_tokens": 200, "seed": 3, **fields}))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def shaped(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}


SCHEMA = {"type": "object", "properties": {"id": {"type": "string", "pattern": "^[A-Z]{3}$"}},
          "required": ["id"]}  # fmt: skip
SAME = [
    {"response_format": shaped(SCHEMA)},
    {"response_format": {"type": "json_object", "schema": SCHEMA}},
    {"response_format": {"type": "json_schema", "schema": SCHEMA}},
    {"json_schema": SCHEMA},
    {"guided_json": SCHEMA},
    {"structured_outputs": {"json": SCHEMA}},
]


@pytest.mark.parametrize("fields", SAME, ids=lambda fields: next(iter(fields)))
def test_a_schema_holds_wherever_a_client_puts_it(http: httpx.Client, fields: Any) -> None:
    assert re.fullmatch("[A-Z]{3}", json.loads(content(http, **fields))["id"])


def test_choices_and_patterns_are_texts(http: httpx.Client) -> None:
    assert content(http, guided_choice=["はい", "いいえ"]) in ("はい", "いいえ")
    assert re.fullmatch(r"\d{3}-\d{4}", content(http, guided_regex=r"\d{3}-\d{4}"))
    error = refused(http.post(CHAT, json=chat(structured_outputs={"regex": "(?=a)b"})))
    assert error["param"] == "response_format"


def test_what_no_grammar_holds_is_checked_and_written_again(http: httpx.Client) -> None:
    """Random weights find three different ones of five in a few tries, or it is told."""
    schema = {"type": "array", "items": {"enum": [1, 2, 3, 4, 5]}, "minItems": 2, "maxItems": 2,
              "uniqueItems": True}  # fmt: skip
    answer = http.post(CHAT, json=chat(response_format=shaped(schema), max_tokens=60))
    if answer.status_code == 200:
        first, second = json.loads(answer.json()["choices"][0]["message"]["content"])
        assert first != second
    else:
        assert "uniqueItems" in refused(answer)["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_never_met_is_an_error_that_names_place_and_keyword(
    http: httpx.Client, stream: bool
) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "null"},
              "minItems": 2, "maxItems": 2, "uniqueItems": True}}, "required": ["a"]}  # fmt: skip
    body = chat(response_format=shaped(schema), max_tokens=60, stream=stream)
    answer = http.post(CHAT, json=body)
    assert "uniqueItems" in answer.text and "response_format" in answer.text
    if stream:
        assert '"content":"{' not in answer.text


def test_a_tools_arguments_are_checked_too(http: httpx.Client) -> None:
    parameters = {"type": "object", "properties": {"n": {"not": {"type": "null"}, "type": "null"}},
                  "required": ["n"]}  # fmt: skip
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    error = refused(http.post(CHAT, json=chat(tools=[tool], tool_choice="required", max_tokens=60)))
    assert "not" in error["message"] and "tools" in error["message"]


HARMLESS = {
    "user": "", "metadata": {}, "verbosity": "low", "prediction": None, "keep_alive": "5m",
    "prompt_cache_retention": "24h", "session_id": -1, "repetition_penalty": 1.0, "n_predict": 4,
    "chat_template_kwargs": {"enable_thinking": False}, "logit_bias": [], "stop": [""],
    "top_k": -1, "min_tokens": 0, "tools": [], "functions": None, "mirostat": 0,
    "options": {"temperature": 0.5, "num_ctx": 4096}, "logprobs": None, "length_penalty": 1.0,
    "skip_special_tokens": True, "add_generation_prompt": True, "modalities": ["text"],
}  # fmt: skip


def test_fields_that_change_nothing_are_no_error(http: httpx.Client) -> None:
    body = {**chat(), **HARMLESS}
    assert http.post(CHAT, json=body).status_code == 200
    for name, value in HARMLESS.items():
        answer = http.post(CHAT, json=chat(**{name: value}))
        assert answer.status_code == 200, (name, answer.text)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"min_tokens": 5}, "min_tokens"),
        ({"use_beam_search": True}, "use_beam_search"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"web_search_options": {"a": 1}}, "web_search_options"),
        ({"stop_token_ids": [3]}, "stop_token_ids"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"temprature": 1}, "temprature"),
        ({"stream": "yes"}, "stream"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
         "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"},
                                                    {"type": "input_audio"}]}]},
         "messages.0.content.1"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_done_names_its_field(http: httpx.Client, fields: Any, param: str) -> None:
    error = refused(http.post(CHAT, json=chat(**fields)))
    assert error["param"] == param and param in error["message"]
    japanese = http.post(CHAT, json=chat(**fields), headers={"accept-language": "ja"})
    assert re.search("[ぁ-ん]", japanese.json()["error"]["message"])


def test_what_clients_add_to_messages_is_no_error(http: httpx.Client) -> None:
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "S", "cache_control": {"a": 1}}]},
        {"role": "user", "content": "1", "id": "m1", "name": "U"},
        {"role": "assistant", "content": "2", "reasoning": "r", "refusal": None, "annotations": []},
        {"role": "user", "content": [{"type": "input_text", "text": "3"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "4"}], "type": "message"},
        {"role": "user", "content": "5"},
    ]
    answer = http.post(CHAT, json=chat(messages=messages))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "roles", ["s", "a", "au", "ua", "us", "uas", "uau", "uaas"], ids=lambda roles: roles
)
def test_conversations_of_every_order_are_answered(http: httpx.Client, roles: str) -> None:
    names = {"s": "system", "u": "user", "a": "assistant"}
    messages = [{"role": names[role], "content": f"text {i}"} for i, role in enumerate(roles)]
    answer = http.post(CHAT, json=chat(messages=messages))
    assert answer.status_code == 200, answer.text


def test_penalties_count_what_was_written_and_not_the_prompt(http: httpx.Client) -> None:
    """With the strongest one, the first token is still the likeliest, whatever the prompt says."""
    prompt = "これは動作確認のための仮のモデルです。" * 4
    plain, punished = (
        http.post(
            "/v1/completions",
            json={"prompt": prompt, "max_tokens": 1, "temperature": 0, "frequency_penalty": value},
        ).json()["choices"][0]["text"]
        for value in (0, 2)
    )
    assert plain == punished
