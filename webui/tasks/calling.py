"""An answer that may call tools: free text until a call begins, then name and arguments by grammar.

Each part is a request of its own to the engine, which takes all that stands before from its prefix
cache. What stands around a call's name and arguments we write ourselves, in the family's form, with
the special tokens that a template would use: so the model cannot write a call that nobody can read.
Knows nothing about HTTP, and of templates only the ToolSyntax.
"""

import asyncio
import contextlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from webui.engine.client import Delta, Engine, Progress
from webui.engine.grammar.checking import Checker
from webui.engine.request import FinishReason, SamplingParams, Usage
from webui.engine.tokenizer import Tokenizer
from webui.prompts import ReasoningParser, Span
from webui.prompts.tools import CallWatcher, ToolSyntax
from webui.tasks.checking import again, checked
from webui.tasks.pieces import CallChoice, CallPart, Piece, Toolbox

MAX_CALLS = 32  # of one answer
MAX_SAME_CALLS = 2  # of one question; small models go on for ever
ID_BYTES = 12
NO_CALL = "root ::= [^{<`\\x5B \\n\\r\\t] [^\\x00]*\n"  # text that does not begin as calls do

Events = AsyncGenerator[Progress | Piece, None]


@dataclass(slots=True)
class CallingAnswer:
    """One answer. `sampling.grammar` holds its text where it calls nothing."""

    engine: Engine
    tokenizer: Tokenizer
    choice: int
    prompt_ids: tuple[int, ...]
    sampling: SamplingParams
    stops: tuple[str, ...]
    syntax: ToolSyntax
    toolbox: Toolbox
    new_parser: Callable[[], ReasoningParser]
    checker: Checker | None = None  # of the text that the grammar shapes
    made_before: Mapping[tuple[str, str], int] = field(default_factory=dict)  # see made_before()
    without_tools: Callable[[], tuple[int, ...]] | None = None  # a prompt that offers none
    _written: list[int] = field(default_factory=list)  # ids of the answer so far
    _first: Usage | None = None  # of the first part, which reads the prompt
    _calls: list[tuple[str, str]] = field(default_factory=list)  # name, arguments
    _reason: FinishReason = FinishReason.STOP
    _goes_in_circles: bool = False
    _next: str | None = None  # the call that begins after this one; "" when its name is not told

    async def events(self) -> Events:
        """Progress, then Pieces; the last one has the finish reason. Raises as Engine.generate."""
        name = self._forced_name()
        if name is None:
            async with contextlib.aclosing(self._text()) as events:
                async for event in events:
                    if isinstance(event, _Found):
                        name = event.name
                        break
                    yield event
        while name is not None:
            async with contextlib.aclosing(self._call(name)) as parts:
                async for part in parts:
                    yield part
            self._next = None
            async with contextlib.aclosing(self._after_call()) as events_after:
                async for after in events_after:
                    yield after
            name = self._next
        yield self._end()

    async def _after_call(self) -> Events:
        """Nothing, or the beginning of another call, or an answer in text; sets `_next`."""
        if self._goes_in_circles:
            async with contextlib.aclosing(self._answer_without()) as events:
                async for event in events:
                    yield event
        elif self._may_go_on():
            async with contextlib.aclosing(self._next_call()) as news:
                async for item in news:
                    if isinstance(item, _Found):
                        self._next = item.name
                    else:
                        yield item

    def _forced_name(self) -> str | None:
        """The tool that must be called first; "" for any; None when nothing must be called."""
        return None if self.toolbox.choice is CallChoice.AUTO else ""

    def _may_go_on(self) -> bool:
        is_over = self._reason is not FinishReason.STOP or self._num_left() < 1 or not self._calls
        if is_over or not self.toolbox.is_parallel or self.syntax.is_last:
            return False
        return len(self._calls) < MAX_CALLS and self._calls[-1] not in self._calls[:-1]

    # --- text until a call -----------------------------------------------------------------------

    async def _text(self) -> AsyncGenerator["Progress | Piece | _Found", None]:
        """The answer's text as it comes; _Found, and no more, when a call begins.

        Where a grammar shapes the text, it would not let a call begin: so the first words are
        written freely, and when they are no call, the answer begins anew with the grammar.
        """
        is_shaped = bool(self.sampling.grammar)
        sampling = replace(self.sampling, grammar="", must_close=False)
        text = _FreeText(self, self.new_parser())
        async with contextlib.aclosing(self._generate(sampling, self.stops)) as events:
            async for event in events:
                if isinstance(event, Progress):
                    yield event
                    continue
                piece = text.take(event)
                is_known = text.watcher.hit or text.has_answer or event.finish_reason
                if is_shaped and is_known:
                    break
                if not is_shaped and (piece.text or piece.reasoning or piece.logprobs):
                    yield piece
                if text.watcher.hit:
                    break
                if event.finish_reason:
                    self._written += text.ids
                    self._finish(event)
                    return
        if hit := text.watcher.hit:
            self._written += text.ids_before(hit.start)
            yield _Found(hit.name)
            return
        shaped = self._checked(self.sampling, self.stops, self.checker, "response_format")
        async with contextlib.aclosing(shaped) as deltas:
            async for delta in deltas:
                yield delta if isinstance(delta, Progress) else self._piece(delta)

    async def _next_call(self) -> AsyncGenerator["Progress | _Found", None]:
        """_Found when another call begins; any other text after a call is left out."""
        sampling = replace(self.sampling, grammar="", must_close=False, logprobs=-1)
        text = _FreeText(self, None)
        async with contextlib.aclosing(self._generate(sampling, self.stops)) as events:
            async for event in events:
                if isinstance(event, Progress):
                    yield event
                    continue
                text.take(event)
                if text.watcher.hit:
                    yield _Found(text.watcher.hit.name)
                    return
                if text.has_answer or event.finish_reason:
                    return

    # --- a call ----------------------------------------------------------------------------------

    async def _call(self, name: str) -> Events:
        """One whole call; `name` when it is known."""
        self._write((self.syntax.between if self._written else "") + self.syntax.opening)
        if len(self.toolbox.allowed) == 1:
            name = self.toolbox.allowed[0]
        if name:
            self._write(name + self.syntax.after_name, Span(0, len(name)))
        else:
            names = self._held_by(self._constrained(self._names_grammar()), ())
            async with contextlib.aclosing(names) as deltas:
                async for delta in deltas:
                    if isinstance(delta, Progress):
                        yield delta
                    else:
                        name += delta.text
            name = name.removesuffix(self.syntax.after_name)
        if self._reason is not FinishReason.STOP or name not in self.toolbox.allowed:
            return
        self._write(self.syntax.before_arguments)
        async with contextlib.aclosing(self._arguments(name)) as parts:
            async for part in parts:
                yield part
        if self._reason is FinishReason.STOP:
            self._write(self.syntax.closing)

    async def _arguments(self, name: str) -> Events:
        index = len(self._calls)
        begun = CallPart(index, "call_" + secrets.token_hex(ID_BYTES), name)
        # What may go in circles is told when it is whole.
        is_suspect = self._may_circle(name)
        if not is_suspect:
            yield Piece(self.choice, call=begun)
        arguments = ""
        tool = self.toolbox.get(name)
        sampling = self._constrained(tool.grammar)
        written = self._checked(sampling, (), tool.checker, f"tools ({name})")
        async with contextlib.aclosing(written) as deltas:
            async for delta in deltas:
                if isinstance(delta, Progress):
                    yield delta
                    continue
                text = delta.text if arguments else delta.text.lstrip()
                arguments += text
                if text and not is_suspect:
                    part = CallPart(index, arguments=text)
                    yield Piece(self.choice, token_ids=delta.token_ids, call=part)
        if is_suspect:
            if self.made_before.get((name, canonical(arguments)), 0) >= MAX_SAME_CALLS:
                self._goes_in_circles = True
                return
            yield Piece(self.choice, call=begun)
            yield Piece(self.choice, call=CallPart(index, arguments=arguments))
        self._calls.append((name, arguments))

    def _may_circle(self, name: str) -> bool:
        is_free = self.toolbox.choice is CallChoice.AUTO and self.without_tools is not None
        is_first = not self._calls and self.checker is None and not self.sampling.grammar
        return is_free and is_first and any(before == name for before, _ in self.made_before)

    async def _answer_without(self) -> Events:
        """The answer in text, as if there were no tools: the call's result is there already."""
        assert self.without_tools is not None
        self.prompt_ids = await asyncio.to_thread(self.without_tools)
        self._written.clear()
        parser = self.new_parser()
        sampling = replace(self.sampling, grammar=NO_CALL)
        async with contextlib.aclosing(self._held_by(sampling, self.stops)) as deltas:
            async for delta in deltas:
                if isinstance(delta, Progress):
                    yield delta
                    continue
                text, reasoning = parser.feed(delta.text)
                if delta.finish_reason:
                    last_text, last_reasoning = parser.flush()
                    text, reasoning = text + last_text, reasoning + last_reasoning
                yield Piece(self.choice, text, reasoning, delta.token_ids, delta.logprobs)

    def _names_grammar(self) -> str:
        names = " | ".join(json.dumps(name) for name in self.toolbox.allowed)
        return f"root ::= ({names}) {json.dumps(self.syntax.after_name)}\n"

    def _constrained(self, grammar: str) -> SamplingParams:
        """For a part of a call. Penalties are for text: a name may stand twice."""
        return replace(
            self.sampling,
            grammar=grammar,
            must_close=True,
            logprobs=-1,
            ignore_eos=False,
            repeat_penalty=1.0,
            presence_penalty=0.0,
            frequency_penalty=0.0,
        )

    def _checked(
        self,
        sampling: SamplingParams,
        stops: Sequence[str],
        checker: Checker | None,
        parameter: str,
    ) -> AsyncGenerator[Progress | Delta, None]:
        """As _held_by, tried again until the checker finds no fault."""
        if checker is None:
            return self._held_by(sampling, stops)
        num_before = len(self._written)

        def write(number: int) -> AsyncGenerator[Progress | Delta, None]:
            del self._written[num_before:]
            return self._held_by(again(sampling, number), stops)

        return checked(write, checker, parameter)

    async def _held_by(
        self, sampling: SamplingParams, stops: Sequence[str]
    ) -> AsyncGenerator[Progress | Delta, None]:
        """What the model writes within a grammar; all of it is part of the answer."""
        if self._num_left() < 1:
            self._reason = FinishReason.LENGTH
            return
        async with contextlib.aclosing(self._generate(sampling, stops)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    self._written += event.token_ids
                    if event.finish_reason:
                        self._finish(event)
                yield event

    def _piece(self, delta: Delta) -> Piece:
        return Piece(self.choice, delta.text, "", delta.token_ids, delta.logprobs)

    # --- tokens ----------------------------------------------------------------------------------

    def _generate(
        self, sampling: SamplingParams, stops: Sequence[str]
    ) -> AsyncGenerator[Progress | Delta, None]:
        sampling = replace(sampling, max_tokens=max(1, self._num_left()))
        return self.engine.generate((*self.prompt_ids, *self._written), sampling, stops)

    def _num_left(self) -> int:
        """Tokens that the answer may still get, by its own limit and by the context."""
        limit = self.sampling.max_tokens
        if self.engine.ready:
            limit = min(limit, self.engine.ready.n_ctx - len(self.prompt_ids) - 1)
        return limit - len(self._written)

    def _write(self, text: str, *spans: Span) -> None:
        if text:
            self._written += self.tokenizer.encode_continuation(text, spans)

    def _finish(self, delta: Delta) -> None:
        self._reason = delta.finish_reason or self._reason
        self._first = self._first or delta.usage

    def _end(self) -> Piece:
        usage = self._first or Usage(0.0, len(self.prompt_ids), 0, 0, 0.0, 0.0)
        usage = replace(
            usage, prompt_tokens=len(self.prompt_ids), completion_tokens=len(self._written)
        )
        return Piece(self.choice, finish_reason=self._reason, usage=usage)


def made_before(messages: Sequence[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """How often each call, with its arguments, was made since the last question."""
    made: Counter[tuple[str, str]] = Counter()
    for message in reversed(messages):
        if message.get("role") == "user":
            break
        for call in message.get("tool_calls") or ():
            function = call["function"]
            made[function["name"], canonical(function["arguments"])] += 1
    return made


def canonical(arguments: Any) -> str:
    """Arguments, as text or as an object, so that the same ones are equal."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return str(arguments)
    return json.dumps(arguments, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Found:
    """A call begins; `name` when it was told."""

    name: str


class _FreeText:
    """Text until a call, and the ids of what stands before it. White space before a call goes."""

    def __init__(self, answer: CallingAnswer, parser: ReasoningParser | None) -> None:
        self.watcher = CallWatcher(answer.syntax.marks, answer.toolbox.allowed)
        self.ids: list[int] = []
        self.has_answer = False  # something that is no call
        self._answer = answer
        self._parser = parser
        self._raw = ""
        self._watched = ""
        self._space = ""  # held until something follows

    def take(self, delta: Delta) -> Piece:
        """What of it can be shown."""
        self.ids += delta.token_ids
        self._raw += delta.text
        is_last = delta.finish_reason is not None
        if self._answer.syntax.is_before_reasoning:
            text, reasoning = self._parsed(self._watch(delta.text, is_last), is_last)
        else:
            text, reasoning = self._parsed(delta.text, is_last)
            text = self._watch(text, is_last)
        self.has_answer = self.has_answer or bool(text.strip())
        text = self._space + text
        shown = text if is_last else text.rstrip()
        self._space = text[len(shown) :]
        return Piece(self._answer.choice, shown, reasoning, delta.token_ids, delta.logprobs)

    def ids_before(self, start: int) -> list[int]:
        """The ids of the text before character `start` of what the watcher saw."""
        called = self._watched[start:]
        at = self._raw.rfind(called) if called else -1
        before = self._raw[: at if at >= 0 else len(self._raw)]
        if self._answer.syntax.is_before_reasoning:  # the header that the mark stands in
            header = before.rfind("<|channel|>")
            before = before[:header] if header > before.rfind("<|message|>") else before
        return self._of_text(before.rstrip())

    def _of_text(self, text: str) -> list[int]:
        """Ids that spell `text`: those of the model as far as they do, then our own."""
        tokenizer, wanted = self._answer.tokenizer, text.encode()
        kept: list[int] = []
        num_bytes = 0
        for token_id in self.ids:
            size = len(tokenizer.piece(token_id))
            if num_bytes + size > len(wanted):
                break
            kept.append(token_id)
            num_bytes += size
        rest = wanted[num_bytes:].decode("utf-8", "ignore")
        return kept + (tokenizer.encode_continuation(rest, (Span(0, len(rest)),)) if rest else [])

    def _watch(self, text: str, is_last: bool) -> str:
        self._watched += text
        shown = self.watcher.feed(text)
        return shown + self.watcher.flush() if is_last else shown

    def _parsed(self, text: str, is_last: bool) -> tuple[str, str]:
        if self._parser is None:
            return text, ""
        answer, reasoning = self._parser.feed(text)
        if is_last:
            last_answer, last_reasoning = self._parser.flush()
            return answer + last_answer, reasoning + last_reasoning
        return answer, reasoning
