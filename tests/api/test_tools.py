"""Tools over /v1: calls are whole and obey their schema, whatever a model with random weights says.

What a trained model calls is judged on real weights, in tests marked `real`.
"""

import json
from typing import Any

import httpx
import openai
import pytest

from tests.api.servers import Server
from tests.api.test_bad_input import CHAT, chat, refused
from webui.tasks.calling import canonical, made_before

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "今の天気",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 12},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 9},
            },
            "required": ["city", "unit", "days"],
            "additionalProperties": False,
        },
    },
}
NOW = {"type": "function", "function": {"name": "now", "strict": True}}
HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "大阪の天気は？"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city": "大阪"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "晴れ、21 度"},
]


def said(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = http.post(CHAT, json=chat(**{"max_tokens": 120, "seed": 1, **fields}))
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["choices"][0])


def is_weather(arguments: str) -> bool:
    values = json.loads(arguments)
    assert values["unit"] in ("celsius", "fahrenheit") and 1 <= values["days"] <= 9
    return set(values) == {"city", "unit", "days"}


@pytest.mark.parametrize("seed", range(5))
def test_a_call_that_is_required_is_made_and_obeys_its_schema(
    http: httpx.Client, seed: int
) -> None:
    choice = said(http, tools=[WEATHER, NOW], tool_choice="required", seed=seed)
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    for call in choice["message"]["tool_calls"]:
        function = call["function"]
        assert call["type"] == "function" and call["id"].startswith("call_")
        assert function["name"] == "now" or is_weather(function["arguments"])


def test_the_tool_that_is_named_is_called_once(http: httpx.Client) -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    choice = said(http, tools=[NOW, WEATHER], tool_choice=named)
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather" and is_weather(call["function"]["arguments"])


def test_allowed_tools_are_the_only_ones_called(http: httpx.Client) -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "now"}}]}
    wanted = {"type": "allowed_tools", "allowed_tools": allowed}
    choice = said(http, tools=[NOW, WEATHER], tool_choice=wanted, parallel_tool_calls=False)
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "now"


def test_without_a_choice_or_with_none_text_may_be_written(http: httpx.Client) -> None:
    for choice in ("auto", "none", None):
        told = said(http, tools=[WEATHER], tool_choice=choice, max_tokens=4)
        assert told["finish_reason"] in ("length", "stop", "tool_calls")
    assert "tool_calls" not in said(http, tools=[WEATHER], tool_choice="none")["message"]


def test_a_stream_tells_the_same_call_in_pieces(server: Server) -> None:
    client = server.client()
    asked: Any = {
        "model": "standin",
        "messages": [{"role": "user", "content": "はい"}],
        "tools": [WEATHER],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "temperature": 0,
        "max_tokens": 120,
    }
    whole = client.chat.completions.create(**asked).choices[0].message.tool_calls
    assert whole
    name = arguments = reason = ""
    ids = set()
    stream: openai.Stream[Any] = client.chat.completions.create(**asked, stream=True)
    for chunk in stream:
        choice = chunk.choices[0]
        reason = choice.finish_reason or reason
        for part in choice.delta.tool_calls or []:
            assert part.index == 0
            ids |= {part.id} if part.id else set()
            name += part.function.name or ""
            arguments += part.function.arguments or ""
    assert (name, reason, len(ids)) == ("get_weather", "tool_calls", 1)
    assert is_weather(arguments)


def test_calls_and_results_of_before_are_part_of_the_conversation(http: httpx.Client) -> None:
    for tools in ([WEATHER], None):
        told = said(http, messages=HISTORY, tools=tools, max_tokens=4)
        assert told["finish_reason"]


def test_the_old_functions_are_answered_by_their_old_names(http: httpx.Client) -> None:
    choice = said(
        http, functions=[WEATHER["function"]], function_call={"name": "get_weather"}, stream=False
    )
    assert choice["finish_reason"] == "function_call"
    assert is_weather(choice["message"]["function_call"]["arguments"])
    message = {**choice["message"], "content": None}
    result = {"role": "function", "name": "get_weather", "content": "晴れ"}
    history = [{"role": "user", "content": "天気は？"}, message, result]
    assert said(http, messages=history, max_tokens=4)["finish_reason"]


def test_tools_and_a_schema_for_the_answer_go_together(http: httpx.Client) -> None:
    """The answer is either a call or what the schema wants."""
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    told = said(http, tools=[WEATHER], response_format=wanted)
    if told["finish_reason"] != "tool_calls":
        assert set(json.loads(told["message"]["content"])) == {"a"}


def test_too_few_tokens_for_a_call_is_told_as_length(http: httpx.Client) -> None:
    told = said(http, tools=[WEATHER], tool_choice="required", max_tokens=3)
    assert told["finish_reason"] in ("length", "tool_calls")


def function(name: Any, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"tools": [function(f"f{i}") for i in range(1000)]}, "tools"),
        ({"tools": [function("<|im_end|>")]}, "tools.0.function.name"),
        ({"tools": [function(3)]}, "tools.0.function.name"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [NOW, NOW]}, "tools"),
        ({"tools": ["now"]}, "tools.0"),
        ({"tools": [WEATHER], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"function": {"name": "other"}}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "functions": [{"name": "x"}]}, "functions"),
        ({"tools": [function("f", parameters=[1])]}, "tools.0.function.parameters"),
        ({"tools": [function("f", description="x" * 1_100_000)]}, "tools"),
        ({"messages": [{"role": "assistant", "tool_calls": [3]}]}, "messages.0.tool_calls.0"),
    ],
    ids=range(13),
)
def test_bad_tools_are_refused_by_the_name_of_their_place(
    http: httpx.Client, fields: Any, place: str
) -> None:
    error = refused(http.post(CHAT, json=chat(**fields)))
    assert error["param"] == place and place in error["message"]
    assert len(error["message"]) < 300


def test_a_result_of_a_megabyte_is_too_long_in_one_sentence(http: httpx.Client) -> None:
    history = [*HISTORY[:2], {**HISTORY[2], "content": "晴れ" * 170_000}]
    error = refused(http.post(CHAT, json=chat(messages=history, tools=[WEATHER])))
    assert error["code"] == "context_length_exceeded" and error["param"] == "messages"


def test_a_huge_schema_is_refused_in_one_sentence(http: httpx.Client) -> None:
    properties = {f"p{i}": {"type": "string", "description": "x" * 100} for i in range(6000)}
    tool = {"name": "f", "parameters": {"type": "object", "properties": properties}}
    error = refused(http.post(CHAT, json=chat(tools=[{"type": "function", "function": tool}])))
    assert error["param"] == "tools.0.function.parameters"


def test_the_same_call_is_counted_since_the_last_question_only() -> None:
    """However its arguments are written; a third one after two is answered in text instead."""
    question, asked, result = HISTORY
    other = {**asked, "tool_calls": [{"function": {"name": "now", "arguments": {}}}]}
    as_object = {"function": {"name": "get_weather", "arguments": {"city": "大阪"}}}
    again = {**asked, "tool_calls": [as_object]}
    made = made_before([question, asked, result, again, result, other])
    assert made["get_weather", canonical('{ "city":"大阪" }')] == 2
    assert made["now", canonical("{}")] == 1
    assert not made_before([question, asked, result, question])
