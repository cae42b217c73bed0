"""RemoteEngine: another OpenAI-compatible server behind the same interface as our own engine.

Its server has the model's template and vocabulary, so messages are sent, not tokens. Our side still
speaks of ids: RemoteTokenizer gives every short piece of text an id of its own, which makes a
prompt's length a fair estimate and lets it be turned back into messages here.
"""

import asyncio
import contextlib
import json
import math
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from collections.abc import Sequence as Ids
from typing import Any, cast

import httpx

from webui.engine.client import (
    HEARTBEAT_S,
    Delta,
    Engine,
    EngineDeadError,
    ModelLoadError,
    Progress,
    PromptTooLongError,
    RequestFailedError,
)
from webui.engine.detokenizer import StopChecker
from webui.engine.metering import ModelMeter
from webui.engine.request import FinishReason, LoadModel, Ready, SamplingParams, Usage
from webui.engine.tokenizer import Tokenizer
from webui.errors import AppError
from webui.models.remotes import Remote
from webui.prompts.rendered import RenderedPrompt

FAMILY = "remote"  # prompts/remote: writes ROLE_MARKS around messages
ROLE_MARKS = ("<|system|>", "<|user|>", "<|assistant|>")
MARK = re.compile("|".join(map(re.escape, ROLE_MARKS)))
DEFAULT_N_CTX = 8192
TIMEOUT = httpx.Timeout(10.0, read=600.0)
MAX_LINE = 4 << 20
PIECE = re.compile(r" ?[A-Za-z]{1,3}|[0-9]{1,3}| {1,4}|.", re.DOTALL)  # about a token each
OPEN, CLOSE = "<think>", "</think>"


class CannotError(AppError):
    """The other server cannot do what is asked for."""


class RemoteTokenizer:
    """Ids that spell pieces of text of up to four bytes. Counts are estimates."""

    bos_text = eos_text = ""
    bos_id = eos_id = -1
    add_bos = False
    n_vocab = 1 << 40
    specials = ()

    def encode(self, prompt: RenderedPrompt) -> list[int]:
        """Role marks are recognised only where the template wrote them."""
        if not prompt.message_spans:  # a plain completion: all of it is text
            return self.encode_text(prompt.text)
        ids: list[int] = []
        position = 0
        for span in prompt.message_spans:
            ids += self._marks(prompt.text[position : span.start])
            ids += self.encode_text(prompt.text[span.start : span.end])
            position = span.end
        return ids + self._marks(prompt.text[position:])

    def encode_text(self, text: str) -> list[int]:
        """The id of a piece is its bytes as a number, with a one in front."""
        pieces = (match[0].encode("utf-8", "replace") for match in PIECE.finditer(text))
        return [int.from_bytes(b"\x01" + piece, "big") for piece in pieces]

    def messages(self, ids: Iterable[int]) -> list[dict[str, str]]:
        """The messages in a prompt that encode() made."""
        contents: list[tuple[str, list[int]]] = []
        for token_id in ids:
            if token_id < len(ROLE_MARKS):
                contents.append((ROLE_MARKS[token_id][2:-2], []))
                continue
            if not contents:  # a plain completion
                contents.append(("user", []))
            contents[-1][1].append(token_id)
        if contents and contents[-1] == ("assistant", []):
            contents.pop()  # where the answer begins
        return [{"role": role, "content": self.text_of(parts)} for role, parts in contents]

    def piece(self, token_id: int) -> bytes:
        """Nothing for a role mark."""
        if token_id < len(ROLE_MARKS):
            return b""
        return token_id.to_bytes((token_id.bit_length() + 7) // 8, "big")[1:]

    def text_of(self, ids: Iterable[int]) -> str:
        pieces = (ROLE_MARKS[i].encode() if i < len(ROLE_MARKS) else self.piece(i) for i in ids)
        return b"".join(pieces).decode("utf-8", "replace")

    def is_special(self, token_id: int) -> bool:
        return token_id < len(ROLE_MARKS)

    def is_end(self, token_id: int) -> bool:
        return False

    def special_id(self, text: str) -> int | None:
        return ROLE_MARKS.index(text) if text in ROLE_MARKS else None

    def stop_token_ids(self, stops: Iterable[str]) -> tuple[int, ...]:
        return ()

    def close(self) -> None:
        """Nothing native to free."""

    def _marks(self, text: str) -> list[int]:
        """Ids of the marks in the template's own text."""
        return [ROLE_MARKS.index(mark) for mark in MARK.findall(text)]


class RemoteEngine(Engine):
    """One model of another server."""

    def __init__(
        self, remote: Remote, load: LoadModel, name: str, meter: ModelMeter | None = None
    ) -> None:
        super().__init__(load, name, meter)
        self._remote = remote
        self._words = RemoteTokenizer()
        self._http: httpx.AsyncClient | None = None
        self._num_requests = 0

    @property
    def is_alive(self) -> bool:
        return self.ready is not None

    @property
    def num_requests(self) -> int:
        return self._num_requests

    async def start(self, on_progress: Callable[[float], None] = lambda _: None) -> Ready:
        """Ask the server whether it is there and has the model. Raises ModelLoadError."""
        await self.stop()
        key = os.environ.get(self._remote.key_env, "") if self._remote.key_env else ""
        if self._remote.key_env and not key:
            raise ModelLoadError("remote.no_key", name=self.name, variable=self._remote.key_env)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        base_url = self._remote.base_url.rstrip("/") + "/"
        self._http = httpx.AsyncClient(
            base_url=base_url, headers=headers, timeout=TIMEOUT, trust_env=False
        )
        try:
            answer = await self._http.get("models", timeout=10.0)
            answer.raise_for_status()
            listed = answer.json()["data"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            reason = _shown(error)
            raise ModelLoadError(
                "remote.away", name=self.name, url=base_url, reason=reason
            ) from error
        self.tokenizer = cast(Tokenizer, self._words)
        self.ready = self._ready(_model_in(listed, self._remote.model))
        on_progress(1.0)
        return self.ready

    async def stop(self) -> None:
        http, self._http = self._http, None
        self.ready = None
        if http:
            await http.aclose()

    async def generate(
        self,
        prompt_ids: Ids[int],
        sampling: SamplingParams,
        stop: Ids[str] = (),
        *,
        is_background: bool = False,
    ) -> AsyncGenerator[Progress | Delta, None]:
        """As Engine.generate. Closing it closes the connection, which ends the work over there;
        what is in the background there is that server's business."""
        if self.ready is None or self._http is None:
            raise EngineDeadError
        if not prompt_ids or len(prompt_ids) >= self.ready.n_ctx:
            raise PromptTooLongError(len(prompt_ids), self.ready.n_ctx)
        body = self._body(prompt_ids, sampling)
        reply = _RemoteReply(self._words, stop, len(prompt_ids))
        self._num_requests += 1
        try:
            async with contextlib.aclosing(_with_heartbeat(self._chunks(body))) as chunks:
                yield reply.progress
                async for chunk in chunks:
                    event = reply.take(chunk) if chunk is not None else reply.heartbeat()
                    yield event
                    if reply.is_over:
                        break
            if not reply.is_over:
                yield reply.finish()
        finally:
            self._num_requests -= 1
            self._meter.record(reply.reason or FinishReason.ABORT, reply.usage)

    async def embed(
        self, inputs: Ids[str | tuple[int, ...]], num_dimensions: int = 0
    ) -> tuple[list[list[float]], int]:
        """One vector for each input, and the tokens that the server counted.

        Raises EngineDeadError, RequestFailedError.
        """
        if self._http is None:
            raise EngineDeadError
        body: dict[str, Any] = {"model": self._remote.model, "encoding_format": "float"}
        body["input"] = [list(given) if isinstance(given, tuple) else given for given in inputs]
        if num_dimensions:
            body["dimensions"] = num_dimensions
        try:
            answer = await self._http.post("embeddings", json=body)
        except httpx.HTTPError as error:
            self.ready = None
            raise EngineDeadError from error
        if answer.status_code >= 400:
            raise RequestFailedError(_error_in(answer))
        return _vectors_in(answer, len(inputs))

    async def _chunks(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The server's chunks. Raises EngineDeadError, RequestFailedError."""
        assert self._http is not None
        try:
            async with self._http.stream("POST", "chat/completions", json=body) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    raise RequestFailedError(_error_in(answer))
                async for chunk in _events(answer.aiter_lines()):
                    yield chunk
        except httpx.HTTPError as error:
            self.ready = None  # the next request asks again whether it is there
            raise EngineDeadError from error

    def _body(self, prompt_ids: Ids[int], sampling: SamplingParams) -> dict[str, Any]:
        assert self.ready is not None
        body: dict[str, Any] = {
            "model": self._remote.model,
            "messages": self._words.messages(prompt_ids),
            "max_tokens": min(sampling.max_tokens, self.ready.n_ctx - len(prompt_ids)),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "presence_penalty": sampling.presence_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.logit_bias or sampling.logprobs >= 0:
            raise CannotError("remote.no_token_ids", name=self.name)
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        for name in self._remote.extensions:
            field = "repeat_penalty" if name == "repetition_penalty" else name
            body[name] = getattr(sampling, field)
        if sampling.grammar:
            if not self._remote.grammar:
                raise CannotError("remote.no_grammar", name=self.name)
            body[self._remote.grammar] = sampling.grammar
        return body

    def _ready(self, listed: dict[str, Any]) -> Ready:
        meta = listed.get("meta") if isinstance(listed.get("meta"), dict) else {}
        told = (
            listed.get("max_model_len"),  # vLLM
            listed.get("n_ctx"),  # ours
            listed.get("context_length"),
            (meta or {}).get("n_ctx_train"),  # llama-server
        )
        found = next((n for n in told if type(n) is int and 0 < n < 1 << 24), DEFAULT_N_CTX)
        n_ctx = self._remote.n_ctx or found
        return Ready(n_ctx, n_ctx, self._words.n_vocab, 0, self.load.n_slots, "remote", False)


class _RemoteReply:
    """One answer as the server's chunks tell it."""

    def __init__(self, words: RemoteTokenizer, stop: Ids[str], num_prompt_tokens: int) -> None:
        self.progress = Progress(0, num_prompt_tokens, -1)
        self.is_over = False
        self.reason: FinishReason | None = None
        self.usage: Usage | None = None
        self._words = words
        self._stop = StopChecker(stop)
        self._told: FinishReason = FinishReason.STOP
        self._is_thinking = False
        self._counts = {"prompt_tokens": num_prompt_tokens, "cached": 0, "completion_tokens": 0}
        self._began_at = time.perf_counter()
        self._first_at = 0.0

    def heartbeat(self) -> Progress | Delta:
        return Delta("") if self._first_at else self.progress

    def take(self, chunk: dict[str, Any]) -> Progress | Delta:
        if isinstance(usage := chunk.get("usage"), dict):
            self._count(usage)
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else {}
        if not isinstance(choice, dict):
            raise RequestFailedError("not an answer in OpenAI's form")
        if choice.get("finish_reason"):
            is_length = choice["finish_reason"] == "length"
            self._told = FinishReason.LENGTH if is_length else FinishReason.STOP
        text = self._stop.feed(self._text(choice.get("delta")))
        if self._stop.stopped:
            self._told = FinishReason.STOP
            return self._last(text)
        return self._delta(text) if text else self.heartbeat()

    def finish(self) -> Delta:
        """The stream has ended."""
        closing = CLOSE if self._is_thinking else ""
        return self._last(self._stop.feed(closing) + self._stop.flush())

    def _text(self, delta: object) -> str:
        """The new text; reasoning that the server tells apart is put between tags again."""
        values = delta if isinstance(delta, dict) else {}
        thought = values.get("reasoning_content") or values.get("reasoning") or ""
        answer = values.get("content") or ""
        if not isinstance(thought, str) or not isinstance(answer, str):
            raise RequestFailedError("not an answer in OpenAI's form")
        text = ""
        if thought:
            text = thought if self._is_thinking else OPEN + thought
            self._is_thinking = True
        if answer and self._is_thinking:
            text, self._is_thinking = text + CLOSE, False
        return text + answer

    def _delta(self, text: str) -> Delta:
        self._first_at = self._first_at or time.perf_counter()
        ids = tuple(self._words.encode_text(text))
        self._counts["completion_tokens"] += 0 if "told" in self._counts else len(ids)
        return Delta(text, ids)

    def _last(self, text: str) -> Delta:
        delta = self._delta(text)
        now = time.perf_counter()
        first_at = self._first_at or now
        num_tokens = self._counts["completion_tokens"]
        self.usage = Usage(
            queue_s=0.0,
            prompt_tokens=self._counts["prompt_tokens"],
            cached_tokens=self._counts["cached"],
            completion_tokens=num_tokens,
            time_to_first_token_s=first_at - self._began_at,
            tokens_per_s=(num_tokens - 1) / (now - first_at) if now > first_at else 0.0,
        )
        self.is_over, self.reason = True, self._told
        return Delta(text, delta.token_ids, self._told, self.usage)

    def _count(self, usage: dict[str, Any]) -> None:
        """The server's own numbers, where they are numbers."""
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else 0
        for name, value in (
            ("prompt_tokens", usage.get("prompt_tokens")),
            ("completion_tokens", usage.get("completion_tokens")),
            ("cached", cached),
        ):
            if type(value) is int and 0 <= value < 1 << 31:
                self._counts[name] = value
        self._counts["told"] = 1


async def _events(lines: AsyncIterator[str]) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON of every `data:` line until [DONE]. Raises RequestFailedError."""
    async for line in lines:
        if len(line) > MAX_LINE:
            raise RequestFailedError("a line without end")
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise RequestFailedError("not JSON") from error
        if not isinstance(chunk, dict):
            raise RequestFailedError("not an answer in OpenAI's form")
        if error_object := chunk.get("error"):
            raise RequestFailedError(_message_of(error_object))
        yield chunk


async def _with_heartbeat(
    chunks: AsyncGenerator[dict[str, Any], None],
) -> AsyncGenerator[dict[str, Any] | None, None]:
    """`chunks`, and None whenever there is none for HEARTBEAT_S."""
    async with contextlib.aclosing(chunks):
        coming: asyncio.Future[dict[str, Any]] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(chunks))
                done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT_S)
                if not done:
                    yield None
                    continue
                finished, coming = coming, None
                try:
                    chunk = finished.result()
                except StopAsyncIteration:
                    return
                yield chunk
        finally:
            if coming:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)


def _vectors_in(answer: httpx.Response, num_inputs: int) -> tuple[list[list[float]], int]:
    """Raises RequestFailedError on what is no list of vectors."""
    try:
        told = answer.json()
        rows = sorted(told["data"], key=lambda entry: int(entry["index"]))
        vectors = [[float(value) for value in row["embedding"]] for row in rows]
        used = told.get("usage", {}).get("prompt_tokens", 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RequestFailedError("not embeddings in OpenAI's form") from error
    lengths = {len(vector) for vector in vectors}
    is_sound = all(math.isfinite(value) for vector in vectors for value in vector)
    if len(vectors) != num_inputs or len(lengths) != 1 or 0 in lengths or not is_sound:
        raise RequestFailedError("not embeddings in OpenAI's form")
    return vectors, used if type(used) is int and 0 <= used < 1 << 31 else 0


def _model_in(listed: object, model: str) -> dict[str, Any]:
    """What the server says about the model; {} where it lists others only (some list none)."""
    entries = listed if isinstance(listed, list) else []
    return next((e for e in entries if isinstance(e, dict) and e.get("id") == model), {})


def _error_in(answer: httpx.Response) -> str:
    try:
        return f"{answer.status_code}: {_message_of(answer.json().get('error', answer.text))}"
    except (ValueError, AttributeError):
        return f"HTTP {answer.status_code}"


def _message_of(error: object) -> str:
    message = error.get("message", error) if isinstance(error, dict) else error
    return " ".join(str(message).split())[:300]


def _shown(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
