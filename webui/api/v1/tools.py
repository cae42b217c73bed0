"""Tools as clients send them → Toolbox: OpenAI's form, its old `functions`, and the flat form.

Each tool's schema becomes the grammar that holds its arguments. Knows nothing about models.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webui.engine.grammar.checking import Checker
from webui.engine.grammar.json_schema import held, spaced
from webui.tasks.pieces import BadAskError, CallChoice, Tool, Toolbox

MAX_TOOLS = 256
MAX_CHARS = 1_000_000  # of all descriptions and schemas together
NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request says of tools, as it came."""

    tools: list[Any] | None = None
    choice: Any = None
    is_parallel: bool = True
    place: str = "tools"  # how the field is called
    choice_place: str = "tool_choice"


def toolbox_of(wanted: Wanted) -> Toolbox | None:
    """None where nothing is offered. Raises BadAskError."""
    if not wanted.tools:
        if wanted.choice not in (None, "none", "auto"):
            raise BadAskError("serving.needs", wanted.choice_place, needed=wanted.place)
        return None
    if len(wanted.tools) > MAX_TOOLS:
        raise BadAskError("serving.too_many_tools", wanted.place, limit=MAX_TOOLS)
    if len(json.dumps(wanted.tools)) > MAX_CHARS:
        raise BadAskError("serving.tools_too_large", wanted.place, limit=MAX_CHARS)
    tools = tuple(_tool(tool, f"{wanted.place}.{i}") for i, tool in enumerate(wanted.tools))
    names = tuple(dict.fromkeys(tool.name for tool in tools))
    if len(names) < len(tools):
        raise BadAskError("serving.name_twice", wanted.place)
    return _chosen(wanted, tools, names)


def _chosen(wanted: Wanted, tools: tuple[Tool, ...], names: tuple[str, ...]) -> Toolbox | None:
    match wanted.choice:
        case None | "auto":
            return Toolbox(tools, names, CallChoice.AUTO, wanted.is_parallel)
        case "none":
            return None
        case "required" | "any":
            return Toolbox(tools, names, CallChoice.REQUIRED, wanted.is_parallel)
        case {"type": "allowed_tools", **rest}:
            inner: Any = rest.get("allowed_tools", rest)
            allowed = tuple(_name_in(tool, wanted, names) for tool in _listed(inner, wanted))
            mode = CallChoice.REQUIRED if inner.get("mode") == "required" else CallChoice.AUTO
            return Toolbox(tools, allowed, mode, wanted.is_parallel)
        case {"type": "auto" | "none" | "any" as kind}:
            return _chosen(Wanted(wanted.tools, kind, wanted.is_parallel), tools, names)
        case Mapping():
            name = _name_in(wanted.choice, wanted, names)
            return Toolbox(tools, (name,), CallChoice.REQUIRED, is_parallel=False)
    raise BadAskError("serving.bad_tool_choice", wanted.choice_place)


def _listed(inner: Any, wanted: Wanted) -> list[Any]:
    tools = inner.get("tools") if isinstance(inner, Mapping) else None
    if not isinstance(tools, list) or not tools:
        raise BadAskError("serving.bad_tool_choice", wanted.choice_place)
    return tools


def _name_in(value: Any, wanted: Wanted, names: tuple[str, ...]) -> str:
    """The name of one of the tools, wherever this form has it."""
    function = value.get("function", value) if isinstance(value, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str):
        raise BadAskError("serving.bad_tool_choice", wanted.choice_place)
    if name not in names:
        known = ", ".join(names)[:200]
        raise BadAskError("serving.no_such_tool", wanted.choice_place, name=name[:60], known=known)
    return name


def _tool(value: Any, place: str) -> Tool:
    if not isinstance(value, Mapping):
        raise BadAskError("serving.object_wanted", place)
    kind = value.get("type", "function")
    if kind not in ("function", "custom") or (kind == "custom" and "input_schema" not in value):
        raise BadAskError("serving.other_tool", f"{place}.type", kind=str(kind)[:40])
    inner = value.get("function")
    function, at = (inner, f"{place}.function") if isinstance(inner, Mapping) else (value, place)
    name = function.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadAskError("serving.bad_tool_name", f"{at}.name")
    description = function.get("description") or ""
    if not isinstance(description, str):
        raise BadAskError("serving.text_wanted", f"{at}.description")
    key = "input_schema" if "input_schema" in function else "parameters"
    schema = function.get(key) or {"type": "object", "properties": {}}
    shown = {"name": name, "description": description, "parameters": schema}
    grammar, checker = _grammar(schema, f"{at}.{key}")
    return Tool(name, grammar, {"type": "function", "function": shown}, checker)


def _grammar(schema: Any, place: str) -> tuple[str, Checker | None]:
    if not isinstance(schema, Mapping):
        raise BadAskError("serving.object_wanted", place)
    arguments = {"type": "object", **schema} if "$ref" not in schema else dict(schema)
    grammar, checker = grammar_and_checker(arguments, place)
    return spaced(grammar), checker


def grammar_and_checker(schema: Mapping[str, Any] | bool, place: str) -> tuple[str, Checker | None]:
    """What holds an answer to the schema: the checker where the grammar cannot hold all.

    Raises BadAskError.
    """
    try:
        found = held(schema)
        return found.grammar, Checker(schema) if found.unheld else None
    except ValueError as error:
        raise BadAskError("serving.bad_schema", place, reason=error) from error
