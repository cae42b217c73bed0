"""Answers as OpenAI's objects: whole ones, and the chunks of a stream. Knows no requests."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from webui.api.v1.sse import DONE, event
from webui.engine.request import FinishReason, TokenLogprob
from webui.engine.tokenizer import Tokenizer
from webui.tasks.complete import Started
from webui.tasks.pieces import CallPart, Piece

LEAST_LOGPROB = -9999.0  # OpenAI's own stand-in for "impossible"; JSON has no infinity
Object = dict[str, Any]


@dataclass(slots=True)
class Answer:
    """One choice as it grows."""

    text: str = ""
    reasoning: str = ""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    calls: list[CallPart] = field(default_factory=list)  # whole ones, as far as they have come
    finish_reason: str | None = None
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    num_tokens: int = 0
    num_reasoning_tokens: int = 0

    def take(self, piece: Piece) -> None:
        self.text += piece.text
        if piece.reasoning and not piece.text:
            self.num_reasoning_tokens += len(piece.token_ids)
        self.reasoning += piece.reasoning
        self.logprobs += piece.logprobs
        if piece.call:
            self._take_call(piece.call)
        if piece.finish_reason:
            self.finish_reason = finish_reason(piece.finish_reason, has_calls=bool(self.calls))
        if piece.usage:
            self.num_prompt_tokens = piece.usage.prompt_tokens
            self.num_cached_tokens = piece.usage.cached_tokens
            self.num_tokens = piece.usage.completion_tokens

    def _take_call(self, part: CallPart) -> None:
        if part.name:
            self.calls.append(part)
        else:
            last = self.calls[-1]
            self.calls[-1] = replace(last, arguments=last.arguments + part.arguments)


class Shape(Protocol):
    """How answers are written: as a chat's or as a plain completion's."""

    def chunks(self, piece: Piece) -> list[Object]: ...

    def whole(self, answers: list[Answer], usage: Object) -> Object: ...

    def start(self, started: Started) -> list[Object]:
        """Chunks before the first piece."""
        ...

    def usage_chunk(self, usage: Object) -> Object: ...

    ending: bytes  # of a stream

    def written(self, chunk: Object) -> bytes:
        """A chunk as an event."""
        ...

    def failed(self, body: Object) -> Object:
        """The chunk that tells an error."""
        ...


class _DataEvents:
    """The manner of both kinds of completions."""

    ending = DONE

    def written(self, chunk: Object) -> bytes:
        return event(chunk)

    def failed(self, body: Object) -> Object:
        return body


class ChatShape(_DataEvents):
    """chat.completion and chat.completion.chunk."""

    def __init__(
        self, num_choices: int, *, shows_logprobs: bool, shows_usage: bool, is_legacy: bool = False
    ) -> None:
        """`is_legacy`: calls are told by the old name, function_call."""
        self._envelope = _Envelope("chatcmpl-", shows_usage)
        self._is_legacy = is_legacy
        self._calling: set[int] = set()  # choices with a call
        self._num_choices = num_choices
        self._shows_logprobs = shows_logprobs
        self._tokenizer: Tokenizer | None = None

    def start(self, started: Started) -> list[Object]:
        self._tokenizer = started.tokenizer
        self._envelope.model = started.model_id
        return [
            self._chunk(i, {"role": "assistant", "content": ""}) for i in range(self._num_choices)
        ]

    def chunks(self, piece: Piece) -> list[Object]:
        found = []
        if piece.reasoning:
            found.append(self._chunk(piece.choice, {"reasoning_content": piece.reasoning}))
        if piece.text or piece.logprobs:
            found.append(self._chunk(piece.choice, {"content": piece.text}, piece.logprobs))
        if piece.call:
            self._calling.add(piece.choice)
            found.append(self._chunk(piece.choice, self._call_delta(piece.call)))
        if piece.finish_reason:
            end = self._chunk(piece.choice, {})
            has_calls = piece.choice in self._calling
            reason = finish_reason(piece.finish_reason, has_calls=has_calls)
            end["choices"][0]["finish_reason"] = self._told(reason)
            found.append(end)
        return found

    def _told(self, reason: str | None) -> str | None:
        return "function_call" if self._is_legacy and reason == "tool_calls" else reason

    def _call_delta(self, part: CallPart) -> Object:
        function: Object = {"arguments": part.arguments}
        if not part.name:
            if self._is_legacy:
                return {"function_call": function}
            return {"tool_calls": [{"index": part.index, "function": function}]}
        function = {"name": part.name, **function}
        if self._is_legacy:
            return {"function_call": function}
        call = {"index": part.index, "id": part.id, "type": "function", "function": function}
        return {"tool_calls": [call]}

    def whole(self, answers: list[Answer], usage: Object) -> Object:
        choices = [self._choice(i, answer) for i, answer in enumerate(answers)]
        return {**self._envelope.of("chat.completion", choices), "usage": usage}

    def usage_chunk(self, usage: Object) -> Object:
        return {**self._envelope.of("chat.completion.chunk", []), "usage": usage}

    def _choice(self, index: int, answer: Answer) -> Object:
        message: Object = {"role": "assistant", "content": answer.text, "refusal": None}
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        if answer.calls:
            message["content"] = answer.text or None
            message |= self._calls(answer.calls)
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs(answer.logprobs),
            "finish_reason": self._told(answer.finish_reason),
        }

    def _calls(self, calls: list[CallPart]) -> Object:
        told = [{"name": call.name, "arguments": call.arguments} for call in calls]
        if self._is_legacy:
            return {"function_call": told[0]}
        return {
            "tool_calls": [
                {"id": call.id, "type": "function", "function": function}
                for call, function in zip(calls, told, strict=True)
            ]
        }

    def _chunk(self, index: int, delta: Object, logprobs: tuple[TokenLogprob, ...] = ()) -> Object:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": self._logprobs(logprobs) if logprobs else None,
            "finish_reason": None,
        }
        return self._envelope.of("chat.completion.chunk", [choice])

    def _logprobs(self, logprobs: list[TokenLogprob] | tuple[TokenLogprob, ...]) -> Object | None:
        if not self._shows_logprobs:
            return None
        content = [
            {
                **self._token(entry.token_id, entry.logprob),
                "top_logprobs": [self._token(*other) for other in entry.top],
            }
            for entry in logprobs
        ]
        return {"content": content, "refusal": None}

    def _token(self, token_id: int, logprob: float) -> Object:
        assert self._tokenizer is not None, "start() comes first"
        piece = self._tokenizer.piece(token_id)
        return {
            "token": piece.decode("utf-8", "replace"),
            "logprob": max(logprob, LEAST_LOGPROB),
            "bytes": list(piece),
        }


class TextShape(_DataEvents):
    """text_completion, the same object for a whole answer and for a chunk."""

    def __init__(
        self,
        prompts: Sequence[str | tuple[int, ...] | None],
        num_choices: int,
        *,
        shows_usage: bool,
    ) -> None:
        """`prompts`: what is shown before each answer, text or ids (None = nothing)."""
        self._envelope = _Envelope("cmpl-", shows_usage)
        self._prompts = prompts
        self._num_choices = num_choices
        self._tokenizer: Tokenizer | None = None
        self._offsets: dict[int, int] = {}
        self._scored: dict[int, Piece] = {}  # by choice: the piece with its prompt's logprobs

    def start(self, started: Started) -> list[Object]:
        self._tokenizer = started.tokenizer
        self._envelope.model = started.model_id
        shown = [(i, self._shown_prompt(i)) for i in range(len(self._prompts) * self._num_choices)]
        return [self._chunk(index, text) for index, text in shown if text]

    def chunks(self, piece: Piece) -> list[Object]:
        found = []
        if piece.prompt_ids:
            self._scored[piece.choice] = piece
            scored = self._chunk(piece.choice, "")
            scored["choices"][0]["logprobs"] = self._logprobs(piece.choice, (), piece)
            found.append(scored)
        if piece.text or piece.logprobs:
            found.append(self._chunk(piece.choice, piece.text, piece.logprobs))
        if piece.finish_reason:
            end = self._chunk(piece.choice, "")
            end["choices"][0]["finish_reason"] = finish_reason(piece.finish_reason)
            found.append(end)
        return found

    def whole(self, answers: list[Answer], usage: Object) -> Object:
        self._offsets.clear()
        choices = [self._choice(i, answer) for i, answer in enumerate(answers)]
        return {**self._envelope.of("text_completion", choices), "usage": usage}

    def usage_chunk(self, usage: Object) -> Object:
        return {**self._envelope.of("text_completion", []), "usage": usage}

    def _shown_prompt(self, choice: int) -> str:
        shown = self._prompts[choice // self._num_choices]
        if isinstance(shown, tuple):
            return b"".join(map(self._bytes, shown)).decode("utf-8", "replace")
        return shown or ""

    def _bytes(self, token_id: int) -> bytes:
        assert self._tokenizer is not None, "start() comes first"
        return self._tokenizer.bytes_of(token_id)

    def _choice(self, index: int, answer: Answer) -> Object:
        return {
            "index": index,
            "text": self._shown_prompt(index) + answer.text,
            "logprobs": self._all_logprobs(index, answer),
            "finish_reason": answer.finish_reason,
        }

    def _all_logprobs(self, index: int, answer: Answer) -> Object | None:
        scored = self._scored.get(index)
        if not answer.logprobs and scored is None:
            return None
        return self._logprobs(index, answer.logprobs, scored)

    def _chunk(self, index: int, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> Object:
        choice = {
            "index": index,
            "text": text,
            "logprobs": self._logprobs(index, logprobs) if logprobs else None,
            "finish_reason": None,
        }
        return self._envelope.of("text_completion", [choice])

    def _logprobs(
        self, index: int, logprobs: Sequence[TokenLogprob], scored: Piece | None = None
    ) -> Object:
        """OpenAI's old form: parallel lists, and where each token begins in the text.

        The first token of a prompt has no likelihood. The token itself is always among the likely.
        """
        found: Object = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        if scored:
            self._add(found, index, self._spelled(scored.prompt_ids[0]), None, None)
            logprobs = (*scored.prompt_logprobs, *logprobs)
        for entry in logprobs:
            token = self._spelled(entry.token_id)
            own = max(entry.logprob, LEAST_LOGPROB)
            likely = {self._spelled(i): max(value, LEAST_LOGPROB) for i, value in entry.top}
            self._add(found, index, token, own, {**likely, token: own})
        return found

    def _add(
        self, found: Object, index: int, token: str, logprob: float | None, likely: Object | None
    ) -> None:
        found["tokens"].append(token)
        found["token_logprobs"].append(logprob)
        found["top_logprobs"].append(likely)
        found["text_offset"].append(self._offsets.get(index, 0))
        self._offsets[index] = self._offsets.get(index, 0) + len(token)

    def _spelled(self, token_id: int) -> str:
        return self._bytes(token_id).decode("utf-8", "replace")


class _Envelope:
    """What all objects of one answer share."""

    def __init__(self, prefix: str, shows_usage: bool) -> None:
        self.model = ""
        self._id = prefix + secrets.token_hex(12)
        self._created = int(time.time())
        self._shows_usage = shows_usage

    def of(self, kind: str, choices: list[Object]) -> Object:
        made: Object = {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self.model,
            "choices": choices,
        }
        return {**made, "usage": None} if self._shows_usage else made


def finish_reason(reason: FinishReason, *, has_calls: bool = False) -> str:
    if reason is FinishReason.LENGTH:
        return "length"
    return "tool_calls" if has_calls else "stop"


def usage_of(answers: list[Answer], num_prompt_tokens: int, num_choices: int) -> Object:
    """A prompt counts once, however many choices it has."""
    num_tokens = sum(answer.num_tokens for answer in answers)
    return {
        "prompt_tokens": num_prompt_tokens,
        "completion_tokens": num_tokens,
        "total_tokens": num_prompt_tokens + num_tokens,
        "prompt_tokens_details": {
            "cached_tokens": sum(answer.num_cached_tokens for answer in answers[::num_choices])
        },
        "completion_tokens_details": {
            "reasoning_tokens": sum(answer.num_reasoning_tokens for answer in answers)
        },
    }
