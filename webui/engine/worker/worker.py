"""The worker process: EngineCore.step() and the busy loop around it. Token ids in, token ids out.

Started by client.py as `python -m webui.engine.worker.worker` with pipes on stdin and stdout. Two
threads: this one owns llama.cpp; the other reads the pipe, so that an abort can stop a step that is
running. When stdin closes, the parent is gone and so is this process.
"""

import logging
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from webui.engine.request import (
    Abort,
    CheckIntegrity,
    Integrity,
    LoadFailed,
    Loading,
    LoadModel,
    Message,
    Outputs,
    Request,
    SequenceOutput,
    UseThreads,
    decode,
    encode,
)
from webui.engine.worker.host_cache import HostCache
from webui.engine.worker.prefix_cache import PrefixCache
from webui.engine.worker.runner import (
    DecodeError,
    Interrupted,
    ModelLoadError,
    ModelRunner,
    RestoreError,
)
from webui.engine.worker.scheduler import Batch, Scheduler
from webui.engine.worker.sequence import Sequence
from webui.engine.worker.threads import Threads
from webui.models.gguf import BadGgufError, check_file
from webui.processes.parent import pipe_to_parent
from webui.processes.wire import read_frame, write_frame

log = logging.getLogger(__name__)

STACK_BYTES = 16 << 20  # of the reader thread, in which grammars are compiled; some systems give .5


class EngineCore:
    """One model: schedule, run, update."""

    def __init__(self, runner: ModelRunner, n_batch: int) -> None:
        self.runner = runner
        cache = PrefixCache(
            runner.n_slots,
            runner.n_ctx,
            partial_reuse=runner.partial_reuse,
            host=HostCache(runner.host_cache_bytes),
            state_bytes=runner.state_bytes,
        )
        self.scheduler = Scheduler(cache, n_batch)
        self.threads = Threads(runner.num_threads)
        self.running_ids: frozenset[int] = frozenset()  # of the step that runs now
        self._reads_in_background = False  # and nobody waits for anything in it

    def step(self) -> list[SequenceOutput]:
        batch = self.scheduler.schedule()
        self.runner.use_threads(self.threads.count)
        began = time.perf_counter()
        try:
            with self.runner.interruptible():
                self.running_ids = frozenset(e.sequence.request_id for e in batch.entries)
                self._reads_in_background = batch.is_background_reading
                sampled = self.runner.run(batch)
        except Interrupted:
            self.scheduler.undo(batch, restart=not self.runner.partial_reuse)
            return []
        except RestoreError:
            self.scheduler.restart_all()
            return []
        except DecodeError as error:
            return self._fail(batch, error)
        finally:
            self.running_ids, self._reads_in_background = frozenset(), False
        ended = time.perf_counter()
        self.threads.observe(began, ended)
        outputs = self.scheduler.update(batch, sampled, ended - began)
        return self._forget_finished(outputs)

    def add(self, request: Request) -> list[SequenceOutput]:
        refused = self.scheduler.add(Sequence.of(request))
        return [refused] if refused else []

    def abort(self, request_id: int) -> list[SequenceOutput]:
        output = self.scheduler.abort(request_id)
        return self._forget_finished([output] if output else [])

    def interrupt_for(self, request_id: int) -> None:
        """Stop the running step when `request_id` is part of it. From the reader thread.

        Where memory cannot be cut, a stopped step would cost every sequence in it its whole
        state, so there the step is let finish.
        """
        if request_id in self.running_ids and self.runner.partial_reuse:
            self.runner.interrupt()

    def make_way(self, request: Request) -> None:
        """Somebody waits for `request`: a step that only reads in the background is stopped, and
        computed later. It may take seconds. From the reader thread."""
        if not request.is_background and self._reads_in_background and self.runner.partial_reuse:
            self.runner.interrupt()

    def prepare(self, request: Request) -> None:
        """What takes long and touches no other request. From the reader thread."""
        if request.sampling.grammar:
            guides = self.runner.vocab.guides
            if guides is None or guides.compile(request.sampling.grammar) is None:
                assert self.runner.vocab.pieces

    def integrity(self) -> Integrity:
        """Every invariant, checked against llama.cpp's own counts."""
        slots = self.scheduler.cache.slots
        return Integrity(
            tuple(self.scheduler.problems(self.runner.num_tokens_in_memory())),
            sum(slot.is_free for slot in slots),
            sum(slot.is_resident for slot in slots),
            sum(slot.owner is not None for slot in slots),
            len(self.scheduler.waiting),
        )

    def _fail(self, batch: Batch, error: DecodeError) -> list[SequenceOutput]:
        log.error("step failed: %s", error)
        return self._forget_finished(self.scheduler.fail(batch, str(error)))

    def _forget_finished(self, outputs: list[SequenceOutput]) -> list[SequenceOutput]:
        for output in outputs:
            if output.finish_reason:
                self.runner.forget(output.request_id)
        return outputs


class Worker:
    """The busy loop between the pipe and the core."""

    def __init__(
        self, core: EngineCore, inbox: "queue.SimpleQueue[Message]", out: BinaryIO
    ) -> None:
        self._core = core
        self._inbox = inbox
        self._out = out

    def run(self) -> None:
        while True:
            outputs = self._take_messages()
            if self._core.scheduler.has_work:
                outputs += self._core.step()
            if outputs:
                self.send(Outputs(tuple(outputs)))

    def send(self, message: Message) -> None:
        write_frame(self._out, encode(message))

    def _take_messages(self) -> list[SequenceOutput]:
        """Everything in the inbox; waits for a message when there is nothing to compute."""
        outputs: list[SequenceOutput] = []
        if not self._core.scheduler.has_work:
            self._check_integrity()
            outputs += self._handle(self._inbox.get())
        while not self._inbox.empty():
            outputs += self._handle(self._inbox.get())
        return outputs

    def _handle(self, message: Message) -> list[SequenceOutput]:
        match message:
            case Request():
                return self._core.add(message)
            case Abort(request_id):
                return self._core.abort(request_id)
            case UseThreads(count):
                self._core.threads.use_at_most(count)
                return []
            case CheckIntegrity():
                self.send(self._core.integrity())
                return []
        raise ValueError(f"unexpected message {message!r}")

    def _check_integrity(self) -> None:
        for problem in self._core.integrity().problems:
            log.error("integrity: %s", problem)


def main() -> None:
    logging.basicConfig(level=os.environ.get("KAJOGAKI_LOG_LEVEL", "WARNING"), stream=sys.stderr)
    pipe_in = sys.stdin.buffer
    pipe_out = pipe_to_parent()
    frame = read_frame(pipe_in)
    if frame is None:
        return
    load = decode(frame)
    assert isinstance(load, LoadModel)
    try:
        check_file(Path(load.path))  # llama.cpp sees no file that has not passed
        runner = ModelRunner(load, ProgressSender(pipe_out))
    except (BadGgufError, ModelLoadError) as error:
        write_frame(pipe_out, encode(LoadFailed(str(error))))
        return
    core = EngineCore(runner, load.n_batch)
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.stack_size(STACK_BYTES)
    threading.Thread(target=_listen, args=(pipe_in, inbox, core), daemon=True).start()
    worker = Worker(core, inbox, pipe_out)
    worker.send(runner.ready())
    worker.run()


class ProgressSender:
    """Sends Loading at most every 2 % of the file."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._sent = -1.0

    def __call__(self, fraction: float) -> None:
        if fraction - self._sent >= 0.02 or fraction >= 1:
            self._sent = fraction
            write_frame(self._out, encode(Loading(fraction)))


def _listen(pipe: BinaryIO, inbox: "queue.SimpleQueue[Message]", core: EngineCore) -> None:
    """Until the parent is gone. A worker that hears nothing more would be worse than none: a dead
    one is started again."""
    try:
        _read_pipe(pipe, inbox, core)
    except BaseException:  # of native code, too
        log.exception("the pipe is not read any more")
    os._exit(0)  # native threads must not keep the process alive


def _read_pipe(pipe: BinaryIO, inbox: "queue.SimpleQueue[Message]", core: EngineCore) -> None:
    while (frame := read_frame(pipe)) is not None:
        message = decode(frame)
        if isinstance(message, Request):
            core.prepare(message)
        inbox.put(message)
        if isinstance(message, Abort):
            core.interrupt_for(message.request_id)
        elif isinstance(message, Request):
            core.make_way(message)


if __name__ == "__main__":
    main()
