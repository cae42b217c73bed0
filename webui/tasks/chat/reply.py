"""Reply: one answer while it is being written: its text, its numbers, and when it is saved.

Knows the message it is saved as; knows nothing about models, prompts or pages.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from webui.engine.client import Delta, Progress
from webui.engine.pool import Waiting
from webui.engine.request import FinishReason, Usage
from webui.errors import AppError
from webui.prompts import ReasoningParser
from webui.storage import Message, Status, Storage
from webui.strings import Language
from webui.tasks.ask.inquiry import AnswerUpdate
from webui.tasks.ask.result import Answer
from webui.tasks.chat.context import QuestionTooLongError
from webui.tasks.chat.repetition import RepetitionGuard

REPETITION = "repetition"  # why an answer ended; the engine's own reasons are FinishReasons
SAVE_S = 1.0  # what a crash of the whole app may lose


class ReplyState(StrEnum):
    SEARCHING = "searching"  # the documents
    LOADING = "loading"  # the model
    QUEUED = "queued"  # behind other requests
    READING = "reading"  # the prompt
    WRITING = "writing"
    DONE = "done"
    STOPPED = "stopped"  # by the user; what was written is kept
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ReplyUpdate:
    """The whole answer so far and how it is going."""

    message_id: str
    state: ReplyState
    text: str = ""
    reasoning: str = ""
    load_fraction: float = 0.0  # while LOADING
    num_prompt_done: int = 0
    num_prompt_tokens: int = 0
    num_waiting_ahead: int = 0  # while QUEUED
    num_dropped_turns: int = 0  # oldest turns that did not fit into the context
    elapsed_s: float = 0.0
    stats: Mapping[str, Any] = field(default_factory=dict)  # when finished
    error: str = ""  # one sentence in the user's language, when ERROR
    answer: Answer | None = None  # when DONE, if it was made from documents

    @property
    def is_over(self) -> bool:
        return self.state in (ReplyState.DONE, ReplyState.STOPPED, ReplyState.ERROR)


class Draft:
    """One answer while it is being written: its text, its numbers, and when to save it."""

    def __init__(self, storage: Storage, owner: str, message: Message) -> None:
        self._storage = storage
        self._owner = owner
        self._message_id = message.id
        self.model_id = message.model_id
        self._started_at = self._saved_at = time.perf_counter()
        self._first_at = 0.0
        self._num_tokens = 0
        self._update = ReplyUpdate(message.id, ReplyState.LOADING)
        self._saved = False
        self._parser: ReasoningParser | None = None
        self._guard: RepetitionGuard | None = None

    @property
    def is_over(self) -> bool:
        return self._update.is_over

    def begin(
        self,
        parser: ReasoningParser,
        num_prompt_tokens: int,
        num_dropped_turns: int,
        guard: RepetitionGuard | None = None,
    ) -> None:
        """With a `guard` an answer that runs in circles is over, whatever else would come."""
        self._parser = parser
        self._guard = guard
        self._update = replace(
            self._update,
            state=ReplyState.QUEUED,
            num_prompt_tokens=num_prompt_tokens,
            num_dropped_turns=num_dropped_turns,
        )

    def update(self, state: ReplyState, **changes: Any) -> ReplyUpdate:
        self._update = replace(self._update, state=state, **changes)
        return self.current()

    def wait(self, waiting: Waiting) -> ReplyUpdate:
        """Others come first, or the model is being loaded."""
        state = ReplyState.LOADING if waiting.is_loading else ReplyState.QUEUED
        return self.update(
            state, load_fraction=waiting.load_fraction, num_waiting_ahead=waiting.num_ahead
        )

    def current(self) -> ReplyUpdate:
        return replace(self._update, elapsed_s=time.perf_counter() - self._started_at)

    def take(self, event: Progress | Delta) -> None:
        if isinstance(event, Progress):
            self._take_progress(event)
        else:
            self._take_delta(event)
        if time.perf_counter() - self._saved_at >= SAVE_S:
            self._save(Status.WRITING)

    def follow(self, news: AnswerUpdate) -> ReplyUpdate:
        """News of an answer from documents."""
        self._num_tokens = news.num_tokens
        if news.num_tokens and not self._first_at:
            self._first_at = time.perf_counter()
        self.update(
            ReplyState(news.state),
            text=news.text,
            reasoning=news.reasoning,
            load_fraction=news.load_fraction,
            num_prompt_done=news.num_prompt_done,
            num_prompt_tokens=news.num_prompt_tokens,
            num_waiting_ahead=news.num_waiting_ahead,
            answer=news.answer,
        )
        if news.answer:
            stats = _engine_stats(news.finish_reason, news.usage)
            self.update(ReplyState.DONE, stats=self._stats(stats))
            self._save(Status.COMPLETE)
        elif time.perf_counter() - self._saved_at >= SAVE_S:
            self._save(Status.WRITING)
        return self.current()

    def fail(self, error: AppError, language: Language) -> ReplyUpdate:
        """It ended with an error; the text so far is kept with the sentence beside it."""
        self.update(ReplyState.ERROR, error=error.message(language))
        too_long = {"too_long": error.values} if isinstance(error, QuestionTooLongError) else {}
        update = self.update(ReplyState.ERROR, stats=self._stats(too_long))
        self._save(Status.PARTIAL if update.text else Status.ERROR)
        return update

    def close(self) -> None:
        """Save an answer that was stopped before its end."""
        if not self._saved:
            self.update(ReplyState.STOPPED, stats=self._stats({}))
            self._save(Status.PARTIAL)

    def _take_progress(self, event: Progress) -> None:
        if self._num_tokens:
            return
        queued = event.num_waiting_ahead >= 0
        self.update(
            ReplyState.QUEUED if queued else ReplyState.READING,
            num_prompt_done=event.num_prompt_done,
            num_waiting_ahead=max(0, event.num_waiting_ahead),
        )

    def _take_delta(self, delta: Delta) -> None:
        self._first_at = self._first_at or time.perf_counter()
        self._num_tokens += len(delta.token_ids)
        text, reasoning = self._separate(delta)
        self.update(
            ReplyState.WRITING,
            text=(self._update.text + text).lstrip(),
            reasoning=(self._update.reasoning + reasoning).lstrip(),
        )
        if delta.finish_reason and delta.usage:
            stats = _engine_stats(delta.finish_reason, delta.usage)
            self.update(ReplyState.DONE, stats=self._stats(stats))
            self._save(Status.COMPLETE)
        elif self._guard:
            self._end_circles(self._guard)

    def _end_circles(self, guard: RepetitionGuard) -> None:
        """The answer, or the reasoning before it, says the same again and again."""
        name = "text" if self._update.text else "reasoning"
        kept = guard.cut(getattr(self._update, name))
        if kept is not None:
            self.update(ReplyState.DONE, **{name: kept})
            self.update(ReplyState.DONE, stats=self._stats({"finish_reason": REPETITION}))
            self._save(Status.COMPLETE)

    def _separate(self, delta: Delta) -> tuple[str, str]:
        """(answer, reasoning) that this delta adds."""
        assert self._parser is not None, "begin() comes first"
        text, reasoning = self._parser.feed(delta.text)
        if delta.finish_reason:
            last_text, last_reasoning = self._parser.flush()
            return text + last_text, reasoning + last_reasoning
        return text, reasoning

    def _stats(self, from_engine: Mapping[str, Any]) -> dict[str, Any]:
        """What is shown under the answer; times as the user lived them, in seconds."""
        now = time.perf_counter()
        writing_s = now - self._first_at if self._first_at else 0.0
        measured = {
            "completion_tokens": self._num_tokens,
            "tokens_per_s": round(max(0, self._num_tokens - 1) / writing_s, 2) if writing_s else 0,
            "prompt_tokens": self._update.num_prompt_tokens,
            "num_dropped_turns": self._update.num_dropped_turns,
            "elapsed_s": round(now - self._started_at, 3),
            "time_to_first_token_s": (
                round(self._first_at - self._started_at, 3) if self._first_at else None
            ),
        }
        error = {"error": self._update.error} if self._update.error else {}
        return {**measured, **from_engine, **error}

    def _save(self, status: Status) -> None:
        self._saved_at = time.perf_counter()
        self._saved = status is not Status.WRITING
        self._storage.update_message(
            self._owner,
            self._message_id,
            content=self._update.text,
            reasoning=self._update.reasoning,
            status=status,
            stats=dict(self._update.stats),
            evidence=self._update.answer.evidence() if self._update.answer else None,
        )


def _engine_stats(finish_reason: FinishReason | None, usage: Usage | None) -> dict[str, Any]:
    """What the engine measured; {} where no model was asked."""
    if usage is None:
        return {}
    return {
        "finish_reason": str(finish_reason),
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "tokens_per_s": round(usage.tokens_per_s, 2),
        "queue_s": round(usage.queue_s, 3),
    }
