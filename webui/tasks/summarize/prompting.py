"""The prompts of a summary for one loaded model: wording from files, counted by its tokenizer.

The instruction stands before the text and is the same for every section, so the engine reads it
once; what differs stands behind the text. Knows no engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from webui.engine.request import SamplingParams
from webui.engine.tokenizer import Tokenizer
from webui.prompts import Choice
from webui.tasks.summarize.settings import Mode, SummarySettings
from webui.tasks.summarize.wording import merging_messages, section_messages

TEMPERATURE = 0.3

Ids = tuple[int, ...]
Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Prompting:
    tokenizer: Tokenizer
    choice: Choice
    settings: SummarySettings

    def count(self, text: str) -> int:
        return len(self.tokenizer.encode_text(text))

    def section(self, text: str, title: str, count: int) -> tuple[Ids, Ids]:
        """Prompts for `count` bullets of a part of the document: the usual and a stronger one."""

        def ask(more: Sequence[str]) -> Messages:
            return section_messages(self.settings, self.choice.family, text, title, count, more)

        return self._pair(ask)

    def merging(self, points: Sequence[str], title: str, count: int) -> tuple[Ids, Ids]:
        """Prompts that make `count` bullets of the bullets of several parts."""

        def ask(more: Sequence[str]) -> Messages:
            return merging_messages(self.settings, self.choice.family, points, title, count, more)

        return self._pair(ask)

    def sampling(self, seed: int) -> SamplingParams:
        makers = dict(self.choice.format.sampling)
        temperature = min(float(makers.get("temperature", TEMPERATURE)), TEMPERATURE)
        return SamplingParams(temperature=temperature, seed=seed)

    def _pair(self, ask: Callable[[Sequence[str]], Messages]) -> tuple[Ids, Ids]:
        usual = self._ids(ask(()))
        if self.settings.mode is Mode.VERBATIM:
            return usual, usual
        return usual, self._ids(ask(("again",)))

    def _ids(self, messages: Messages) -> Ids:
        chat = self.choice.format
        thinking = False if chat.thinking_switch else None  # the grammar begins at once
        return tuple(self.tokenizer.encode(chat.render(messages, thinking=thinking)))
