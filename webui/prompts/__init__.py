"""Prompts: from messages to the exact text a model was trained on, with the ranges that came
from messages. The only door to Jinja. Knows nothing about tokens, engines or pages.

    choice = choose_family(builtin_families(), ModelFacts(name, architecture, template))
    prompt = choice.format.render(messages)        # → RenderedPrompt, for Tokenizer.encode
    parser = choice.format.reasoning_parser(prompt)
"""

from webui.prompts.authoring import remove_family, save_family
from webui.prompts.choice import (
    Choice,
    ChoiceReason,
    ModelFacts,
    choose_family,
    family_named,
    gguf_format,
)
from webui.prompts.families import (
    Family,
    FamilyError,
    UnknownFamilyError,
    builtin_families,
    load_families,
    load_family,
)
from webui.prompts.format import PromptFormat, Variable, VariableError
from webui.prompts.jinja.template import ChatTemplate, TemplateError, TemplateRefusedError
from webui.prompts.messages import MessagesError
from webui.prompts.reasoning import Reasoning, ReasoningKind, ReasoningParser
from webui.prompts.rendered import BosRule, RenderedPrompt, Span

__all__ = [
    "BosRule",
    "ChatTemplate",
    "Choice",
    "ChoiceReason",
    "Family",
    "FamilyError",
    "MessagesError",
    "ModelFacts",
    "PromptFormat",
    "Reasoning",
    "ReasoningKind",
    "ReasoningParser",
    "RenderedPrompt",
    "Span",
    "TemplateError",
    "TemplateRefusedError",
    "UnknownFamilyError",
    "Variable",
    "VariableError",
    "builtin_families",
    "choose_family",
    "family_named",
    "gguf_format",
    "load_families",
    "load_family",
    "remove_family",
    "save_family",
]
