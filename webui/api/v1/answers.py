"""POST /answers: a question, answered from documents, with citations[] and truncated."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from fastapi import Request, Response

from webui.api.auth import owner_of
from webui.api.v1.errors import language_of
from webui.api.v1.limits import TokenBudget
from webui.api.v1.task_schemas import AnswersRequest, InlineDocument
from webui.api.v1.tasks import Envelope, Object, respond, usage_from
from webui.application import Application
from webui.engine.request import FinishReason
from webui.storage import DocumentChoice
from webui.strings import Language
from webui.tasks.ask.exports import to_values
from webui.tasks.ask.followups import PastTurn
from webui.tasks.ask.inquiry import AnswerUpdate, Asking, AskState
from webui.tasks.ask.prompting import Wishes
from webui.tasks.ask.temporary import answer_from_texts
from webui.tasks.complete import BadAskError

MAX_INLINE_CHARS = 2_000_000  # of all texts together: they are split and indexed for one answer
SAMPLING_FIELDS = ("max_tokens", "temperature", "top_p")


class Answers:
    def __init__(self, application: Application, budget: TokenBudget) -> None:
        self._application = application
        self._budget = budget

    async def answer(self, request: Request, body: AnswersRequest) -> Response:
        """Raises AppError."""
        owner = owner_of(request)
        language = Language(body.language) if body.language else language_of(request)
        updates = self._updates(_asking(body, owner, language), _inline(body))
        shape = AnswerShape()
        return await respond(
            request, owner, self._budget, updates, shape, is_stream=bool(body.stream)
        )

    def _updates(
        self, asking: Asking, texts: list[tuple[str, str]]
    ) -> AsyncGenerator[AnswerUpdate, None]:
        application = self._application
        if not texts:
            return application.asker.answer(asking)
        return answer_from_texts(application.engines, application.chat.formats, asking, texts)


class AnswerShape:
    def __init__(self) -> None:
        self._envelope = Envelope("answer")
        self._num_sent = 0
        self._has_sent_passages = False

    def chunks(self, update: AnswerUpdate) -> list[Object]:
        """First how many passages were found useful, then the text as it grows."""
        found = []
        if update.passages and not self._has_sent_passages:
            self._has_sent_passages = True
            found.append(self._chunk(update, num_passages=len(update.passages)))
        if update.state is AskState.DONE:
            return found  # the whole object has the text with all its marks
        if len(update.text) > self._num_sent:
            found.append(self._chunk(update, delta={"content": update.text[self._num_sent :]}))
            self._num_sent = len(update.text)
        return found

    def whole(self, last: AnswerUpdate) -> Object:
        assert last.answer is not None, "the last update has it"
        return self._envelope.of(
            last.model_id,
            **to_values(last.answer),
            finish_reason="length" if _is_cut(last) else "stop",
            truncated=_is_cut(last),
            usage=usage_from(last.usage),
            timings=last.timings,
        )

    def has_begun(self, update: AnswerUpdate) -> bool:
        return bool(update.passages) or update.state is AskState.DONE

    def num_tokens(self, update: AnswerUpdate) -> int:
        return update.num_prompt_tokens + update.num_tokens

    def _chunk(self, update: AnswerUpdate, **values: Any) -> Object:
        return self._envelope.of(update.model_id, is_chunk=True, **values)


def _is_cut(last: AnswerUpdate) -> bool:
    return last.finish_reason is FinishReason.LENGTH


def _asking(body: AnswersRequest, owner: str, language: Language) -> Asking:
    if not body.question.strip():
        raise BadAskError("ask.empty_question", "question")
    ids = [item for item in body.documents or [] if isinstance(item, str)]
    choice = DocumentChoice(True, tuple(body.collections or ()), tuple(ids))
    history = tuple(PastTurn(turn.question, turn.answer) for turn in body.history or ())
    return Asking(
        body.question,
        owner,
        choice,
        history,
        model_id=body.model,
        wishes=Wishes(_sampling(body)),
        language=language,
        says_in=Language(body.language) if body.language else None,
    )


def _inline(body: AnswersRequest) -> list[tuple[str, str]]:
    """The texts that came along. Raises BadAskError."""
    given = [item for item in body.documents or [] if isinstance(item, InlineDocument)]
    if given and body.collections:
        raise BadAskError("serving.not_together", "collections", other="documents: [{name, text}]")
    if sum(len(item.text) for item in given) > MAX_INLINE_CHARS:
        raise BadAskError("serving.texts_too_long", "documents", limit=MAX_INLINE_CHARS)
    return [(item.name, item.text) for item in given]


def _sampling(body: AnswersRequest) -> Mapping[str, Any]:
    values = {name: getattr(body, name) for name in SAMPLING_FIELDS}
    sampling = {name: value for name, value in values.items() if value is not None}
    return sampling if body.seed is None else {**sampling, "seed": body.seed % (1 << 32)}
