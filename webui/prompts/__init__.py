"""Prompts: from messages to the exact text a model was trained on, with the ranges that came
from messages. The only door to Jinja. Knows nothing about tokens, engines or pages."""

from webui.prompts.rendered import BosRule, RenderedPrompt, Span
from webui.prompts.template import ChatTemplate, TemplateError, TemplateRefusedError

__all__ = [
    "BosRule",
    "ChatTemplate",
    "RenderedPrompt",
    "Span",
    "TemplateError",
    "TemplateRefusedError",
]
