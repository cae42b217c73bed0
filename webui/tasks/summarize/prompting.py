"""The prompts of a summary for one loaded model: wording from files, counted by its tokenizer.

The instruction stands before the text and is the same for every Span; what differs stands behind
the text, so that another try reads nothing twice. Knows no engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from webui.engine.request import SamplingParams
from webui.engine.tokenizer import Tokenizer
from webui.prompts import Choice
from webui.prompts.task_prompts import task_prompt
from webui.tasks.summarize.settings import Mode, SummarySettings

TITLE_CHARS = 60

Ids = tuple[int, ...]
Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Prompting:
    tokenizer: Tokenizer
    choice: Choice
    settings: SummarySettings

    def count(self, text: str) -> int:
        return len(self.tokenizer.encode_text(text))

    def bullet(
        self,
        text: str,
        title: str,
        key: str,
        kind: str = "",
        speaker: str = "",
        facts: Sequence[str] = (),
    ) -> tuple[Ids, Ids]:
        """Prompts for one bullet of a Span: the usual and a stronger one.

        `key`: what carries it; `kind`: a part of minutes; `speaker`: who says the key; `facts`:
        words of the key that must not get lost.
        """
        return self._pair("summarize", text, title, key, kind, speaker, facts)

    def merging(self, points: Sequence[str], title: str, key: str) -> tuple[Ids, Ids]:
        """Prompts that make one bullet of the bullets that a long Span is made of."""
        return self._pair("reduce", "\n".join(f"・{point}" for point in points), title, key)

    def sampling(self, seed: int) -> SamplingParams:
        return SamplingParams(temperature=0, seed=seed)

    def _pair(
        self,
        task: str,
        text: str,
        title: str,
        key: str,
        kind: str = "",
        speaker: str = "",
        facts: Sequence[str] = (),
    ) -> tuple[Ids, Ids]:
        if self.settings.mode is Mode.VERBATIM:
            usual = self._ids(messages("extract", self.settings, self.choice.family, text, title))
            return usual, usual

        def ask(*more: str) -> Ids:
            family = self.choice.family
            return self._ids(
                messages(task, self.settings, family, text, title, key, kind, speaker, facts, more)
            )

        return ask(), ask("again")

    def _ids(self, said: Messages) -> Ids:
        chat = self.choice.format
        thinking = False if chat.thinking_switch else None  # the grammar begins at once
        return tuple(self.tokenizer.encode(chat.render(said, thinking=thinking)))


def messages(
    task: str,
    settings: SummarySettings,
    family: str,
    text: str,
    title: str = "",
    key: str = "",
    kind: str = "",
    speaker: str = "",
    facts: Sequence[str] = (),
    more: Sequence[str] = (),
) -> Messages:
    """Asks for one bullet of `text`; `task` and `more` name a file and phrases of prompts/tasks/"""
    wording = task_prompt(task, settings.language).for_family(family)
    rules = {"style": wording.phrase(f"style_{settings.style}")}
    conditions = []
    if title.strip():
        conditions.append(wording.phrase("title", title=" ".join(title.split())[:TITLE_CHARS]))
    if settings.mode is Mode.ABSTRACT:
        rules["length"] = wording.phrase(f"length_{settings.granularity}")
        conditions += [wording.phrase("key", key=" ".join(key.split()))] if key else []
        conditions += [wording.phrase("speaker", speaker=speaker)] if speaker else []
        conditions += [wording.phrase(f"kind_{kind}")] if kind else []
        conditions += [wording.phrase("facts", facts=", ".join(facts))] if facts else []
    conditions += [wording.phrase(name) for name in more]
    said = "".join(conditions)
    said += "\n" if said and not said.endswith("\n") else ""
    return wording.messages(text=text, rules=wording.phrase("rules", **rules), conditions=said)
