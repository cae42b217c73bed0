"""PromptFormat: all that is needed to talk with one model, whatever its template came from.

Puts messages in order, fills the template's variables, and knows where answers stop. Knows nothing
about directories, model files or tokens.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from webui.errors import AppError
from webui.prompts.jinja.template import ChatTemplate, TemplateError, whole_characters
from webui.prompts.jinja.traced import Traced
from webui.prompts.messages import (
    BETWEEN,
    Message,
    in_order,
    split_prefill,
    system_in_first_user,
    user_first,
)
from webui.prompts.reasoning import Reasoning, ReasoningKind, ReasoningParser
from webui.prompts.rendered import BosRule, RenderedPrompt, Span
from webui.prompts.task_prompts import task_prompt
from webui.prompts.tools import PLAIN, ToolSyntax, without_tools
from webui.strings import Language

GGUF = "gguf"  # the name of a format that a model's file brings along
# What templates are given in any case, and what they may call.
RESERVED = frozenset(
    "messages tools documents add_generation_prompt bos_token eos_token range dict namespace"
    " raise_exception strftime_now".split()
)


class VariableError(AppError):
    """A value that a template's variable cannot take."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting that the template reads: one of `choices`, or a number from `low` to `high`."""

    name: str
    default: int | str
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0

    def check(self, value: object) -> int | str:
        """`value` when it is allowed. Raises VariableError."""
        if self.choices and value in self.choices:
            return str(value)
        if not self.choices and type(value) is int and self.low <= value <= self.high:
            return value
        allowed = ", ".join(self.choices) or f"{self.low}-{self.high}"
        raise VariableError(
            "prompts.bad_variable", name=self.name, value=repr(value)[:40], allowed=allowed
        )


@dataclass(frozen=True, slots=True)
class FimMarks:
    """Where a code model reads what stands before and after the gap it fills."""

    prefix: str
    suffix: str
    middle: str

    @property
    def all(self) -> tuple[str, str, str]:
        return self.prefix, self.suffix, self.middle

    def render(self, before: str, after: str) -> RenderedPrompt:
        """The prompt that asks for the text between `before` and `after`."""
        start = len(self.prefix)
        middle = start + len(before) + len(self.suffix)
        text = self.prefix + before + self.suffix + after + self.middle
        both = (Span(start, start + len(before)), Span(middle, middle + len(after)))
        return RenderedPrompt(text, tuple(span for span in both if span.end > span.start))


# Of vocabularies whose file says nothing about gaps: the first whose three tokens are there.
FIM_MARKS = (
    FimMarks("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen, Codestral's kin
    FimMarks("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    FimMarks("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    FimMarks("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek
    FimMarks("▁<PRE>", "▁<SUF>", "▁<MID>"),  # Code Llama
)


@dataclass(frozen=True, slots=True)
class PromptFormat:
    name: str
    template: ChatTemplate
    stops: tuple[str, ...] = ()
    bos: BosRule = BosRule.VOCABULARY
    bos_text: str = ""  # how BOS is written, for people
    tokens: tuple[str, ...] = ()  # see RenderedPrompt
    default_system: str = ""
    supports_system: bool = True  # else its text is put before the first question
    is_completion: bool = False  # a base model: it continues text, it does not answer
    reasoning: Reasoning = Reasoning()
    thinking_switch: str = ""  # the template's variable that turns reasoning on and off
    thinks_by_default: bool | None = None  # None: the template itself decides
    stops_without_thinking: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    sampling: Mapping[str, float] = field(default_factory=dict)  # what its makers recommend
    fim: FimMarks | None = None
    tools: ToolSyntax | None = None  # how calls are written; None: the template knows no tools
    has_text_arguments: bool = False  # the template wants a call's arguments as JSON text

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        thinking: bool | None = None,
        variables: Mapping[str, object] | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> RenderedPrompt:
        """The prompt that asks for an answer to `messages` ({"role", "content", …}).

        A last message of the assistant's is the beginning of the answer. `thinking` None leaves it
        to the model's makers. `tools` in OpenAI's form; a template that knows none gets them as
        text. Raises MessagesError, VariableError, TemplateError.
        """
        ordered, prefill = split_prefill(in_order(messages))
        ordered = [self._without_reasoning(message) for message in ordered]
        if self.tools is None:
            ordered = without_tools(_with_instructions(ordered, tools))
        else:
            ordered = [self._with_arguments(message) for message in ordered]
        if self.default_system and (not ordered or ordered[0]["role"] != "system"):
            # Traced with no ranges: not a user's text, so its special tokens are meant.
            default = Traced(self.default_system, ())
            ordered.insert(0, {"role": "system", "content": default})
        if not self.supports_system:
            ordered = system_in_first_user(ordered)
        values = self._values(thinking, variables or {})
        if tools and self.tools:
            values["tools"] = list(tools)
        prompt = _continued(self._fitted(ordered, values), prefill)
        return replace(prompt, bos=self.bos, tokens=self.tokens)

    def _fitted(self, ordered: list[Message], values: Mapping[str, Any]) -> RenderedPrompt:
        """`ordered` as it is, or, where the template refuses or loses it, with the user first."""
        roles = [message["role"] for message in ordered if message["role"] != "system"]
        if roles and roles[0] == "user":
            return self.template.render(ordered, add_generation_prompt=True, **values)
        try:
            prompt = self.template.render(ordered, add_generation_prompt=True, **values)
            if ordered and all(str(m["content"]).strip() in prompt.text for m in ordered):
                return prompt
        except TemplateError:
            pass
        fitted = user_first(ordered) if roles or not ordered else system_in_first_user(ordered)
        return self.template.render(fitted, add_generation_prompt=True, **values)

    def render_fim(self, before: str, after: str) -> RenderedPrompt:
        """The prompt that asks for the text between `before` and `after`."""
        assert self.fim is not None, f"{self.name} fills no gaps"
        return replace(self.fim.render(before, after), bos=self.bos, tokens=self.tokens)

    def stop_strings(self, thinking: bool | None = None) -> tuple[str, ...]:
        """Where an answer ends, besides the vocabulary's own end-of-generation tokens."""
        thinks = self._thinks(thinking)
        return self.stops + self.stops_without_thinking if thinks is False else self.stops

    def reasoning_parser(self, prompt: RenderedPrompt) -> ReasoningParser:
        """Tells reasoning and answer apart in what the model says after `prompt`."""
        return self.reasoning.parser(prompt)

    @property
    def can_think(self) -> bool:
        return self.reasoning.kind is not ReasoningKind.NONE

    def _without_reasoning(self, message: Message) -> Message:
        if message["role"] != "assistant":
            return message
        return {**message, "content": self.reasoning.without(message["content"])}

    def _with_arguments(self, message: Message) -> Message:
        """A message whose calls are as the template reads them, with ids that all of them take."""
        if "tool_call_id" in message:
            return {**message, "tool_call_id": short_id(message["tool_call_id"])}
        if not message.get("tool_calls"):
            return message
        return {**message, "tool_calls": [self._call(call) for call in message["tool_calls"]]}

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        function = call["function"]
        arguments = function["arguments"]
        if self.has_text_arguments:
            arguments = json.dumps(arguments, ensure_ascii=False)
        known = {"name": function["name"], "arguments": arguments}
        return {"type": "function", "id": short_id(call.get("id", "")), "function": known}

    def _values(self, thinking: bool | None, given: Mapping[str, object]) -> dict[str, object]:
        known = {variable.name: variable for variable in self.variables}
        others = {name: value for name, value in given.items() if name not in known}
        for name in others:
            if self.name != GGUF or name in RESERVED:
                raise VariableError("prompts.unknown_variable", name=name[:40], family=self.name)
        values: dict[str, object] = {
            name: variable.check(given.get(name, variable.default))
            for name, variable in known.items()
        }
        values |= {name: _outside(value) for name, value in others.items()}
        thinks = self._thinks(thinking)
        if self.thinking_switch and thinks is not None:
            values[self.thinking_switch] = thinks
        return values

    def _thinks(self, thinking: bool | None) -> bool | None:
        return self.thinks_by_default if thinking is None else thinking


def _outside(value: object) -> object:
    """A variable's value that somebody sent: its text is no template's."""
    return Traced(whole_characters(value)) if isinstance(value, str) else value


def short_id(call_id: str) -> str:
    """Nine letters or digits, which is all that Mistral's templates take."""
    digest = zlib.crc32(call_id.encode("utf-8", "surrogatepass"))
    return f"{digest:09x}"


def _with_instructions(
    ordered: Sequence[Message], tools: Sequence[Mapping[str, Any]]
) -> list[Message]:
    """The messages with the tools in their system message, as plain text."""
    if not tools:
        return list(ordered)
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    call = PLAIN.written("…", ' {"…": "…"}')
    (said,) = task_prompt("tools", Language.EN).messages(tools=listed, call=call)
    head, rest = (ordered[:1], ordered[1:]) if ordered[0]["role"] == "system" else ((), ordered)
    texts = [*(message["content"] for message in head), said["content"]]
    return [{"role": "system", "content": BETWEEN.join(texts)}, *rest]


def _continued(prompt: RenderedPrompt, prefill: str) -> RenderedPrompt:
    """The prompt with the beginning of the answer, which came from a message."""
    if not prefill:
        return prompt
    prefill = whole_characters(prefill)
    span = Span(len(prompt.text), len(prompt.text) + len(prefill))
    spans = prompt.message_spans
    if spans and spans[-1].end == span.start:
        span = Span(spans[-1].start, span.end)
        spans = spans[:-1]
    return replace(prompt, text=prompt.text + prefill, message_spans=(*spans, span))
