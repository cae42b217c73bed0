"""POST /chat/completions and /completions: from a checked body to an answer, whole or streamed."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from webui.api.auth import owner_of
from webui.api.v1.errors import body_of, language_of
from webui.api.v1.items import chat_body, messages_of
from webui.api.v1.limits import TokenBudget
from webui.api.v1.objects import Answer, ChatShape, Object, Shape, TextShape, usage_of
from webui.api.v1.response_schemas import ResponsesRequest
from webui.api.v1.responses import ResponseShape, ResponseStore, asked_of
from webui.api.v1.schemas import (
    ChatRequest,
    Choices,
    CompletionRequest,
    JsonFormat,
    Pattern,
    TextFormat,
)
from webui.api.v1.sse import CLIENT_GONE, EventStream, comment, while_connected
from webui.api.v1.tools import Wanted, grammar_and_checker, toolbox_of
from webui.engine.client import Progress
from webui.engine.grammar.checking import Checker
from webui.engine.grammar.json_schema import JSON_OBJECT
from webui.engine.grammar.regex import text_grammar
from webui.engine.pool import Waiting
from webui.errors import AppError
from webui.strings import Language
from webui.tasks.complete import Ask, BadAskError, Completions, Event, Started

PATIENCE_S = 1.0  # an error within this time is a status, later an event of the stream
KEEP_ALIVE_S = 5.0
MAX_ANSWERS = 64  # prompts × choices of one request
LEGACY_MAX_TOKENS = 16  # OpenAI's default for /completions
SAMPLING_FIELDS = (
    "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty",
    "frequency_penalty", "penalty_last_n", "ignore_eos", "grammar",
)  # fmt: skip


class Answering:
    def __init__(self, completions: Completions, budget: TokenBudget, store: ResponseStore) -> None:
        self._store = store
        self._completions = completions
        self._budget = budget

    async def chat(self, request: Request, body: ChatRequest) -> Response:
        """Raises AppError."""
        # In a thread: a large schema takes a while, and others go on meanwhile.
        ask = await asyncio.to_thread(_chat_ask, body, owner_of(request))
        shape = ChatShape(
            ask.num_choices,
            shows_logprobs=bool(body.logprobs),
            shows_usage=_shows_usage(body),
            is_legacy=body.functions is not None,
        )
        return await self._respond(request, ask, shape, body)

    async def respond(self, request: Request, body: ResponsesRequest) -> Response:
        """Raises AppError."""
        owner = owner_of(request)
        fields = body.model_dump(exclude_none=True)
        history = [
            *self._store.messages(owner, body.previous_response_id),
            *messages_of(body.input),
        ]
        instructions = [{"role": "system", "content": body.instructions}]
        asked = [*(instructions if body.instructions else ()), *history]
        chat = _validated(chat_body(fields, asked))
        ask = await asyncio.to_thread(_chat_ask, chat, owner)
        repeated = asked_of(fields, is_kept=self._store.is_open)
        shape = ResponseShape(repeated, self._store, owner, history)
        return await self._respond(request, ask, shape, chat)

    def stored(self, request: Request, response_id: str) -> Object:
        """A response that is kept. Raises AppError."""
        return self._store.response(owner_of(request), response_id)

    def forget(self, request: Request, response_id: str) -> Object:
        """Raises AppError."""
        self._store.forget(owner_of(request), response_id)
        return {"id": response_id, "object": "response.deleted", "deleted": True}

    async def complete(self, request: Request, body: CompletionRequest) -> Response:
        """Raises AppError."""
        ask = await asyncio.to_thread(_text_ask, body, owner_of(request))
        shown = [prompt if body.echo else None for prompt in ask.prompts]
        shape = TextShape(shown, ask.num_choices, shows_usage=_shows_usage(body))
        return await self._respond(request, ask, shape, body)

    async def _respond(
        self, request: Request, ask: Ask, shape: Shape, body: ChatRequest | CompletionRequest
    ) -> Response:
        self._budget.check(ask.owner)
        events = self._completions.run(ask)
        if not body.stream:
            whole = await while_connected(request, self._whole(ask, shape, events))
            return JSONResponse(whole) if whole else Response(status_code=CLIENT_GONE)
        opening = await while_connected(request, _opening(events))
        if opening is None:
            return Response(status_code=CLIENT_GONE)
        shows_usage = _shows_usage(body)
        collected = _Collected(ask, shape)
        return EventStream(
            self._stream(collected, opening, events, shows_usage, language_of(request))
        )

    async def _whole(
        self, ask: Ask, shape: Shape, events: AsyncGenerator[Event, None]
    ) -> dict[str, Any]:
        collected = _Collected(ask, shape)
        async with contextlib.aclosing(events):
            async for item in events:
                collected.take(item)
        self._budget.spend(ask.owner, collected.usage["total_tokens"])
        return shape.whole(collected.answers, collected.usage)

    async def _stream(
        self,
        collected: "_Collected",
        opening: list[Event],
        events: AsyncGenerator[Event, None],
        shows_usage: bool,
        language: Language,
    ) -> AsyncGenerator[bytes, None]:
        """Chunks; comments while there is nothing to say; an error as the last event."""
        shape = collected.shape
        sent_at = -KEEP_ALIVE_S  # who has to wait is told so at once
        try:
            async with contextlib.aclosing(events):
                async for item in _chained(opening, events):
                    chunks = collected.take(item)
                    if chunks:
                        yield b"".join(map(shape.written, chunks))
                    elif time.monotonic() - sent_at >= KEEP_ALIVE_S:
                        yield comment(_news(item))
                    else:
                        continue
                    sent_at = time.monotonic()
            if shows_usage:
                yield shape.written(shape.usage_chunk(collected.usage))
            yield shape.ending
        except AppError as error:
            yield shape.written(shape.failed(body_of(error, language)[1]))
        finally:
            self._budget.spend(collected.owner, collected.usage["total_tokens"])


class _Collected:
    """The answers of one request so far."""

    def __init__(self, ask: Ask, shape: Shape) -> None:
        self.shape = shape
        self.owner = ask.owner
        self.answers = [Answer() for _ in range(max(1, len(ask.prompts)) * ask.num_choices)]
        self._num_choices = ask.num_choices
        self._num_prompt_tokens = 0

    @property
    def usage(self) -> dict[str, Any]:
        return usage_of(self.answers, self._num_prompt_tokens, self._num_choices)

    def take(self, item: Event) -> list[dict[str, Any]]:
        """The chunks that tell `item` to the client."""
        if isinstance(item, Started):
            self._num_prompt_tokens = item.num_prompt_tokens
            return self.shape.start(item)
        if isinstance(item, Waiting | Progress):
            return []
        self.answers[item.choice].take(item)
        return self.shape.chunks(item)


def _validated(body: Object) -> ChatRequest:
    """Raises AppError and RequestValidationError."""
    try:
        return ChatRequest.model_validate(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(), body=body) from error


async def _opening(events: AsyncGenerator[Event, None]) -> list[Event]:
    """The first events: until the prompt is accepted, or for PATIENCE_S. Raises AppError."""
    began = time.monotonic()
    seen: list[Event] = []
    async for item in events:
        seen.append(item)
        if isinstance(item, Started) or time.monotonic() - began >= PATIENCE_S:
            break
    return seen


async def _chained(
    opening: Iterable[Event], events: AsyncGenerator[Event, None]
) -> AsyncGenerator[Event, None]:
    for item in opening:
        yield item
    async for item in events:
        yield item


def _news(item: Event) -> str:
    if isinstance(item, Waiting) and item.is_loading:
        return f"loading the model, {item.load_fraction:.0%}"
    if isinstance(item, Waiting):
        return f"waiting, {item.num_ahead} ahead"
    if isinstance(item, Progress):
        return f"reading the prompt, {item.num_prompt_done} of {item.num_prompt_tokens} tokens"
    return "working"


def _shows_usage(body: ChatRequest | CompletionRequest) -> bool:
    return bool(body.stream_options and body.stream_options.include_usage)


def _chat_ask(body: ChatRequest, owner: str) -> Ask:
    _check_stream_options(body)
    if body.top_logprobs is not None and not body.logprobs:
        raise BadAskError("serving.needs", "top_logprobs", needed="logprobs: true")
    sampling = _sampling(body)
    if body.max_completion_tokens or body.max_tokens:
        sampling["max_tokens"] = body.max_completion_tokens or body.max_tokens
    if body.logprobs:
        sampling["logprobs"] = body.top_logprobs or 0
    grammar, checker = _format(body)
    if grammar:
        sampling |= {"grammar": grammar, "must_close": True}
    thinking = body.enable_thinking
    if thinking is None and body.reasoning_effort is not None:
        thinking = body.reasoning_effort not in ("none", "minimal")
    return Ask(
        model_id=body.model,
        owner=owner,
        messages=tuple(message.as_message() for message in body.messages),
        sampling=sampling,
        stops=_stops(body),
        num_choices=body.n or 1,
        thinking=thinking,
        variables=body.template_variables or {},
        toolbox=toolbox_of(_wanted_tools(body)),
        checker=checker,
    )


def _wanted_tools(body: ChatRequest) -> Wanted:
    """By today's names, or by the old ones: a function was called alone."""
    if body.functions is None:
        is_parallel = body.parallel_tool_calls is not False
        return Wanted(body.tools, body.tool_choice, is_parallel)
    if body.tools is not None:
        raise BadAskError("serving.not_together", "functions", other="tools")
    return Wanted(body.functions, body.function_call, False, "functions", "function_call")


def _text_ask(body: CompletionRequest, owner: str) -> Ask:
    _check_stream_options(body)
    num_choices = body.n or 1
    if body.best_of not in (None, num_choices):
        raise BadAskError("serving.must_equal", "best_of", other="n")
    prompts = _prompts(body)
    if len(prompts) * num_choices > MAX_ANSWERS:
        raise BadAskError("serving.too_many_answers", "n", limit=MAX_ANSWERS)
    sampling = _sampling(body)
    limits = (body.max_completion_tokens, body.max_tokens, LEGACY_MAX_TOKENS)
    limit = next(limit for limit in limits if limit is not None)
    sampling["max_tokens"] = max(1, limit)
    grammar, checker = _format(body)
    if grammar:
        sampling |= {"grammar": grammar, "must_close": True}
    if body.logprobs is not None:
        sampling |= {"logprobs": body.logprobs, "scores_prompt": bool(body.echo)}
    return Ask(
        model_id=body.model,
        owner=owner,
        prompts=prompts,
        suffix=body.suffix or "",
        writes_nothing=limit == 0,
        sampling=sampling,
        stops=_stops(body),
        num_choices=num_choices,
        checker=checker,
    )


def _prompts(body: CompletionRequest) -> tuple[str | tuple[int, ...], ...]:
    given = body.prompt
    if isinstance(given, str):
        return (given,)
    if isinstance(given[0], int):
        return (tuple(item for item in given if isinstance(item, int)),)
    return tuple(item if isinstance(item, str) else tuple(item) for item in given)


def _sampling(body: ChatRequest | CompletionRequest) -> dict[str, Any]:
    """What is set, in SamplingParams' names."""
    values = {name: getattr(body, name) for name in SAMPLING_FIELDS}
    sampling = {name: value for name, value in values.items() if value is not None}
    if body.seed is not None:
        sampling["seed"] = body.seed % (1 << 32)
    if body.logit_bias:
        sampling["logit_bias"] = tuple(
            (_token_id(key), float(bias)) for key, bias in body.logit_bias.items()
        )
    return sampling


def _token_id(key: str) -> int:
    if not (key.isascii() and key.isdigit() and len(key) <= 8):
        raise BadAskError("serving.bad_token_id", "logit_bias", value=key[:20])
    return int(key)


def _stops(body: ChatRequest | CompletionRequest) -> tuple[str, ...]:
    if isinstance(body.stop, str):
        return (body.stop,)
    return tuple(body.stop or ())


def _format(body: ChatRequest | CompletionRequest) -> tuple[str, Checker | None]:
    """The grammar of `response_format`, "" without one, and who checks what it does not hold.

    Raises BadAskError.
    """
    wanted = body.response_format
    if wanted is None or isinstance(wanted, TextFormat):
        return "", None
    if body.grammar:
        raise BadAskError("serving.not_together", "grammar", other="response_format")
    match wanted:
        case JsonFormat():
            return JSON_OBJECT, None
        case Choices():
            literals = (json.dumps(text, ensure_ascii=False) for text in wanted.choices)
            return f"root ::= {' | '.join(literals)}\n", None
        case Pattern():
            try:
                return text_grammar(wanted.pattern), None
            except ValueError as error:
                raise BadAskError("serving.bad_pattern", "response_format", reason=error) from error
    return grammar_and_checker(wanted.json_schema.schema_, "response_format")


def _check_stream_options(body: ChatRequest | CompletionRequest) -> None:
    if body.stream_options and not body.stream:
        raise BadAskError("serving.needs", "stream_options", needed="stream: true")
