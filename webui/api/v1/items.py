"""Items of the Responses API → messages of a chat; what a chat has no word for is refused.

Knows nothing about models or streams.
"""

from collections.abc import Mapping
from typing import Any

from webui.api.v1.messages import text_of
from webui.tasks.pieces import BadAskError

Message = dict[str, Any]
SILENT = frozenset({"reasoning"})


def messages_of(given: str | list[Any]) -> list[Message]:
    """Raises BadAskError naming the item."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    messages: list[Message] = []
    for number, item in enumerate(given):
        place = f"input.{number}"
        if not isinstance(item, Mapping):
            raise BadAskError("serving.object_wanted", place)
        kind = item.get("type", "message")
        if kind == "function_call":
            _add_call(messages, item)
        elif kind == "function_call_output":
            output = text_of(item.get("output"), f"{place}.output")
            call_id = item.get("call_id")
            messages.append({"role": "tool", "tool_call_id": call_id, "content": output})
        elif kind == "message":
            content = text_of(item.get("content"), f"{place}.content")
            messages.append({"role": item.get("role"), "content": content})
        elif kind not in SILENT:
            raise BadAskError("serving.unknown_item", place, kind=repr(kind)[:40])
    return messages


def chat_body(fields: Mapping[str, Any], messages: list[Message]) -> dict[str, Any]:
    """The same request as one of /chat/completions."""
    body = {
        key: fields[key]
        for key in ("model", "stream", "temperature", "top_p", "tools", "tool_choice",
                    "parallel_tool_calls", "reasoning_effort", "enable_thinking", "reasoning")
        if fields.get(key) is not None
    }  # fmt: skip
    body["messages"] = messages
    if fields.get("max_output_tokens"):
        body["max_completion_tokens"] = fields["max_output_tokens"]
    if fields.get("top_logprobs"):
        body |= {"logprobs": True, "top_logprobs": fields["top_logprobs"]}
    wanted = (fields.get("text") or {}).get("format")
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_schema":
        inner = {key: value for key, value in wanted.items() if key != "type"}
        body["response_format"] = {"type": "json_schema", "json_schema": inner}
    elif wanted is not None:
        body["response_format"] = wanted
    return body


def _add_call(messages: list[Message], item: Mapping[str, Any]) -> None:
    """A call belongs to the assistant's turn before it."""
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    call = {"id": item.get("call_id"), "type": "function", "function": function}
    if messages and messages[-1]["role"] == "assistant":
        messages[-1].setdefault("tool_calls", []).append(call)
    else:
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
