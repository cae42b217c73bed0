"""PromptFormat: all that is needed to talk with one model, whatever its template came from.

Puts messages in order, fills the template's variables, and knows where answers stop. Knows nothing
about directories, model files or tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from webui.errors import AppError
from webui.prompts.jinja.template import ChatTemplate
from webui.prompts.jinja.traced import Traced
from webui.prompts.messages import in_order, system_in_first_user
from webui.prompts.reasoning import Reasoning, ReasoningKind, ReasoningParser
from webui.prompts.rendered import BosRule, RenderedPrompt, Span


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

    def render(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        thinking: bool | None = None,
        variables: Mapping[str, object] | None = None,
    ) -> RenderedPrompt:
        """The prompt that asks for an answer to `messages` ({"role", "content"}).

        `thinking` None leaves it to the model's makers. Raises MessagesError, VariableError,
        TemplateError.
        """
        ordered = [self._without_reasoning(message) for message in in_order(messages)]
        if self.default_system and ordered[0]["role"] != "system":
            # Traced with no ranges: not a user's text, so its special tokens are meant.
            default = Traced(self.default_system, ())
            ordered.insert(0, {"role": "system", "content": default})
        if not self.supports_system:
            ordered = system_in_first_user(ordered)
        values = self._values(thinking, variables or {})
        prompt = self.template.render(ordered, add_generation_prompt=True, **values)
        return replace(prompt, bos=self.bos, tokens=self.tokens)

    def render_fim(self, before: str, after: str) -> RenderedPrompt:
        """The prompt that asks for the text between `before` and `after`."""
        assert self.fim is not None, f"{self.name} fills no gaps"
        start = len(self.fim.prefix)
        middle = start + len(before) + len(self.fim.suffix)
        text = self.fim.prefix + before + self.fim.suffix + after + self.fim.middle
        both = (Span(start, start + len(before)), Span(middle, middle + len(after)))
        spans = tuple(span for span in both if span.end > span.start)
        return RenderedPrompt(text, spans, self.bos, self.tokens)

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

    def _without_reasoning(self, message: dict[str, str]) -> dict[str, str]:
        if message["role"] != "assistant":
            return message
        return {**message, "content": self.reasoning.without(message["content"])}

    def _values(self, thinking: bool | None, given: Mapping[str, object]) -> dict[str, object]:
        known = {variable.name: variable for variable in self.variables}
        for name in given.keys() - known.keys():
            raise VariableError("prompts.unknown_variable", name=name[:40], family=self.name)
        values: dict[str, object] = {
            name: variable.check(given.get(name, variable.default))
            for name, variable in known.items()
        }
        thinks = self._thinks(thinking)
        if self.thinking_switch and thinks is not None:
            values[self.thinking_switch] = thinks
        return values

    def _thinks(self, thinking: bool | None) -> bool | None:
        return self.thinks_by_default if thinking is None else thinking
