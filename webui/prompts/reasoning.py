"""Reasoning: what a model thinks before it answers, told apart from the answer while it streams.

Knows the marks (<think>, [THINK], Gemma's thought channel, harmony's channels); knows nothing about
tokens or about who shows what.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from webui.prompts.markers import CHANNEL_MARKS, first_marker, num_held
from webui.prompts.rendered import RenderedPrompt


class ReasoningKind(StrEnum):
    NONE = "none"
    TAGS = "tags"  # one mark opens it, one closes it
    CHANNELS = "channels"  # harmony: every message names its channel


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How a family marks its reasoning. `open` and `close` belong to TAGS."""

    kind: ReasoningKind = ReasoningKind.NONE
    open: str = "<think>"
    close: str = "</think>"
    is_anywhere: bool = False  # the mark opens reasoning in the middle of an answer, too

    def parser(self, prompt: RenderedPrompt | None = None) -> "ReasoningParser":
        """A parser for one answer to `prompt`, in which the reasoning may have begun already."""
        tail = _template_tail(prompt) if prompt else ""
        match self.kind:
            case ReasoningKind.TAGS:
                return TagParser(self, is_open=tail.rfind(self.open) > tail.rfind(self.close))
            case ReasoningKind.CHANNELS:
                return ChannelParser(tail)
            case ReasoningKind.NONE:
                return PlainParser()

    def without(self, content: str) -> str:
        """An old answer as history holds it: without its reasoning."""
        if self.kind is ReasoningKind.NONE or not content.lstrip().startswith(self._first_mark):
            return content
        parser = self.parser()
        return parser.feed(content)[0] + parser.flush()[0]

    @property
    def _first_mark(self) -> str:
        return self.open if self.kind is ReasoningKind.TAGS else "<|channel|>"


class ReasoningParser(Protocol):
    """Text of one answer in, (answer, reasoning) increments out; any split gives the same sums."""

    def feed(self, text: str) -> tuple[str, str]: ...

    def flush(self) -> tuple[str, str]:
        """What was kept back, at the end."""
        ...


class PlainParser:
    """For models that do not reason aloud."""

    def feed(self, text: str) -> tuple[str, str]:
        return text, ""

    def flush(self) -> tuple[str, str]:
        return "", ""


class TagParser:
    def __init__(self, reasoning: Reasoning, *, is_open: bool) -> None:
        self._marks = reasoning
        self._is_inside = is_open
        self._has_answer = False
        self._held = ""

    def feed(self, text: str) -> tuple[str, str]:
        answer, thought = "", ""
        text = self._held + text
        while hit := first_marker(text, self._wanted()):
            at, mark = hit
            before, text = text[:at], text[at + len(mark) :]
            if self._is_inside:
                thought += before
            elif not self._opens_after(before):
                answer += self._answer(before + mark)
                continue
            else:
                answer += self._answer(before)
            self._is_inside = mark == self._marks.open
        keep = num_held(text, self._wanted())
        shown, self._held = text[: len(text) - keep], text[len(text) - keep :]
        if self._is_inside:
            return answer, thought + shown
        return answer + self._answer(shown), thought

    def flush(self) -> tuple[str, str]:
        held, self._held = self._held, ""
        return ("", held) if self._is_inside else (self._answer(held), "")

    def _wanted(self) -> tuple[str, ...]:
        if self._is_inside:
            return self._marks.open, self._marks.close
        return (self._marks.open,) if self._marks.is_anywhere or not self._has_answer else ()

    def _opens_after(self, before: str) -> bool:
        return self._marks.is_anywhere or not (self._has_answer or before.strip())

    def _answer(self, text: str) -> str:
        """`text` as part of the answer, which begins with its first visible character."""
        if not self._has_answer:
            text = text.lstrip()
        self._has_answer = self._has_answer or bool(text)
        return text


class ChannelParser:
    """Harmony: `<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final…`

    `prompt_tail` may have named the channel already. Only `final` is the answer.
    """

    def __init__(self, prompt_tail: str = "") -> None:
        self._held = ""
        self._header: str | None = ""  # None: inside a message
        self._is_answer = True  # what has no header is the answer
        self._split(prompt_tail[max(0, prompt_tail.rfind("<|start|>")) :])
        if self._header is not None and "<|channel|>" not in self._header:
            self._header = ""  # the role is named; what comes now is a channel, or plain text

    def feed(self, text: str) -> tuple[str, str]:
        text = self._held + text
        keep = num_held(text, CHANNEL_MARKS)
        self._held = text[len(text) - keep :]
        return self._split(text[: len(text) - keep])

    def flush(self) -> tuple[str, str]:
        held, self._held = self._held, ""
        return self._split(held)

    def _split(self, text: str) -> tuple[str, str]:
        parts = ["", ""]  # answer, reasoning
        while text:
            at, mark = first_marker(text, CHANNEL_MARKS) or (len(text), "")
            self._take(text[:at], parts)
            self._pass(mark)
            text = text[at + len(mark) :]
        return parts[0], parts[1]

    def _take(self, text: str, parts: list[str]) -> None:
        if self._header is not None and (self._header.strip() or not text.strip()):
            self._header += text  # the channel's name, "assistant", "to=…"
        elif self._header is not None:  # no header at all: an answer without channels
            parts[0] += self._header + text
            self._header, self._is_answer = None, True
        else:
            parts[0 if self._is_answer else 1] += text

    def _pass(self, mark: str) -> None:
        match mark:
            case "<|start|>" | "<|channel|>":
                self._header = (self._header or "") + mark
            case "<|message|>":
                _, named, channel = (self._header or "").rpartition("<|channel|>")
                self._is_answer = not named or channel.split()[:1] == ["final"]
                self._header = None
            case "<|end|>" | "<|return|>" | "<|call|>":
                self._header = ""


def _template_tail(prompt: RenderedPrompt) -> str:
    """What the template wrote after the last message: the beginning of the answer."""
    last = prompt.message_spans[-1].end if prompt.message_spans else 0
    return prompt.text[last:]
