"""ChatTemplate: a Jinja chat template turns messages into a prompt with marked ranges.

Knows nothing about tokens, families or where a template came from.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template

from webui.errors import AppError
from webui.prompts.jinja.budget import BudgetError, budget, weigh
from webui.prompts.jinja.filters import RefusedError
from webui.prompts.jinja.sandbox import Sandbox
from webui.prompts.jinja.traced import Traced, concat, spans_of
from webui.prompts.rendered import RenderedPrompt, Span

MAX_SOURCE_CHARS = 50_000  # compiling that takes up to a second; real ones have 1,000 to 20,000
MAX_OUTPUT_CHARS = 1_000_000  # plus MAX_OUTPUT_PER_INPUT times the messages
MAX_OUTPUT_PER_INPUT = 4

log = logging.getLogger(__name__)


class TemplateError(AppError):
    """A template that cannot be used, or not with these messages."""


class TemplateRefusedError(TemplateError):
    """The template itself refuses these messages (raise_exception), such as a system role."""


class ChatTemplate:
    """`name` is for people. Raises TemplateError when the source cannot be compiled."""

    def __init__(
        self,
        source: str,
        *,
        name: str,
        bos_token: str = "",
        eos_token: str = "",
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.source = source
        self.name = name
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}
        if len(source) > MAX_SOURCE_CHARS:
            raise TemplateError("prompts.template_too_long", name=name, limit=MAX_SOURCE_CHARS)
        self._template = self._compile(_sandbox(now))

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        **variables: object,
    ) -> RenderedPrompt:
        """The prompt for `messages` ({"role", "content"}); every other key is message text too,
        as are `tools`, however deep it lies and the names of their values with it.

        Roles must come from us, not from a user. A value that is Traced already keeps its marks.
        Raises TemplateError, within about a second, when the template fails, loops or prints
        without end.
        """
        tools = variables.get("tools")
        values = {
            "documents": None,
            **self._tokens,
            **variables,
            "tools": _traced_value(tools) if tools else None,
            "messages": [_traced(message) for message in messages],
            "add_generation_prompt": add_generation_prompt,
        }
        try:
            num_chars = weigh(list(messages), tools)
            with budget(num_chars):
                text = self._output(values, MAX_OUTPUT_CHARS + MAX_OUTPUT_PER_INPUT * num_chars)
        except RefusedError as error:
            raise TemplateRefusedError(
                "prompts.template_refuses", name=self.name, reason=error
            ) from error
        except Exception as error:  # whatever a stranger's template may raise
            raise self._failure(error) from error
        return RenderedPrompt(
            str.__str__(text), tuple(Span(start, end) for start, end in spans_of(text))
        )

    def _compile(self, sandbox: Sandbox) -> Template:
        try:
            return sandbox.from_string(self.source)
        except Exception as error:  # as in render; also Python's own limits on nesting
            raise self._failure(error) from error

    def _output(self, values: dict[str, object], max_chars: int) -> str:
        context = self._template.new_context(values)
        parts, num_chars = [], 0
        for part in self._template.root_render_func(context):
            parts.append(part)
            num_chars += len(part)
            if num_chars > max_chars:
                raise BudgetError("it prints too much")
        return concat(parts)

    def _failure(self, error: Exception) -> TemplateError:
        log.info("template %s failed: %r", self.name, type(error))
        reason = str(error)[:300] or type(error).__name__
        if isinstance(error, RecursionError | MemoryError):
            reason = "it is nested too deeply"
        return TemplateError("prompts.template_fails", name=self.name, reason=reason)


@lru_cache(maxsize=8)
def _sandbox(now: Callable[[], datetime]) -> Sandbox:
    return Sandbox(now)


def _traced(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message with every text but its role marked, and no half of a surrogate pair in it."""
    return {key: value if key == "role" else _traced_value(value) for key, value in message.items()}


def _traced_value(value: Any) -> Any:
    """`value` with all its texts marked, at whatever depth."""
    if isinstance(value, str):
        return value if isinstance(value, Traced) else Traced(whole_characters(value))
    if isinstance(value, Mapping):
        return {_traced_value(key): _traced_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_traced_value(item) for item in value]
    return value


def whole_characters(text: str) -> str:
    """`text` without lone surrogates, which no encoding can carry: U+FFFD stands for them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
