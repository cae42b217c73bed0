"""Numbered passages and a question → the exact prompt, within the room that the model has.

The passages stand first, so the engine reads them once for several questions about them. Text of a
passage never becomes a control token: it is message text like any other. Knows no engine.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from webui.engine.client import PromptTooLongError
from webui.engine.request import SamplingParams
from webui.engine.tokenizer import Tokenizer
from webui.prompts import Choice, ReasoningParser
from webui.prompts.task_prompts import TaskPrompt, task_prompt
from webui.strings import Language
from webui.tasks.ask.quoting import Quote, quotes_grammar
from webui.tasks.ask.result import NumberedPassage
from webui.tasks.formats import known_variables
from webui.tasks.sampling import sampling_of
from webui.text.places import PlaceKind

MAX_PASSAGES = 6  # 2,000 characters: the answer stands in them for .97 of JSQuAD's questions
TITLE_CHARS = 80
TEMPERATURE = 0.2
MAX_TOKENS = 512
ANSWER_SHARE = 4  # a quarter of the context is kept for the answer, or max_tokens if that is less
_NUMBER = re.compile(r"\[(\d{1,3}(?:\s*[,、]\s*\d{1,3})*)\]")
_BLANK_LINES = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a conversation or a program wants of the answer besides."""

    sampling: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str = ""
    thinking: bool | None = None  # None: no, where there is a choice; the passages say it
    variables: object = None


@dataclass(frozen=True, slots=True)
class AnswerPrompt:
    token_ids: tuple[int, ...]
    sampling: SamplingParams
    stops: tuple[str, ...]
    parser: ReasoningParser
    passages: tuple[NumberedPassage, ...]  # those that fitted
    nothing: str  # what the model is told to say when they do not answer

    def quoting(self, quotes: Sequence[Quote]) -> "AnswerPrompt":
        """The same, where the answer can only be one of the quotes."""
        sampling = replace(self.sampling, grammar=quotes_grammar(quotes))
        return replace(self, sampling=sampling)


def answer_prompt(
    tokenizer: Tokenizer,
    choice: Choice,
    n_ctx: int,
    question: str,
    passages: Sequence[NumberedPassage],
    language: Language,
    wishes: Wishes,
) -> AnswerPrompt:
    """The prompt with as many of the passages as fit. Raises PromptTooLongError when none does."""
    chat = choice.format
    wording = task_prompt("ask", language).for_family(choice.family)
    makers = {**chat.sampling, "max_tokens": MAX_TOKENS}
    makers["temperature"] = min(float(makers.get("temperature", TEMPERATURE)), TEMPERATURE)
    sampling = sampling_of({**makers, **wishes.sampling})
    room = n_ctx - min(sampling.max_tokens, n_ctx // ANSWER_SHARE)
    variables = known_variables(chat, wishes.variables)
    thinking = wishes.thinking
    if thinking is None and chat.thinking_switch:
        thinking = False

    def rendered(count: int) -> tuple[list[int], Callable[[], ReasoningParser]]:
        messages = wording.messages(
            passages="".join(
                _passage(wording, item, language) for item in passages[:count]
            ).rstrip(),
            conditions=_conditions(wording),
            question=" ".join(question.split()),
        )
        if wishes.system_prompt.strip():
            messages.insert(0, {"role": "system", "content": wishes.system_prompt})
        prompt = chat.render(messages, thinking=thinking, variables=variables)
        return tokenizer.encode(prompt), lambda: chat.reasoning_parser(prompt)

    count = min(len(passages), MAX_PASSAGES)
    ids, parser = rendered(count)
    while len(ids) > room and count > 1:
        count -= 1
        ids, parser = rendered(count)
    if len(ids) > room:
        raise PromptTooLongError(len(ids) + n_ctx - room, n_ctx)
    stops = chat.stop_strings(thinking)
    fitted = replace(
        sampling,
        max_tokens=min(sampling.max_tokens, n_ctx - len(ids)),
        stop_token_ids=tokenizer.stop_token_ids(stops),
    )
    nothing = wording.phrase("nothing")
    return AnswerPrompt(tuple(ids), fitted, stops, parser(), tuple(passages[:count]), nothing)


def _conditions(wording: TaskPrompt) -> str:
    return "".join(map(wording.phrase, ("cite", "abstain", "faithful", "end")))


def _passage(wording: TaskPrompt, passage: NumberedPassage, language: Language) -> str:
    page = wording.phrase("page", page=passage.page) if passage.page else ""
    if passage.place and passage.place.kind is not PlaceKind.PARAGRAPH:  # its title is that
        page = f" {passage.place.label(language)}"
    title = " ".join(f"{passage.file}{page} {passage.title}".split())[:TITLE_CHARS]
    return wording.phrase(
        "passage", number=passage.number, title=_tame(title), text=_tame(passage.text)
    )


def _tame(text: str) -> str:
    """Without what would look like a passage of its own: blank lines, and numbers as ours are."""
    return _NUMBER.sub(r"［\1］", _BLANK_LINES.sub("\n", text.strip()))
