"""Completions: messages or text in, pieces of answers out, as a program asks for them.

The stateless sibling of chat.py: nothing is saved and nothing is left out of the prompt. Knows
models and prompts; knows nothing about HTTP.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from webui.config import LOCAL_USER
from webui.engine.client import Delta, Engine, Progress, PromptTooLongError
from webui.engine.grammar.checking import Checker
from webui.engine.grammar.matcher import Grammar
from webui.engine.pool import EnginePool, Waiting
from webui.engine.request import SamplingParams
from webui.engine.tokenizer import Tokenizer, num_tokens
from webui.models import ModelSpec
from webui.prompts import ReasoningParser, RenderedPrompt
from webui.prompts.format import FIM_MARKS, FimMarks
from webui.prompts.tools import PLAIN, ToolSyntax
from webui.tasks.calling import CallingAnswer, made_before
from webui.tasks.checking import again, checked
from webui.tasks.formats import Formats
from webui.tasks.pieces import BadAskError, CallChoice, Piece, Toolbox
from webui.tasks.sampling import sampling_of


@dataclass(frozen=True, slots=True)
class Ask:
    """One question of a program: either `messages`, or `prompts` that are continued as they are.

    Choices are numbered through: those of the first prompt, then those of the next.
    """

    model_id: str = ""
    owner: str = LOCAL_USER
    messages: tuple[Mapping[str, Any], ...] = ()
    prompts: tuple[str | tuple[int, ...], ...] = ()
    suffix: str = ""  # what stands after the text that continues a prompt
    sampling: Mapping[str, Any] = field(default_factory=dict)  # what is not the model's default
    stops: tuple[str, ...] = ()
    num_choices: int = 1  # of each prompt
    thinking: bool | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)  # that the template reads
    toolbox: Toolbox | None = None
    writes_nothing: bool = False  # only the prompt is scored
    checker: Checker | None = None  # of what the grammar does not hold


@dataclass(frozen=True, slots=True)
class Started:
    """The prompts have been accepted; answers follow. `tokenizer` spells their ids."""

    model_id: str
    num_prompt_tokens: int
    tokenizer: Tokenizer


Event = Waiting | Progress | Started | Piece


@dataclass(frozen=True, slots=True)
class _Prompt:
    token_ids: tuple[int, ...]
    sampling: SamplingParams
    stops: tuple[str, ...]
    new_parser: Callable[[], ReasoningParser] | None = None  # for each answer its own
    syntax: ToolSyntax | None = None  # of calls, where tools are offered
    without_tools: Callable[[], tuple[int, ...]] | None = None  # the same, for an answer in text


__all__ = ["Ask", "BadAskError", "Completions", "Event", "Piece", "Started", "Toolbox"]


class Completions:
    def __init__(self, pool: EnginePool, formats: Formats | None = None) -> None:
        self._pool = pool
        self._formats = formats or Formats()

    async def run(self, ask: Ask) -> AsyncGenerator[Event, None]:
        """Started, then Pieces of all answers as they come.

        Before and between: Waiting and Progress, so that it is never quiet for a second. Closing
        the generator stops everything. Raises AppError.
        """
        spec = self._pool.spec(ask.model_id)
        num_answers = max(1, len(ask.prompts)) * ask.num_choices
        leased = self._pool.leased(spec.id, ask.owner, num_answers)
        async with contextlib.aclosing(leased) as states:
            async for state in states:
                if isinstance(state, Waiting):
                    yield state
                    continue
                prompts = await asyncio.to_thread(self._prompts, state, spec, ask)
                tokenizer = state.tokenizer
                assert tokenizer is not None, "a leased engine is loaded"
                yield Started(spec.id, sum(len(p.token_ids) for p in prompts), tokenizer)
                answers = [
                    _answer(state, prompt, number * ask.num_choices + i, i, ask)
                    for number, prompt in enumerate(prompts)
                    for i in range(ask.num_choices)
                ]
                at_once = self._pool.most_at_once(state.load)
                async with contextlib.aclosing(_merged(answers, at_once)) as events:
                    async for event in events:
                        yield event

    def _prompts(self, engine: Engine, spec: ModelSpec, ask: Ask) -> list[_Prompt]:
        """In a thread: tokenising a long text takes a second. Raises AppError."""
        assert engine.tokenizer and engine.ready
        tokenizer = engine.tokenizer
        _check_size(tokenizer, ask, engine.ready.n_ctx)
        if ask.messages:
            prompts = [self._chat_prompt(tokenizer, spec, ask)]
        else:
            fim = self._fim_marks(tokenizer, spec, ask) if ask.suffix else None
            prompts = [_text_prompt(tokenizer, ask, prompt, fim) for prompt in ask.prompts]
        sampling = prompts[0].sampling
        if sampling.grammar:
            _check_grammar(sampling.grammar)
        if any(token_id >= tokenizer.n_vocab for token_id, _ in sampling.logit_bias):
            raise BadAskError("serving.no_such_token", "logit_bias", limit=tokenizer.n_vocab)
        longest = max(len(prompt.token_ids) for prompt in prompts)
        if longest >= engine.ready.n_ctx:
            raise PromptTooLongError(longest, engine.ready.n_ctx)
        return prompts

    def _chat_prompt(self, tokenizer: Tokenizer, spec: ModelSpec, ask: Ask) -> _Prompt:
        tools = ask.toolbox.tools if ask.toolbox else ()
        has_tools = bool(tools) or any("tool_calls" in message for message in ask.messages)
        chat = self._formats.choice(spec, tokenizer, ask.owner, knows_tools=has_tools).format
        is_shaped = bool(ask.sampling.get("grammar"))  # from its first character on: no thinking
        is_called = bool(ask.toolbox and ask.toolbox.choice is CallChoice.REQUIRED)
        is_begun = bool(ask.messages) and ask.messages[-1].get("role") == "assistant"
        is_bound = is_shaped or is_called or is_begun
        thinking = False if is_bound and chat.thinking_switch else ask.thinking
        rendered = chat.render(
            ask.messages,
            thinking=thinking,
            variables=ask.variables,
            tools=[tool.shown for tool in tools],
        )
        stops = chat.stop_strings(thinking)
        sampling = sampling_of({**chat.sampling, **ask.sampling})
        return _Prompt(
            tuple(tokenizer.encode(rendered)),
            replace(sampling, stop_token_ids=tokenizer.stop_token_ids(stops)),
            (*stops, *ask.stops),
            None if is_shaped and not tools else lambda: chat.reasoning_parser(rendered),
            (chat.tools or PLAIN) if tools else None,
            lambda: tuple(
                tokenizer.encode(
                    chat.render(ask.messages, thinking=thinking, variables=ask.variables)
                )
            ),
        )

    def _fim_marks(self, tokenizer: Tokenizer, spec: ModelSpec, ask: Ask) -> FimMarks:
        """Raises BadAskError where the model fills no gaps."""
        own = self._formats.choice(spec, tokenizer, ask.owner).format.fim
        known = (own, *FIM_MARKS) if own else FIM_MARKS
        for marks in known:
            if all(tokenizer.special_id(mark.strip()) is not None for mark in marks.all):
                return marks
        raise BadAskError("serving.fills_no_gaps", "suffix", name=spec.name)


def _check_size(tokenizer: Tokenizer, ask: Ask, n_ctx: int) -> None:
    """What is certainly too long is refused before anything slow is done with it."""
    enough = 2 * n_ctx

    def count(text: object) -> int:
        return num_tokens(tokenizer.encode_text, text, enough) if isinstance(text, str) else 0

    said = sum(count(message.get("content")) for message in ask.messages)
    longest = max(said, count(ask.suffix), *map(count, ask.prompts), 0)
    if longest > enough:
        raise PromptTooLongError(longest, n_ctx)


def _text_prompt(
    tokenizer: Tokenizer, ask: Ask, prompt: str | tuple[int, ...], fim: FimMarks | None
) -> _Prompt:
    """The caller writes the whole prompt, so it may contain special tokens as a template does."""
    if fim and isinstance(prompt, str):
        ids = tuple(tokenizer.encode(fim.render(prompt, ask.suffix)))
    elif isinstance(prompt, str):
        ids = tuple(tokenizer.encode(RenderedPrompt(prompt, ())))
    else:
        ids = prompt
        if any(token_id >= tokenizer.n_vocab for token_id in ids):
            raise BadAskError("serving.no_such_token", "prompt", limit=tokenizer.n_vocab)
    if not ids:
        raise BadAskError("serving.empty_prompt", "prompt")
    return _Prompt(ids, sampling_of(ask.sampling), ask.stops)


def _check_grammar(text: str) -> None:
    try:
        Grammar.parse(text)
    except ValueError as error:
        raise BadAskError("serving.bad_grammar", "grammar", reason=error) from error


async def _answer(
    engine: Engine, prompt: _Prompt, choice: int, seed_offset: int, ask: Ask
) -> AsyncGenerator[Progress | Piece, None]:
    """One answer; each after a prompt's first gets a seed of its own."""
    sampling = prompt.sampling
    if sampling.seed is not None:
        sampling = replace(sampling, seed=(sampling.seed + seed_offset) % (1 << 32))
    if ask.toolbox and prompt.syntax and prompt.new_parser and engine.tokenizer:
        calling = CallingAnswer(
            engine,
            engine.tokenizer,
            choice,
            prompt.token_ids,
            sampling,
            prompt.stops,
            prompt.syntax,
            ask.toolbox,
            prompt.new_parser,
            ask.checker,
            made_before(ask.messages),
            prompt.without_tools,
        )
        async with contextlib.aclosing(calling.events()) as parts:
            async for part in parts:
                yield part
        return
    parser = prompt.new_parser() if prompt.new_parser else None

    def write(number: int = 0) -> AsyncGenerator[Progress | Delta, None]:
        return engine.generate(prompt.token_ids, again(sampling, number), prompt.stops)

    is_scored = False
    events = checked(write, ask.checker, "response_format") if ask.checker else write()
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, Progress):
                yield event
                continue
            piece = _piece(choice, _without_text(event) if ask.writes_nothing else event, parser)
            if sampling.scores_prompt and not is_scored:
                scores, is_scored = event.prompt_logprobs, True
                piece = replace(piece, prompt_ids=prompt.token_ids, prompt_logprobs=scores)
            yield piece


def _without_text(delta: Delta) -> Delta:
    """Nothing was to be written; the one token that was is left out."""
    usage = replace(delta.usage, completion_tokens=0) if delta.usage else None
    return replace(delta, text="", token_ids=(), logprobs=(), usage=usage)


def _piece(choice: int, delta: Delta, parser: ReasoningParser | None) -> Piece:
    text, reasoning = parser.feed(delta.text) if parser else (delta.text, "")
    if delta.finish_reason and parser:
        last_text, last_reasoning = parser.flush()
        text, reasoning = text + last_text, reasoning + last_reasoning
    return Piece(
        choice, text, reasoning, delta.token_ids, delta.logprobs, delta.finish_reason, delta.usage
    )


async def _merged(
    streams: Sequence[AsyncGenerator[Progress | Piece, None]], at_once: int
) -> AsyncGenerator[Progress | Piece, None]:
    """All events of all streams, as they come; `at_once` of them run at the same time.

    Ends them all when closed or when one fails.
    """
    if len(streams) == 1:
        async with contextlib.aclosing(streams[0]) as only:
            async for event in only:
                yield event
        return
    events: asyncio.Queue[Progress | Piece | Exception | None] = asyncio.Queue()
    places = asyncio.Semaphore(at_once)
    tasks = [asyncio.create_task(_drain(stream, events, places)) for stream in streams]
    try:
        num_open = len(tasks)
        while num_open:
            news = await events.get()
            if isinstance(news, Exception):
                raise news
            if news is None:
                num_open -= 1
            else:
                yield news
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _drain(
    stream: AsyncGenerator[Progress | Piece, None],
    events: "asyncio.Queue[Progress | Piece | Exception | None]",
    places: asyncio.Semaphore,
) -> None:
    async with places, contextlib.aclosing(stream):
        try:
            async for event in stream:
                events.put_nowait(event)
            events.put_nowait(None)
        except Exception as error:  # handed over to whoever reads the merged stream
            events.put_nowait(error)
