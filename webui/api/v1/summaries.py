"""POST /summaries: bullets of a text or a conversation, with citations[], flags and truncated."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import Request, Response

from webui.api.auth import owner_of
from webui.api.v1.errors import language_of
from webui.api.v1.limits import TokenBudget
from webui.api.v1.task_schemas import SummariesRequest
from webui.api.v1.tasks import Envelope, Object, respond, usage_of
from webui.application import Application
from webui.errors import AppError
from webui.strings import Language, text
from webui.tasks.complete import BadAskError
from webui.tasks.summarize.once import summarize_once
from webui.tasks.summarize.result import Summary
from webui.tasks.summarize.settings import AUTO, SummarySettings
from webui.tasks.summarize.source import pasted
from webui.tasks.summarize.summarizer import RunState, SummaryUpdate

_BEGUN = (RunState.READING, RunState.WRITING, RunState.MERGING, RunState.DONE)


class Summaries:
    def __init__(self, application: Application, budget: TokenBudget) -> None:
        self._application = application
        self._budget = budget

    async def summarize(self, request: Request, body: SummariesRequest) -> Response:
        """Raises AppError."""
        owner = owner_of(request)
        spec = self._application.engines.spec(body.model)
        updates = self._updates(owner, body, spec.id)
        shape = SummaryShape(spec.id, language_of(request))
        return await respond(
            request, owner, self._budget, updates, shape, is_stream=bool(body.stream)
        )

    async def _updates(
        self, owner: str, body: SummariesRequest, model_id: str
    ) -> AsyncGenerator[SummaryUpdate, None]:
        source = await asyncio.to_thread(pasted, _text(body), body.title)
        application = self._application
        run = summarize_once(
            application.storage,
            application.engines,
            application.chat.formats,
            owner,
            source,
            _settings(body),
            model_id,
            application.library.embedder,
        )
        async with aclosing(run) as updates:
            async for update in updates:
                yield update


class SummaryShape:
    def __init__(self, model_id: str, language: Language) -> None:
        self._envelope = Envelope("summary")
        self._model_id = model_id
        self._language = language
        self._num_done = -1

    def chunks(self, update: SummaryUpdate) -> list[Object]:
        """How far it is, whenever a part is done."""
        if update.state is RunState.DONE or update.num_done == self._num_done:
            return []
        self._num_done = update.num_done
        values = {"num_done": update.num_done, "num_calls": update.num_calls}
        progress = {"state": str(update.state), **values, "eta_s": update.eta_s}
        return [self._envelope.of(self._model_id, is_chunk=True, progress=progress)]

    def whole(self, last: SummaryUpdate) -> Object:
        if last.result is None:
            raise AppError("summary.failed", reason=last.error)
        summary = last.result
        return self._envelope.of(
            self._model_id,
            title=summary.title,
            bullets=[{"text": b.text, "section": b.section} for b in summary.bullets],
            citations=_citations(summary),
            flags=_flags(summary),
            language_ok=summary.language_ok,
            notices=[text(f"summary.{note}", self._language) for note in summary.notes],
            truncated=False,  # a long text is summarised in parts: nothing is ever left out
            usage=_usage(summary),
            timings={"total_s": summary.timings["total_s"]},
        )

    def has_begun(self, update: SummaryUpdate) -> bool:
        return update.state in _BEGUN and update.num_calls > 0

    def num_tokens(self, update: SummaryUpdate) -> int:
        return int(_usage(update.result)["total_tokens"]) if update.result else 0


def _citations(summary: Summary) -> list[Object]:
    """`bullet` counts from 0; a place is characters [start, end) of the text."""
    return [
        {
            "bullet": index,
            "quote": quote.quote,
            "score": quote.score,
            "start": quote.start,
            "end": quote.end,
        }
        for index, bullet in enumerate(summary.bullets)
        for quote in bullet.sources
    ]


def _flags(summary: Summary) -> list[Object]:
    """A place is characters [start, end) of the bullet."""
    return [
        {
            "bullet": index,
            "kind": str(flag.kind),
            "text": flag.text,
            "start": flag.start,
            "end": flag.end,
        }
        for index, bullet in enumerate(summary.bullets)
        for flag in bullet.flags
    ]


def _usage(summary: Summary) -> Object:
    counts = summary.timings
    names = ("prompt_tokens", "cached_tokens", "completion_tokens")
    return usage_of(*(int(counts[name]) for name in names))


def _text(body: SummariesRequest) -> str:
    """What is to be summarised. Raises BadAskError."""
    if (body.text is None) == (body.messages is None):
        raise BadAskError("serving.one_of", "text", other="messages")
    if body.messages is None:
        return body.text or ""
    language = Language(body.language)
    said = (message.as_text() for message in body.messages)
    return "\n\n".join(f"{_speaker(one['role'], language)}: {one['content']}" for one in said)


def _speaker(role: str, language: Language) -> str:
    role = "tool" if role == "function" else role
    known = role if role in ("user", "assistant", "tool") else "system_prompt"
    return text(f"export.{known}", language)


def _settings(body: SummariesRequest) -> SummarySettings:
    values: dict[str, Any] = body.model_dump(include={"mode", "granularity", "style", "language"})
    return SummarySettings.parse({**values, "num_bullets": body.bullets or AUTO})
