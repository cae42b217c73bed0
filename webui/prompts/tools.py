"""Tools: how each family of models writes a call, and how a call is noticed in an answer.

The template says what may be called; a ToolSyntax says what stands around name and arguments. We
write those parts ourselves, so a call that was noticed is always whole and always readable. Knows
nothing about tokens, schemas or grammars.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webui.prompts.markers import first_marker, num_held
from webui.prompts.messages import BETWEEN, Message

# What families write before a call: tokens that otherwise write nothing must reach the text.
TOOL_MARKS = (
    "<tool_call>",  # Hermes, Qwen, granite 4, many others
    "[TOOL_CALLS]",  # Mistral
    "<|python_tag|>",  # Llama 3
    "<|tool_call_start|>",  # LFM2
    "<|tool_call>",  # Gemma 4 and granite 3, which writes <|tool_call|>
    "<|tool_call|>",
)
MAX_CALL_PREFIX = 400  # characters of a call written without marks, up to the end of its name
FENCES = ("", "```json", "```xml", "```", "<tools>", "<tool>", "<function_call>", "<tool_call>")
KEYS = ('{"name":"', '{{"name":"', '{"type":"function","name":"', '[{"name":"')


@dataclass(frozen=True, slots=True)
class ToolSyntax:
    """A call is `opening` name `after_name` `before_arguments` arguments (JSON) `closing`.

    `after_name` is plain text that ends the name; the other parts may hold special tokens.
    """

    name: str
    marks: tuple[str, ...]  # what begins a call in an answer
    opening: str
    after_name: str
    closing: str
    before_arguments: str = ""
    between: str = ""  # between text, or another call, and a call
    is_before_reasoning: bool = False  # a mark stands where the reasoning's own marks stand
    is_last: bool = False  # a call ends the answer

    def written(self, name: str, arguments: str) -> str:
        """A whole call."""
        parts = (self.opening, name, self.after_name, self.before_arguments, arguments)
        return "".join(parts) + self.closing


PLAIN = ToolSyntax(
    "hermes",
    ("<tool_call>",),
    '<tool_call>\n{"name": "',
    '", "arguments":',
    "}\n</tool_call>",
    between="\n",
)  # also for models whose template knows no tools
HARMONY = ToolSyntax(
    "harmony",
    (" to=functions.",),
    "<|channel|>commentary to=functions.",
    " ",
    "<|call|>",
    before_arguments="<|constrain|>json<|message|>",
    is_before_reasoning=True,
    is_last=True,
)
# The first whose words all stand in a template is the one.
SYNTAXES: tuple[tuple[tuple[str, ...], ToolSyntax], ...] = (
    (("<|channel|>", "functions."), HARMONY),
    (
        ("[TOOL_CALLS]", "[ARGS]"),
        ToolSyntax(
            "mistral-args", ("[TOOL_CALLS]",), "[TOOL_CALLS]", "", "", before_arguments="[ARGS]"
        ),
    ),
    (
        ("[TOOL_CALLS]",),
        ToolSyntax(
            "mistral", ("[TOOL_CALLS]",), '[TOOL_CALLS][{"name": "', '", "arguments":', "}]"
        ),
    ),
    (
        ("<|tool_call_start|>",),
        ToolSyntax(
            "lfm2",
            ("<|tool_call_start|>",),
            '<|tool_call_start|>[{"name": "',
            '", "arguments":',
            "}]<|tool_call_end|>",
        ),
    ),
    (
        ("<|tool_call>",),
        ToolSyntax("gemma4", ("<|tool_call>",), "<|tool_call>call:", "", "<tool_call|>"),
    ),
    (
        ("<|tool_call|>",),
        ToolSyntax(
            "granite3", ("<|tool_call|>",), '<|tool_call|>[{"name": "', '", "arguments":', "}]"
        ),
    ),
    (
        ("<tool_call>", "<function="),
        ToolSyntax(
            "qwen-function",
            ("<tool_call>",),
            "<tool_call>\n<function=",
            ">\n",
            "\n</function>\n</tool_call>",
            between="\n",
        ),
    ),
    (("<tool_call>",), PLAIN),
    (
        ('"parameters"', "<|eot_id|>"),
        ToolSyntax("llama3", ("<|python_tag|>",), '{"name": "', '", "parameters":', "}"),
    ),
)


def syntax_in(source: str) -> ToolSyntax:
    """The syntax of a template that writes tools."""
    return next(
        (syntax for words, syntax in SYNTAXES if all(word in source for word in words)), PLAIN
    )


@dataclass(frozen=True, slots=True)
class Hit:
    """A call begins: characters [start, …) of the text are part of it. `name` when it is told."""

    start: int
    name: str = ""


class CallWatcher:
    """Text of an answer in, the text that is no call out, until a call begins.

    A call is known by the family's mark, or, as small models write it, by a JSON object that names
    one of the tools. What might still become one is kept back.
    """

    def __init__(self, marks: Iterable[str], names: Sequence[str]) -> None:
        self._marks = tuple(marks)
        self._calls = {
            fence + key + name + '"': name for fence in FENCES for key in KEYS for name in names
        }
        self._held = ""
        self._num_passed = 0
        self.hit: Hit | None = None

    @property
    def holds(self) -> bool:
        """Whether something is kept back."""
        return bool(self._held.strip())

    def feed(self, text: str) -> str:
        """What may be shown now; nothing after the hit."""
        if self.hit:
            return ""
        text = self._held + text
        start, name = self._find(text)
        if name is not None:
            self.hit = Hit(self._num_passed + start, name)
        self._held = text[start:]
        self._num_passed += start
        return text[:start]

    def flush(self) -> str:
        """What was kept back, at the end."""
        held, self._held = self._held, ""
        return "" if self.hit else held

    def _find(self, text: str) -> tuple[int, str | None]:
        """Where a call begins or may begin, and its name; None while that is not sure."""
        marked = first_marker(text, self._marks)
        end = marked[0] if marked else len(text)
        for start in _candidates(text[:end]):
            tail = re.sub(r"\s+", "", text[start : start + MAX_CALL_PREFIX])
            for call, name in self._calls.items():
                if tail.startswith(call):
                    return start, name
            is_whole = end == len(text) and len(text) - start < MAX_CALL_PREFIX
            if is_whole and any(call.startswith(tail) for call in self._calls):
                return start, None
        if marked:
            return marked[0], ""
        return len(text) - num_held(text, self._marks), None


def _candidates(text: str) -> list[int]:
    """Where a call without marks may begin."""
    return [match.start() for match in re.finditer(r"```|[{\[<]|`{1,2}$", text)]


def without_tools(messages: Sequence[Message]) -> list[Message]:
    """For templates that know no tools: calls and results as the text of turns."""
    turns: list[Message] = []
    for message in messages:
        plain = {"role": message["role"], "content": message["content"]}
        if message["role"] == "tool":
            plain = {
                "role": "user",
                "content": f"<tool_response>\n{plain['content']}\n</tool_response>",
            }
        elif message.get("tool_calls"):
            calls = [_call_text(call["function"]) for call in message["tool_calls"]]
            texts = [text for text in (plain["content"], *calls) if text.strip()]
            plain["content"] = "\n".join(texts)
        if turns and turns[-1]["role"] == plain["role"]:
            both = turns[-1]["content"] + BETWEEN + plain["content"]
            turns[-1] = {**turns[-1], "content": both}
        else:
            turns.append(plain)
    return turns


def _call_text(function: Mapping[str, Any]) -> str:
    arguments = function.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return PLAIN.written(str(function.get("name", "")), " " + text)
