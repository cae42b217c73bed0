"""The prompts of a summary for one loaded model: wording from files, counted by its tokenizer.

The instruction stands before the text and is the same for every section, so the engine reads it
once; what differs stands behind the text. Knows no engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from webui.engine.request import SamplingParams
from webui.engine.tokenizer import Tokenizer
from webui.prompts import Choice
from webui.tasks.summarize.settings import Mode, SummarySettings
from webui.tasks.task_prompts import TaskPrompt, task_prompt

TEMPERATURE = 0.3
TITLE_CHARS = 80


@dataclass(frozen=True, slots=True)
class Prompting:
    tokenizer: Tokenizer
    choice: Choice
    settings: SummarySettings

    def count(self, text: str) -> int:
        return len(self.tokenizer.encode_text(text))

    def section(self, text: str, title: str, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Prompts for `count` bullets of a part of the document: the usual and a stronger one."""
        is_verbatim = self.settings.mode is Mode.VERBATIM
        return self._pair("extract" if is_verbatim else "summarize", text, title, count)

    def merging(
        self, points: Sequence[str], title: str, count: int
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Prompts that make `count` bullets of the bullets of several parts."""
        is_verbatim = self.settings.mode is Mode.VERBATIM
        text = "\n".join(f"・{point}" for point in points)
        return self._pair("extract" if is_verbatim else "reduce", text, title, count)

    def sampling(self, seed: int) -> SamplingParams:
        makers = dict(self.choice.format.sampling)
        temperature = min(float(makers.get("temperature", TEMPERATURE)), TEMPERATURE)
        return SamplingParams(temperature=temperature, seed=seed)

    def _pair(
        self, task: str, text: str, title: str, count: int
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        wording = task_prompt(task, self.settings.language).for_family(self.choice.family)
        usual = self._ids(wording, text, self._conditions(wording, title, count))
        if self.settings.mode is Mode.VERBATIM:
            return usual, usual
        again = self._conditions(wording, title, count, ("again",))
        return usual, self._ids(wording, text, again)

    def _conditions(
        self, wording: TaskPrompt, title: str, count: int, more: Sequence[str] = ()
    ) -> str:
        settings = self.settings
        parts = [wording.phrase("count", count=count)]
        if settings.mode is Mode.ABSTRACT:
            parts.append(wording.phrase("one_sentence"))
            parts.append(wording.phrase(f"granularity_{settings.granularity}"))
        parts.append(wording.phrase(f"style_{settings.style}"))
        if title.strip():
            parts.append(wording.phrase("title", title=" ".join(title.split())[:TITLE_CHARS]))
        if settings.mode is Mode.ABSTRACT:
            parts.append(wording.phrase("faithful"))
        parts += [wording.phrase(name) for name in more]
        return "".join((*parts, wording.phrase("end")))

    def _ids(self, wording: TaskPrompt, text: str, conditions: str) -> tuple[int, ...]:
        chat = self.choice.format
        messages = wording.messages(text=text, conditions=conditions)
        thinking = False if chat.thinking_switch else None  # the grammar begins at once
        return tuple(self.tokenizer.encode(chat.render(messages, thinking=thinking)))
