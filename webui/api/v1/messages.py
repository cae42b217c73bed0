"""Messages as clients send them → role, text, calls and results.

What clients add (ids, cache marks, old reasoning) is left out; pictures, sound and files are
refused in a sentence that names the part. Knows nothing about templates.
"""

import json
from collections.abc import Mapping
from typing import Any

from webui.tasks.pieces import BadAskError

MAX_PARTS = 256
MAX_CALLS = 256
MAX_NAME = 128
TEXT_PARTS = frozenset({"text", "input_text", "output_text", "summary_text"})
SILENT_PARTS = frozenset({"thinking", "redacted_thinking", "reasoning", "reasoning_text"})
REFUSED_PARTS = {
    "image_url": "no_pictures",
    "input_image": "no_pictures",
    "image": "no_pictures",
    "image_file": "no_pictures",
    "input_audio": "no_audio",
    "audio": "no_audio",
    "audio_url": "no_audio",
    "video_url": "no_audio",
    "video": "no_audio",
    "file": "no_files",
    "input_file": "no_files",
    "document": "no_files",
}

Message = dict[str, Any]


def tidy_messages(given: Any, place: str = "messages") -> Any:
    """Each with role, content (text) and its calls; what is no message stays as it is.

    Raises BadAskError for what we cannot read.
    """
    if not isinstance(given, list):
        return given
    names: dict[str, str] = {}  # of the tools, by the call's id
    return [_tidy(message, f"{place}.{i}", names) for i, message in enumerate(given)]


def text_of(content: Any, place: str) -> Any:
    """The text of a message's content; what is neither text nor a list of parts stays."""
    if content is None:
        return ""
    if not isinstance(content, list):
        return content
    if len(content) > MAX_PARTS:
        raise BadAskError("serving.too_many_parts", place, limit=MAX_PARTS)
    return "".join(_part(part, f"{place}.{i}") for i, part in enumerate(content))


def _part(part: Any, place: str) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise BadAskError("serving.unknown_part", place, kind=_shown(part))
    kind = part.get("type", "text" if "text" in part else None)
    if isinstance(kind, str) and kind in REFUSED_PARTS:
        raise BadAskError(f"serving.{REFUSED_PARTS[kind]}", place)
    if isinstance(kind, str) and kind in SILENT_PARTS:
        return ""
    text = part.get("refusal") if kind == "refusal" else part.get("text")
    if kind != "refusal" and not (isinstance(kind, str) and kind in TEXT_PARTS):
        raise BadAskError("serving.unknown_part", place, kind=_shown(kind))
    if not isinstance(text, str):
        raise BadAskError("serving.text_wanted", f"{place}.text")
    return text


def _tidy(message: Any, place: str, names: dict[str, str]) -> Any:
    if not isinstance(message, Mapping):
        return message
    for name in ("images", "audio", "videos", "video"):
        if message.get(name):
            key = "no_pictures" if name == "images" else "no_audio"
            raise BadAskError(f"serving.{key}", f"{place}.{name}")
    role = message.get("role")
    tidy: Message = {"role": role, "content": text_of(message.get("content"), f"{place}.content")}
    if tidy["content"] == "" and isinstance(message.get("refusal"), str):
        tidy["content"] = message["refusal"]
    if role == "assistant":
        calls = _calls(message, place)
        if calls:
            tidy["tool_calls"] = calls
            names.update((call["id"], call["function"]["name"]) for call in calls)
    elif role in ("tool", "function"):
        call_id = message.get("tool_call_id")
        told = names.get(call_id) if isinstance(call_id, str) else next(iter(names.values()), "")
        tidy["tool_call_id"] = _short(call_id or "call_0", f"{place}.tool_call_id")
        tidy["name"] = _short(message.get("name") or told or "", f"{place}.name")
    return tidy


def _calls(message: Mapping[str, Any], place: str) -> list[Message]:
    given = message.get("tool_calls") or []
    if not isinstance(given, list) or len(given) > MAX_CALLS:
        raise BadAskError("serving.list_wanted", f"{place}.tool_calls", limit=MAX_CALLS)
    calls = [_call(call, f"{place}.tool_calls.{i}") for i, call in enumerate(given)]
    if message.get("function_call"):
        legacy = {"id": "call_0", "function": message["function_call"]}
        calls.append(_call(legacy, f"{place}.function_call"))
    return calls


def _call(call: Any, place: str) -> Message:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        raise BadAskError("serving.object_wanted", place)
    name = _short(function.get("name"), f"{place}.function.name")
    arguments = _arguments(function.get("arguments"))
    call_id = _short(call.get("id") or "call_0", f"{place}.id")
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _arguments(given: Any) -> Any:
    """As an object; what an older answer left broken stays as it was."""
    if given is None or given == "":
        return {}
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return given


def _short(value: Any, place: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise BadAskError("serving.short_text", place, limit=MAX_NAME)
    return value


def _shown(value: Any) -> str:
    return repr(value)[:40]
