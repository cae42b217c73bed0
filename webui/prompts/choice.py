"""Choice: which prompt format a model gets, why, and what the user should know about it.

catalogue > user > the model file's own template > name and architecture > completion with a
warning. A file's template that is known to be wrong for its model is overridden, and says so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from webui.errors import AppError
from webui.prompts.families import Family, UnknownFamilyError
from webui.prompts.format import GGUF, PromptFormat
from webui.prompts.jinja.template import ChatTemplate, TemplateError
from webui.prompts.markers import REASONING_MARKS
from webui.prompts.reasoning import Reasoning, ReasoningKind
from webui.prompts.tools import ToolSyntax, syntax_in

COMPLETION = "completion"  # the family that is no chat at all
SYSTEM_PROBE, USER_PROBE = "kajogaki-system", "kajogaki-user"
ARGUMENT_PROBE = "kajogaki-argument"
TOOL_PROBE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "kajogaki_tool",
        "description": "-",
        "parameters": {
            "type": "object",
            "properties": {ARGUMENT_PROBE: {"type": "boolean", "description": "-"}},
            "required": [ARGUMENT_PROBE],
        },
    },
}


class ChoiceReason(StrEnum):
    CATALOGUE = "catalogue"
    USER = "user"
    GGUF = "gguf"  # the template in the model's file
    NAME = "name"  # what the model is called, or its architecture
    NOTHING = "nothing"  # completion mode


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model's file says about itself."""

    name: str = ""
    architecture: str = ""
    chat_template: str = ""  # "" = none
    bos_token: str = ""
    eos_token: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """`family` is "" when the format is the model file's own. `warning` is for the user."""

    format: PromptFormat
    reason: ChoiceReason
    family: str = ""
    warning: AppError | None = None


def choose_family(
    families: Mapping[str, Family], model: ModelFacts, *, explicit: str = "", user: str = ""
) -> Choice:
    """How to speak to `model`. `explicit` is the catalogue's word, `user` the user's.

    Raises UnknownFamilyError when one of them names no family.
    """
    for name, reason in ((explicit, ChoiceReason.CATALOGUE), (user, ChoiceReason.USER)):
        if name:
            return _of_family(family_named(families, name), reason)
    likely = recognise(families, model)
    if model.chat_template.strip():
        return _gguf_or_better(model, likely, families)
    if likely:
        return _of_family(likely, ChoiceReason.NAME)
    warning = AppError("prompts.no_template", name=model.name)
    return _of_family(families[COMPLETION], ChoiceReason.NOTHING, warning)


def family_named(families: Mapping[str, Family], name: str) -> Family:
    if name not in families:
        raise UnknownFamilyError("prompts.unknown_family", name=name[:60])
    return families[name]


def recognise(families: Mapping[str, Family], model: ModelFacts) -> Family | None:
    """The family that the model's name speaks of most precisely, else its architecture."""
    name = re.sub(r"[\s_/]+", "-", model.name.lower())
    matches = [
        (len(found[0]), family)
        for family in families.values()
        for pattern in family.models
        if (found := pattern.search(name))
    ]
    if matches:
        return max(matches, key=lambda match: match[0])[1]
    return next((f for f in families.values() if model.architecture in f.architectures), None)


def gguf_format(model: ModelFacts) -> PromptFormat:
    """The file's own template as a format. Raises TemplateError when it loses the question."""
    source = model.chat_template
    template = ChatTemplate(
        source, name=model.name, bos_token=model.bos_token, eos_token=model.eos_token
    )
    question = {"role": "user", "content": USER_PROBE}
    probe = template.render([question]).text
    if USER_PROBE not in probe:
        raise TemplateError("prompts.template_drops_text", name=model.name)
    tools = _tools_of(template)
    return PromptFormat(
        name=GGUF,
        template=template,
        # Many a vocabulary names a BOS that its model never saw: Qwen's <|endoftext|>.
        bos_text=model.bos_token if probe.startswith(model.bos_token) else "",
        supports_system=_keeps_system(template, question),
        reasoning=_reasoning_in(source),
        thinking_switch=_thinking_switch_in(source),
        tools=tools,
        has_text_arguments=tools is not None and _wants_text_arguments(template),
    )


def _gguf_or_better(
    model: ModelFacts, likely: Family | None, families: Mapping[str, Family]
) -> Choice:
    try:
        own = gguf_format(model)
    except TemplateError as error:
        fallback = likely or families[COMPLETION]
        reason = ChoiceReason.NAME if likely else ChoiceReason.NOTHING
        return _of_family(fallback, reason, error)
    if likely and _is_wrong(model, own, likely):
        warning = AppError("prompts.template_overridden", name=model.name, family=likely.title)
        return _of_family(likely, ChoiceReason.NAME, warning)
    return Choice(own, ChoiceReason.GGUF)


def _is_wrong(model: ModelFacts, own: PromptFormat, likely: Family) -> bool:
    """Whether the file's template lacks what its model was trained on, or begins it twice."""
    if any(mark not in model.chat_template for mark in likely.template_needs):
        return True
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    text = own.render(messages).text
    return bool(model.bos_token) and text.count(model.bos_token) > 1


def _of_family(family: Family, reason: ChoiceReason, warning: AppError | None = None) -> Choice:
    if not (family.is_certain or warning):
        warning = AppError("prompts.uncertain", title=family.title)
    if family.unsupported:
        warning = AppError("prompts.unsupported", title=family.title, reason=family.unsupported)
    return Choice(family.format, reason, family.name, warning)


def _keeps_system(template: ChatTemplate, question: dict[str, str]) -> bool:
    """Whether a system message reaches the prompt: some templates refuse it, some lose it."""
    try:
        text = template.render([{"role": "system", "content": SYSTEM_PROBE}, question]).text
    except TemplateError:
        return False
    return SYSTEM_PROBE in text


def _reasoning_in(source: str) -> Reasoning:
    """What the template's own text says about reasoning."""
    if "<|channel|>" in source:
        return Reasoning(ReasoningKind.CHANNELS)
    for opens, closes in REASONING_MARKS:
        if opens.removesuffix("thought\n") in source:
            is_anywhere = opens.startswith("<|channel>")
            return Reasoning(ReasoningKind.TAGS, opens, closes, is_anywhere)
    return Reasoning()


def _thinking_switch_in(source: str) -> str:
    """The variable by which the template turns reasoning on and off."""
    if "enable_thinking" in source:
        return "enable_thinking"
    return "thinking" if re.search(r"\bthinking is defined", source) else ""


def _tools_of(template: ChatTemplate) -> ToolSyntax | None:
    """How the template's model writes calls; None where tools do not reach the prompt."""
    if "tools" not in template.source:
        return None
    try:
        text = template.render([{"role": "user", "content": USER_PROBE}], tools=[TOOL_PROBE]).text
    except TemplateError:
        return None
    name = TOOL_PROBE["function"]["name"]
    return syntax_in(template.source) if name in text else None


def _wants_text_arguments(template: ChatTemplate) -> bool:
    """Whether a call's arguments must be JSON text: as an object they fail or become no JSON."""
    name = TOOL_PROBE["function"]["name"]
    function = {"name": name, "arguments": {ARGUMENT_PROBE: True}}
    call = {"type": "function", "id": "abcdefghi", "function": function}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": USER_PROBE},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": USER_PROBE, "tool_call_id": "abcdefghi", "name": name},
    ]
    try:
        text = template.render(messages, tools=[TOOL_PROBE]).text
    except TemplateError:
        return True
    return f"'{ARGUMENT_PROBE}': True" in text
