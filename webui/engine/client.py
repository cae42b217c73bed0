"""Engine: one model's worker process, seen from the web process. Text out, token ids to the worker.

Spawns the worker, feeds it requests, turns its ids into text, cuts at stop strings, aborts what
nobody listens to any more, and says clearly when the worker has died. A dead worker is started
again by the next call of start().
"""

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from collections.abc import Sequence as Ids
from dataclasses import dataclass, replace
from pathlib import Path

from webui.engine.detokenizer import IncrementalDetokenizer, StopChecker
from webui.engine.metering import ModelMeter
from webui.engine.request import (
    Abort,
    CheckIntegrity,
    FinishReason,
    Integrity,
    LoadFailed,
    Loading,
    LoadModel,
    Message,
    Outputs,
    Ready,
    Request,
    SamplingParams,
    SequenceOutput,
    TokenLogprob,
    Usage,
    UseThreads,
    decode,
    encode,
)
from webui.engine.tokenizer import Tokenizer
from webui.errors import AppError
from webui.processes.child import Child

log = logging.getLogger(__name__)

WORKER = "webui.engine.worker.worker"
HEARTBEAT_S = 0.5  # generate() is never quiet for longer
STOP_GRACE_S = 2.0  # between asking a worker to end and killing it


class EngineDeadError(AppError):
    """The worker process ended in the middle of a request."""

    def __init__(self) -> None:
        super().__init__("engine.dead")


class ModelLoadError(AppError):
    """The model cannot be loaded."""


class PromptTooLongError(AppError):
    """The prompt leaves no room for an answer."""

    def __init__(self, num_tokens: int, n_ctx: int) -> None:
        num_over = num_tokens + 1 - n_ctx
        super().__init__(
            "engine.context_too_long", num_tokens=num_tokens, n_ctx=n_ctx, num_over=num_over
        )


class RequestFailedError(AppError):
    """This request alone failed inside the worker."""

    def __init__(self, reason: str) -> None:
        super().__init__("engine.request_failed", reason=reason)


@dataclass(frozen=True, slots=True)
class Progress:
    """Nothing new to show yet: waiting, or reading the prompt."""

    num_prompt_done: int
    num_prompt_tokens: int
    num_waiting_ahead: int  # -1 once admitted


@dataclass(frozen=True, slots=True)
class Delta:
    """New text. The last one of a request carries `finish_reason` and `usage`."""

    text: str
    token_ids: tuple[int, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()  # of token_ids, when asked for
    prompt_logprobs: tuple[TokenLogprob, ...] = ()  # all but the first, with the first Delta


class Engine:
    """`name` is shown to people. Not thread-safe: use it from one event loop."""

    def __init__(self, load: LoadModel, name: str, meter: ModelMeter | None = None) -> None:
        self.load = load
        self.name = name
        self._meter = meter or ModelMeter()
        self.ready: Ready | None = None
        self.tokenizer: Tokenizer | None = None
        self._worker: Child | None = None
        self._inboxes: dict[int, asyncio.Queue[SequenceOutput | None]] = {}
        self._integrity: asyncio.Queue[Integrity | None] = asyncio.Queue()
        self._ids = itertools.count(1)
        self._num_threads = load.n_threads
        self._starting = asyncio.Lock()

    @property
    def is_alive(self) -> bool:
        return self._worker is not None and self.ready is not None

    @property
    def pid(self) -> int | None:
        return self._worker.pid if self._worker else None

    @property
    def num_threads(self) -> int:
        """That it computes with now; see use_threads."""
        return self._num_threads

    @property
    def num_requests(self) -> int:
        return len(self._inboxes)

    async def start(self, on_progress: Callable[[float], None] = lambda _: None) -> Ready:
        """Load the model unless it is loaded. Raises ModelLoadError."""
        async with self._starting:
            if self.is_alive and self.ready:
                return self.ready
            await self._start_worker(on_progress)
            assert self.ready is not None
            if self.tokenizer is None:
                # After the worker: a file that crashes llama.cpp has already done so over there.
                self.tokenizer = await asyncio.to_thread(Tokenizer, Path(self.load.path))
            return self.ready

    async def stop(self) -> None:
        """End the worker; its memory is truly given back."""
        if worker := self._worker:
            self._on_death()
            await asyncio.to_thread(worker.stop, STOP_GRACE_S)

    async def generate(
        self,
        prompt_ids: Ids[int],
        sampling: SamplingParams,
        stop: Ids[str] = (),
        *,
        is_background: bool = False,
    ) -> AsyncGenerator[Progress | Delta, None]:
        """Text for `prompt_ids`, as it comes; ends after the Delta that has a finish reason.

        Yields at least every HEARTBEAT_S. Closing the generator (or cancelling the task) aborts
        the request. max_tokens is lowered to what the context leaves. `is_background`: nobody
        reads along, so prompts beside it are read at full speed.
        Raises PromptTooLongError, EngineDeadError, RequestFailedError.
        """
        ready = self.ready
        if ready is None or self._worker is None:
            raise EngineDeadError
        room = ready.n_ctx - len(prompt_ids) + 1
        if room <= 1 or not prompt_ids:
            raise PromptTooLongError(len(prompt_ids), ready.n_ctx)
        sampling = replace(sampling, max_tokens=min(sampling.max_tokens, room))
        request = Request(next(self._ids), tuple(prompt_ids), sampling, is_background)
        inbox = self._inboxes[request.id] = asyncio.Queue()
        reply = _Reply(IncrementalDetokenizer(self._tokenizer().piece), stop, len(prompt_ids))
        try:
            self._send(request)
            while not reply.is_over:
                event = reply.take(await _next_outputs(inbox))
                if isinstance(event, Delta) and event.finish_reason:
                    self._meter.record(event.finish_reason, event.usage)
                if reply.wants_abort:  # a stop string; the worker answers with the usage
                    self._send(Abort(request.id))
                yield event
        finally:
            self._inboxes.pop(request.id, None)
            if not reply.is_over:
                self._meter.record(FinishReason.ABORT, None)
                self._send(Abort(request.id))

    def use_threads(self, count: int) -> None:
        """Compute with so many of its threads while others need the cores too."""
        if count != self._num_threads:
            self._num_threads = count
            self._send(UseThreads(count))

    async def integrity(self) -> Integrity:
        """The worker's own check of its invariants. Raises EngineDeadError."""
        self._send(CheckIntegrity())
        answer = await self._integrity.get()
        if answer is None:
            raise EngineDeadError
        return answer

    def _tokenizer(self) -> Tokenizer:
        assert self.tokenizer is not None, "start() comes first"
        return self.tokenizer

    def _send(self, message: Message) -> None:
        if self._worker:
            self._worker.send(encode(message))

    async def _start_worker(self, on_progress: Callable[[float], None]) -> None:
        first: asyncio.Queue[Message | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        worker = Child(WORKER)
        worker.send(encode(self.load))
        self._num_threads = self.load.n_threads

        def deliver(message: Message | None) -> None:
            if self._worker is not worker:
                return
            if self.ready:
                self._receive(message)
            else:
                self.ready = message if isinstance(message, Ready) else None
                first.put_nowait(message)

        self._worker = worker
        worker.listen(
            lambda frame: _call_in(loop, deliver, None if frame is None else decode(frame))
        )
        try:
            while True:
                match await first.get():
                    case Loading(fraction):
                        on_progress(fraction)
                    case Ready():
                        return
                    case LoadFailed(reason):
                        raise ModelLoadError("engine.load_failed", name=self.name, reason=reason)
                    case _:
                        reason = "llama.cpp ended"
                        raise ModelLoadError("engine.load_failed", name=self.name, reason=reason)
        except BaseException:
            self._worker = self.ready = None
            await asyncio.to_thread(worker.stop, STOP_GRACE_S)
            raise

    def _receive(self, message: Message | None) -> None:
        match message:
            case Outputs(outputs):
                for output in outputs:
                    if inbox := self._inboxes.get(output.request_id):
                        inbox.put_nowait(output)
            case Integrity():
                self._integrity.put_nowait(message)
            case None:
                log.error("the worker of %s died", self.name)
                worker = self._worker
                self._on_death()
                if worker:
                    threading.Thread(target=worker.stop, args=(STOP_GRACE_S,), daemon=True).start()

    def _on_death(self) -> None:
        self._worker = None
        self.ready = None
        for inbox in self._inboxes.values():
            inbox.put_nowait(None)
        self._integrity.put_nowait(None)
        self._integrity = asyncio.Queue()


class _Reply:
    """The text of one request: detokenised, cut at stop strings, with its progress."""

    def __init__(
        self, decoder: IncrementalDetokenizer, stop: Ids[str], num_prompt_tokens: int
    ) -> None:
        self.is_over = False
        self.wants_abort = False
        self._decoder = decoder
        self._stop = StopChecker(stop)
        self._num_prompt_tokens = num_prompt_tokens
        self._progress = Progress(0, num_prompt_tokens, 0)
        self._scores: list[TokenLogprob] = []  # of the prompt, until the first Delta takes them

    def take(self, outputs: list[SequenceOutput]) -> Progress | Delta:
        """One event for all `outputs` that came together; none at all is a heartbeat."""
        last = outputs[-1] if outputs else None
        reason = last.finish_reason if last else None
        if last and reason is FinishReason.ERROR:
            self.is_over = True
            raise RequestFailedError(last.error)
        ids = tuple(i for output in outputs for i in output.new_ids)
        self._scores += [score for output in outputs for score in output.prompt_logprobs]
        if not ids and not reason:
            return self._report(last)
        delta = self._decode(ids, reason, last.usage if last else None)
        logprobs = tuple(p for output in outputs for p in output.logprobs)
        scores, self._scores = tuple(self._scores), []
        has_any = logprobs or scores
        return replace(delta, logprobs=logprobs, prompt_logprobs=scores) if has_any else delta

    def _report(self, news: SequenceOutput | None) -> Progress:
        if news:
            self._progress = Progress(
                news.num_prompt_done, self._num_prompt_tokens, news.num_waiting_ahead
            )
        return self._progress

    def _decode(
        self, ids: tuple[int, ...], reason: FinishReason | None, usage: Usage | None
    ) -> Delta:
        self._progress = Progress(self._num_prompt_tokens, self._num_prompt_tokens, -1)
        was_stopped = self._stop.stopped
        text = "" if was_stopped else self._stop.feed(self._decoder.feed(ids))
        if reason and not self._stop.stopped:
            text += self._stop.feed(self._decoder.flush())
            text += self._stop.flush()
        self.is_over = reason is not None
        self.wants_abort = self._stop.stopped and not was_stopped and not self.is_over
        if self._stop.stopped and reason:
            reason = FinishReason.STOP
        return Delta(text, ids, reason, usage)


async def _next_outputs(inbox: asyncio.Queue[SequenceOutput | None]) -> list[SequenceOutput]:
    """All outputs that are there, after waiting up to HEARTBEAT_S for the first.

    Raises EngineDeadError when the worker is gone.
    """
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            outputs = [await inbox.get()]
    except TimeoutError:
        return []
    while not inbox.empty():
        outputs.append(inbox.get_nowait())
    alive = [output for output in outputs if output is not None]
    if not alive:
        raise EngineDeadError
    if len(alive) < len(outputs):
        inbox.put_nowait(None)  # what came before the death is delivered first
    return alive


def _call_in(
    loop: asyncio.AbstractEventLoop,
    function: Callable[[Message | None], None],
    message: Message | None,
) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended; nobody is left to tell
        loop.call_soon_threadsafe(function, message)
