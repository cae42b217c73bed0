"""Numbered passages and a question → the exact prompt, within the room that the model has.

The passages stand first, so the engine reads them once for several questions about them. Text of a
passage never becomes a control token: it is message text like any other. Knows no engine.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from webui.engine.client import Engine, PromptTooLongError
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

MAX_PASSAGES = 4  # as far as they are worth it: .98 of JSQuAD's answers, 700 characters
TITLE_CHARS = 80
TEMPERATURE = 0.2
MAX_TOKENS = 512
MAX_CHOICE_TOKENS = 8
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
    wording = task_prompt("ask", language).for_family(choice.family)
    speech = _Speech(tokenizer, choice, wishes)
    room = n_ctx - min(speech.sampling.max_tokens, n_ctx // ANSWER_SHARE)

    def rendered(count: int) -> tuple[list[int], ReasoningParser]:
        messages = wording.messages(
            passages="".join(
                _passage(wording, item, language) for item in passages[:count]
            ).rstrip(),
            conditions=_conditions(wording),
            question=" ".join(question.split()),
        )
        return speech.rendered(messages)

    count = min(len(passages), MAX_PASSAGES)
    ids, parser = rendered(count)
    while len(ids) > room and count > 1:
        count -= 1
        ids, parser = rendered(count)
    if len(ids) > room:
        raise PromptTooLongError(len(ids) + n_ctx - room, n_ctx)
    fitted = speech.sampling_for(min(speech.sampling.max_tokens, n_ctx - len(ids)))
    nothing = wording.phrase("nothing")
    return AnswerPrompt(tuple(ids), fitted, speech.stops, parser, tuple(passages[:count]), nothing)


def plain_prompt(
    engine: Engine,
    choice: Choice,
    messages: Sequence[dict[str, str]],
    max_tokens: int,
    wishes: Wishes = Wishes(),
    stops: tuple[str, ...] = (),
) -> AnswerPrompt:
    """A prompt without passages. `max_tokens` is the most that is written, whatever was wished."""
    assert engine.tokenizer, "a leased engine is loaded"
    speech = _Speech(engine.tokenizer, choice, wishes, stops)
    ids, parser = speech.rendered(list(messages))
    fitted = speech.sampling_for(min(speech.sampling.max_tokens, max_tokens))
    return AnswerPrompt(tuple(ids), fitted, speech.stops, parser, (), "")


def choice_prompt(
    engine: Engine, choice: Choice, remark: str, language: Language
) -> tuple[AnswerPrompt, tuple[str, str]]:
    """Whether a remark asks for something: the prompt, and the two words that answer it."""
    wording = task_prompt("remark", language).for_family(choice.family)
    options = (wording.phrase("question"), wording.phrase("talk"))
    asked = [{"role": "user", "content": wording.phrase("kind", remark=remark)}]
    prompt = plain_prompt(engine, choice, asked, MAX_CHOICE_TOKENS)
    grammar = "root ::= " + " | ".join(f'"{option}"' for option in options)
    sampling = replace(prompt.sampling, temperature=0, grammar=grammar)
    return replace(prompt, sampling=sampling), options


class _Speech:
    """How a model is spoken to: its format, what was wished, where it stops."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        choice: Choice,
        wishes: Wishes,
        stops: tuple[str, ...] = (),
    ) -> None:
        chat = choice.format
        makers = {**chat.sampling, "max_tokens": MAX_TOKENS}
        makers["temperature"] = min(float(makers.get("temperature", TEMPERATURE)), TEMPERATURE)
        self.sampling = sampling_of({**makers, **wishes.sampling})
        self._tokenizer, self._chat = tokenizer, chat
        self._system_prompt = wishes.system_prompt.strip()
        self._variables = known_variables(chat, wishes.variables)
        self._thinking = wishes.thinking
        if self._thinking is None and chat.thinking_switch:
            self._thinking = False
        self.stops = (*chat.stop_strings(self._thinking), *stops)

    def rendered(self, messages: list[dict[str, str]]) -> tuple[list[int], ReasoningParser]:
        if self._system_prompt:
            messages = [m for m in messages if m["role"] != "system"]
            messages.insert(0, {"role": "system", "content": self._system_prompt})
        prompt = self._chat.render(messages, thinking=self._thinking, variables=self._variables)
        return self._tokenizer.encode(prompt), self._chat.reasoning_parser(prompt)

    def sampling_for(self, max_tokens: int) -> SamplingParams:
        stop_ids = self._tokenizer.stop_token_ids(self.stops)
        return replace(self.sampling, max_tokens=max_tokens, stop_token_ids=stop_ids)


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
