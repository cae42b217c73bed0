"""Chat: a conversation's history becomes a prompt, the answer streams and is saved as it comes.

Knows conversations, models and prompts; knows nothing about Gradio or HTTP.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from webui.engine.client import Engine
from webui.engine.pool import EnginePool, Waiting
from webui.engine.request import SamplingParams
from webui.errors import AppError
from webui.models import ModelSpec, UnknownModelError
from webui.prompts import ReasoningParser
from webui.storage import Conversation, Message, Role, Status, Storage
from webui.strings import Language
from webui.tasks.ask.asker import Asker
from webui.tasks.ask.followups import PastTurn
from webui.tasks.ask.inquiry import Asking
from webui.tasks.ask.prompting import Wishes
from webui.tasks.ask.result import answer_from
from webui.tasks.chat.context import ContextUsage, fit_history
from webui.tasks.chat.repetition import RepetitionGuard
from webui.tasks.chat.reply import Draft, ReplyState, ReplyUpdate
from webui.tasks.formats import Formats, known_variables
from webui.tasks.sampling import sampling_of
from webui.text.titles import title_from

__all__ = ["Chat", "LoadedModel", "Prompt", "ReplyState", "ReplyUpdate"]

UPDATE_S = 0.1  # at most ten updates a second


class Chat:
    """Without an `asker` there are no documents, and every answer comes from the model alone."""

    def __init__(
        self,
        storage: Storage,
        pool: EnginePool,
        formats: Formats | None = None,
        asker: Asker | None = None,
    ) -> None:
        self._storage = storage
        self._pool = pool
        self._asker = asker
        self.formats = formats or Formats(storage)

    def model_of(self, conversation: Conversation) -> ModelSpec:
        """Who answers it. Raises AppError."""
        return self._pool.spec(conversation.model_id)

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

        From documents where the conversation is set so; what the answer rests on is then in the
        last update and saved with the message.
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
            if self._asker and conversation.documents.is_on:
                asking = _asking(conversation, path, draft.model_id, language)
                answers = _from_documents(self._asker, asking, draft)
            else:
                answers = self._from_history(conversation, path, draft)
            async with aclosing(answers) as updates:
                async for update in updates:
                    yield update
        except UnknownModelError as error:
            name = self._pool.catalog.name_of(draft.model_id)
            gone = AppError("chat.model_gone", name=name) if name else error
            yield draft.fail(gone, language)
        except AppError as error:
            yield draft.fail(error, language)
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
        if self._asker and conversation.documents.is_on:
            return _usage_of_last_answer(engine, path)
        if path[-1].role is Role.USER:
            return (await asyncio.to_thread(self._prompt, model, conversation, path)).usage
        # A prompt ends with a question: the shortest one stands for the next.
        asked = [*path, replace(path[-1], role=Role.USER, content="?")]
        usage = (await asyncio.to_thread(self._prompt, model, conversation, asked)).usage
        return replace(usage, num_turns=usage.num_turns - 1)

    async def _from_history(
        self, conversation: Conversation, path: list[Message], draft: Draft
    ) -> AsyncGenerator[ReplyUpdate, None]:
        leased = self._pool.leased(draft.model_id, conversation.owner)
        async with aclosing(leased) as states:
            async for state in states:
                if isinstance(state, Waiting):
                    yield draft.wait(state)
                    continue
                model = LoadedModel(state, self._pool.spec(draft.model_id))
                prompt = await asyncio.to_thread(self._prompt, model, conversation, path)
                async with aclosing(_stream(state, prompt, draft)) as updates:
                    async for update in updates:
                        yield update

    def _begin(self, conversation: Conversation, question: Message) -> Draft:
        """An empty answer to `question`, saved at once so that nothing is lost from here on."""
        with contextlib.suppress(AppError):  # an unknown model is told when it is loaded
            conversation = replace(conversation, model_id=self.model_of(conversation).id)
        answer = self._storage.add_message(
            conversation.owner,
            conversation.id,
            Role.ASSISTANT,
            "",
            parent_id=question.id,
            model_id=conversation.model_id,
            status=Status.WRITING,
        )
        return Draft(self._storage, conversation.owner, answer)

    def _prompt(
        self,
        model: "LoadedModel",
        conversation: Conversation,
        path: list[Message],
    ) -> "Prompt":
        """What the model reads; long texts take a second: call it in a thread.

        Raises QuestionTooLongError, SamplingError, TemplateError, …"""
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


async def _from_documents(
    asker: Asker, asking: Asking, draft: Draft
) -> AsyncGenerator[ReplyUpdate, None]:
    async with aclosing(asker.answer(asking)) as updates:
        async for update in updates:
            yield draft.follow(update)


def _asking(
    conversation: Conversation, path: Sequence[Message], model_id: str, language: Language
) -> Asking:
    """The last message of `path` as a question about the conversation's documents."""
    settings = conversation.sampling
    turns: list[PastTurn] = []
    last = None
    for message in path[:-1]:
        if message.role is Role.USER:
            turns.append(PastTurn(message.content))
        elif turns:
            answer = answer_from(message.content, message.evidence)
            if answer and not answer.question:  # small talk: nothing to come back to
                del turns[-1]
                continue
            last = answer
            question = answer.question if answer else turns[-1].question
            turns[-1] = PastTurn(question, message.content)
    return Asking(
        path[-1].content,
        conversation.owner,
        conversation.documents,
        tuple(turns),
        last,
        model_id,
        Wishes(
            settings,
            conversation.system_prompt,
            settings.get("thinking"),
            settings.get("variables"),
        ),
        language,
    )


def _usage_of_last_answer(engine: Engine, path: Sequence[Message]) -> ContextUsage | None:
    """With documents only the passages and the question are read, whatever was said before."""
    assert engine.ready
    read = [m.stats.get("prompt_tokens") for m in path if m.role is Role.ASSISTANT]
    if not read or not isinstance(read[-1], int):
        return None
    return ContextUsage(read[-1], engine.ready.n_ctx, 1, 0)


async def _stream(
    engine: Engine, prompt: Prompt, draft: Draft
) -> AsyncGenerator[ReplyUpdate, None]:
    """The answer to `prompt`, as updates."""
    # Who asks to go on behind the end of an answer wants the length.
    guard = None if prompt.sampling.ignore_eos else RepetitionGuard()
    draft.begin(prompt.parser, len(prompt.token_ids), prompt.usage.num_dropped_turns, guard)
    shown_at = 0.0
    events = engine.generate(prompt.token_ids, prompt.sampling, prompt.stops)
    async with aclosing(events):
        async for event in events:
            draft.take(event)
            now = time.perf_counter()
            if draft.is_over or now - shown_at >= UPDATE_S:
                shown_at = now
                yield draft.current()
            if draft.is_over:  # the guard may have ended it before the engine does
                break
