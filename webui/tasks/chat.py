"""Chat: a conversation's history becomes a prompt, the answer streams and is saved as it comes.

Knows conversations, models and prompts; knows nothing about Gradio or HTTP.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from webui.catalog import ModelSpec
from webui.engine.client import Delta, Engine, Progress
from webui.engine.pool import EnginePool, Waiting
from webui.engine.request import SamplingParams
from webui.errors import AppError
from webui.prompts import ReasoningParser
from webui.storage import Conversation, Message, Role, Status, Storage
from webui.strings import Language
from webui.tasks.context import ContextUsage, fit_history
from webui.tasks.formats import Formats, known_variables
from webui.tasks.sampling import sampling_of
from webui.tasks.titles import title_from

UPDATE_S = 0.1  # at most ten updates a second
SAVE_S = 1.0  # what a crash of the whole app may lose


class ReplyState(StrEnum):
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


class Chat:
    def __init__(self, storage: Storage, pool: EnginePool, formats: Formats | None = None) -> None:
        self._storage = storage
        self._pool = pool
        self.formats = formats or Formats(storage)

    def send(self, owner: str, conversation_id: str, text: str) -> Message:
        """Append the user's message after what is shown. Raises NotFoundError."""
        conversation = self._storage.conversation(owner, conversation_id)
        message = self._storage.add_message(
            owner, conversation_id, Role.USER, text, parent_id=conversation.leaf_id
        )
        if conversation.title_is_auto and message.parent_id is None:
            title = title_from(text)
            self._storage.update_conversation(owner, conversation_id, title=title)
        return message

    def edit(self, owner: str, message_id: str, text: str) -> Message:
        """A new version of a user message; the old one and its answers stay as a branch."""
        old = self._storage.message(owner, message_id)
        return self._storage.add_message(
            owner, old.conversation_id, Role.USER, text, parent_id=old.parent_id
        )

    async def reply(
        self, owner: str, conversation_id: str, *, language: Language = Language.JA
    ) -> AsyncGenerator[ReplyUpdate, None]:
        """Answer the last user message; a new version when it has an answer already.

        Yields at once, at most every UPDATE_S and at least every half second. Closing the
        generator, or cancelling its task, stops the answer; what was written is saved. Errors
        that a user can understand come as a last update with state ERROR, never as exceptions.
        """
        conversation = self._storage.conversation(owner, conversation_id)
        path = _to_last_question(self._storage.path(owner, conversation_id))
        if not path:
            return
        draft = self._begin(conversation, path[-1])
        try:
            yield draft.current()
            async with contextlib.aclosing(self._pool.leased(draft.model_id, owner)) as states:
                async for state in states:
                    if isinstance(state, Waiting):
                        yield draft.wait(state)
                        continue
                    model = LoadedModel(state, self._pool.spec(draft.model_id))
                    prompt = self._prompt(model, conversation, path)
                    async with contextlib.aclosing(_stream(state, prompt, draft)) as updates:
                        async for update in updates:
                            yield update
        except AppError as error:
            yield draft.fail(error.message(language))
        finally:
            draft.close()

    async def context_usage(self, owner: str, conversation_id: str) -> ContextUsage | None:
        """How full the window is for what is shown; None while its model is not loaded.

        Raises what building the prompt raises, such as QuestionTooLongError.
        """
        conversation = self._storage.conversation(owner, conversation_id)
        spec = self._pool.spec(conversation.model_id)
        engine = self._pool.loaded(spec.id)
        path = self._storage.path(owner, conversation_id)
        if engine is None or not path:
            return None
        model = LoadedModel(engine, spec)
        if path[-1].role is Role.USER:
            return self._prompt(model, conversation, path).usage
        # A prompt ends with a question: the shortest one stands for the next.
        asked = [*path, replace(path[-1], role=Role.USER, content="?")]
        usage = self._prompt(model, conversation, asked).usage
        return replace(usage, num_turns=usage.num_turns - 1)

    def _begin(self, conversation: Conversation, question: Message) -> "_Draft":
        """An empty answer to `question`, saved at once so that nothing is lost from here on."""
        with contextlib.suppress(AppError):  # an unknown model is told when it is loaded
            conversation = replace(conversation, model_id=self._pool.spec(conversation.model_id).id)
        answer = self._storage.add_message(
            conversation.owner,
            conversation.id,
            Role.ASSISTANT,
            "",
            parent_id=question.id,
            model_id=conversation.model_id,
            status=Status.WRITING,
        )
        return _Draft(self._storage, conversation.owner, answer)

    def _prompt(
        self,
        model: "LoadedModel",
        conversation: Conversation,
        path: list[Message],
    ) -> "Prompt":
        """What the model reads. Raises QuestionTooLongError, SamplingError, TemplateError, …"""
        engine = model.engine
        assert engine.ready and engine.tokenizer, "an acquired engine is loaded"
        answer_format = self.formats.choice(model.spec, engine.tokenizer, conversation.owner).format
        settings = conversation.sampling
        thinking = settings.get("thinking")
        variables = known_variables(answer_format, settings.get("variables"))
        stops = answer_format.stop_strings(thinking)
        sampling = sampling_of({**answer_format.sampling, **settings})
        fitted = fit_history(
            engine.tokenizer,
            lambda messages: answer_format.render(messages, thinking=thinking, variables=variables),
            engine.ready.n_ctx,
            conversation.system_prompt,
            path,
            replace(sampling, stop_token_ids=engine.tokenizer.stop_token_ids(stops)),
        )
        parser = answer_format.reasoning_parser(fitted.rendered)
        return Prompt(fitted.token_ids, fitted.sampling, stops, fitted.usage, parser)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    engine: Engine
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that the engine needs for one answer."""

    token_ids: tuple[int, ...]
    sampling: SamplingParams
    stops: tuple[str, ...]
    usage: ContextUsage
    parser: ReasoningParser  # tells reasoning and answer apart


def _to_last_question(path: list[Message]) -> list[Message]:
    while path and path[-1].role is not Role.USER:
        path = path[:-1]
    return path


async def _stream(
    engine: Engine, prompt: Prompt, draft: "_Draft"
) -> AsyncGenerator[ReplyUpdate, None]:
    """The answer to `prompt`, as updates."""
    draft.begin(prompt)
    shown_at = 0.0
    events = engine.generate(prompt.token_ids, prompt.sampling, prompt.stops)
    async with contextlib.aclosing(events):
        async for event in events:
            draft.take(event)
            now = time.perf_counter()
            if draft.is_over or now - shown_at >= UPDATE_S:
                shown_at = now
                yield draft.current()


class _Draft:
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

    @property
    def is_over(self) -> bool:
        return self._update.state in (ReplyState.DONE, ReplyState.ERROR)

    def begin(self, prompt: Prompt) -> None:
        self._parser = prompt.parser
        self._update = replace(
            self._update,
            state=ReplyState.QUEUED,
            num_prompt_tokens=len(prompt.token_ids),
            num_dropped_turns=prompt.usage.num_dropped_turns,
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

    def fail(self, sentence: str) -> ReplyUpdate:
        """It ended with an error; the text so far is kept with the sentence beside it."""
        self.update(ReplyState.ERROR, error=sentence)
        update = self.update(ReplyState.ERROR, stats=self._stats({}))
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
            stats = {
                "finish_reason": str(delta.finish_reason),
                "prompt_tokens": delta.usage.prompt_tokens,
                "cached_tokens": delta.usage.cached_tokens,
                "completion_tokens": delta.usage.completion_tokens,
                "tokens_per_s": round(delta.usage.tokens_per_s, 2),
                "queue_s": round(delta.usage.queue_s, 3),
            }
            self.update(ReplyState.DONE, stats=self._stats(stats))
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
        )
