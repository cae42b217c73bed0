"""Inquiry: one question on its way to its answer: what is found, what is written, how long it took.

The values that callers of the Asker give and get. Knows no engine and no library.
"""

import time
from dataclasses import dataclass, field, replace
from enum import StrEnum

from webui.config import LOCAL_USER
from webui.engine.client import Delta, Progress
from webui.engine.pool import Waiting
from webui.engine.request import FinishReason, Usage
from webui.storage import DocumentChoice
from webui.strings import Language, text
from webui.tasks.ask.citing import shown_so_far
from webui.tasks.ask.followups import PastTurn
from webui.tasks.ask.prompting import AnswerPrompt, Wishes
from webui.tasks.ask.result import Abstention, Answer, NumberedPassage
from webui.tasks.ask.searching import Searched
from webui.text.language import main_language

NUM_NEAREST = 5  # passages that are shown where none is relevant


def answer_language(question: str, reader: Language) -> Language:
    """The question's; the reader's where a word or two may be either."""
    if any("\u3041" <= char <= "\u9fff" for char in question):
        return Language.JA
    return reader if len(question.split()) < 3 else main_language(question)


class AskState(StrEnum):
    SEARCHING = "searching"  # the documents
    LOADING = "loading"  # the model
    QUEUED = "queued"  # behind other requests
    READING = "reading"  # the passages
    WRITING = "writing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Asking:
    """One question. `history`: what was asked before it, oldest first.

    `last`: the answer before, which a request may be about. Passages of it that are found again
    keep their place, so that the model does not read them again.
    """

    question: str
    owner: str = LOCAL_USER
    documents: DocumentChoice = DocumentChoice(is_on=True)
    history: tuple[PastTurn, ...] = ()
    last: Answer | None = None
    model_id: str = ""
    wishes: Wishes = Wishes()
    language: Language = Language.JA  # of the reader; the answer is in the question's
    says_in: Language | None = None  # fixed sentences, unless in the question's


@dataclass(frozen=True, slots=True)
class AnswerUpdate:
    """The text so far and how it is going; the last one, DONE, has `answer`."""

    state: AskState
    text: str = ""
    reasoning: str = ""
    passages: tuple[NumberedPassage, ...] = ()  # as the model gets them, once it does
    load_fraction: float = 0.0  # while LOADING
    num_waiting_ahead: int = 0  # while QUEUED
    num_prompt_done: int = 0
    num_prompt_tokens: int = 0
    num_tokens: int = 0  # written
    model_id: str = ""  # once it is loaded
    answer: Answer | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None  # None: no model was asked
    timings: dict[str, float] = field(default_factory=dict)  # seconds, when DONE


class Inquiry:
    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.searched = Searched(asking.question)
        self.raw = ""  # as the model writes it
        self.model_id = ""  # once there is an engine
        self.language = answer_language(asking.question, asking.language)
        self.says_in = asking.says_in or self.language  # what is not of the model
        self._update = AnswerUpdate(AskState.SEARCHING)
        self._started_at = time.perf_counter()
        self._search_s = self._first_at = 0.0

    @property
    def answer(self) -> Answer | None:
        """Once it is finished."""
        return self._update.answer

    @property
    def is_cut(self) -> bool:
        """Whether the model had to stop at its limit of tokens."""
        return self._update.finish_reason is FinishReason.LENGTH

    def update(self, state: AskState) -> AnswerUpdate:
        self._update = replace(self._update, state=state)
        return self._update

    def found(self, searched: Searched, seconds: float) -> None:
        self.searched = searched
        self._search_s += seconds

    def wait(self, waiting: Waiting) -> AnswerUpdate:
        """Others come first, or the model is being loaded."""
        self._update = replace(
            self._update, load_fraction=waiting.load_fraction, num_waiting_ahead=waiting.num_ahead
        )
        return self.update(AskState.LOADING if waiting.is_loading else AskState.QUEUED)

    def begin(self, prompt: AnswerPrompt) -> None:
        """The model gets `prompt` now."""
        self._update = replace(
            self._update,
            state=AskState.QUEUED,
            passages=prompt.passages,
            num_prompt_tokens=len(prompt.token_ids),
            model_id=self.model_id,
        )

    def take(self, event: Progress | Delta, prompt: AnswerPrompt) -> AnswerUpdate:
        if isinstance(event, Progress):
            return self._take_progress(event)
        self._first_at = self._first_at or time.perf_counter()
        new, reasoning = prompt.parser.feed(event.text)
        if event.finish_reason:
            last, last_reasoning = prompt.parser.flush()
            new, reasoning = new + last, reasoning + last_reasoning
        self.raw += new
        self._update = replace(
            self._update,
            state=AskState.WRITING,
            text=shown_so_far(self.raw, len(prompt.passages), prompt.nothing),
            reasoning=(self._update.reasoning + reasoning).lstrip(),
            num_tokens=self._update.num_tokens + len(event.token_ids),
            finish_reason=event.finish_reason,
            usage=event.usage,
        )
        return self._update

    def outline(self, passages: tuple[NumberedPassage, ...]) -> Answer:
        """The answer without what the model has written."""
        searched = self.searched
        return Answer(
            "",
            searched.question,
            passages,
            num_found=len(searched.passages),
            used_vectors=searched.used_vectors,
            notice=" ".join(searched.notices),
        )

    def abstain(self, why: Abstention) -> AnswerUpdate:
        """There is no answer in the documents; what comes nearest is shown."""
        nearest = self._update.passages or self.searched.passages[:NUM_NEAREST]
        sentence = text("ask.not_found", self.says_in)
        return self.finish(replace(self.outline(nearest), text=sentence, abstention=why))

    def finish(self, answer: Answer) -> AnswerUpdate:
        now = time.perf_counter()
        timings = {"search_s": self._search_s, "total_s": now - self._started_at}
        if self._first_at:
            timings["time_to_first_token_s"] = self._first_at - self._started_at
        self._update = replace(
            self._update,
            state=AskState.DONE,
            text=answer.text,
            passages=answer.passages,
            answer=answer,
            timings={name: round(seconds, 4) for name, seconds in timings.items()},
        )
        return self._update

    def _take_progress(self, event: Progress) -> AnswerUpdate:
        if self._update.num_tokens:
            return self._update
        self._update = replace(
            self._update,
            num_prompt_done=event.num_prompt_done,
            num_waiting_ahead=max(0, event.num_waiting_ahead),
        )
        return self.update(AskState.QUEUED if event.num_waiting_ahead >= 0 else AskState.READING)
