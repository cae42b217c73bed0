"""The only caller of llama_decode: loads a model, fills batches, moves and cuts KV, samples.

Knows slots and token ids; knows nothing about requests waiting, pipes or text.
"""

import ctypes
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import llama_cpp.llama_cpp as ll
import numpy as np

from webui.engine.request import LoadModel, Ready, TokenLogprob
from webui.engine.worker.prefix_cache import (
    Copy,
    Discard,
    MemoryOperation,
    Park,
    Restore,
    Trim,
)
from webui.engine.worker.sampler import Sampler, logprob_of
from webui.engine.worker.scheduler import MAX_SCORED_TOKENS, Batch, Entry, Sampled
from webui.engine.worker.vocab import Vocab

log = logging.getLogger(__name__)

DEFAULT_N_CTX = 8192  # cells, when the user sets none and the model was trained for more
UBATCH = 512  # tokens computed at a time inside one llama_decode
FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}
KV_TYPES = {"f16": ll.GGML_TYPE_F16, "q8_0": ll.GGML_TYPE_Q8_0}
DECODE_ABORTED = 2
GGML_LOG_LEVELS = {2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}


class ModelLoadError(Exception):
    """llama.cpp refuses the file or its memory; the text is llama.cpp's own last error line."""


class DecodeError(Exception):
    """llama_decode failed; what it left in memory is unknown."""


class Interrupted(Exception):
    """llama_decode stopped because `interrupt` was called; partial results may be in memory."""


class RestoreError(Exception):
    """A parked state did not fit back in; its slot is empty instead."""


class ModelRunner:
    def __init__(self, load: LoadModel, on_progress: Callable[[float], None]) -> None:
        self._log = _llama_log
        self._log.listen()
        self._model = self._load_model(load, on_progress)
        self.vocab = Vocab(ll.llama_model_get_vocab(self._model))
        self._interrupt = _InterruptFlag()
        self._context = self._create_context(load)
        self._memory = ll.llama_get_memory(self._context)
        self._batch = _BatchArrays(load.n_batch)
        self._samplers: dict[int, Sampler] = {}
        self._parked: dict[int, np.ndarray] = {}  # states of idle sequences, uint8
        self.n_slots = load.n_slots
        self.host_cache_bytes = load.host_cache_bytes
        self.n_ctx = int(ll.llama_n_ctx(self._context))
        self.partial_reuse = not (
            ll.llama_model_is_recurrent(self._model) or ll.llama_model_is_hybrid(self._model)
        )

    def ready(self) -> Ready:
        description = ctypes.create_string_buffer(256)
        ll.llama_model_desc(self._model, description, 256)
        return Ready(
            n_ctx=self.n_ctx,
            n_ctx_train=int(ll.llama_model_n_ctx_train(self._model)),
            n_vocab=self.vocab.n_tokens,
            n_params=int(ll.llama_model_n_params(self._model)),
            n_slots=self.n_slots,
            description=description.value.decode(errors="replace"),
            partial_reuse=self.partial_reuse,
        )

    def run(self, batch: Batch) -> dict[int, Sampled]:
        """Compute `batch`; what was sampled, by request id, for every entry that ends its sequence.

        Raises Interrupted, RestoreError or DecodeError; then nothing was sampled. A sampler that
        fails gives its own sequence an error and leaves the others alone.
        """
        are_done = [self._apply(operation) for operation in batch.operations]
        if not all(are_done):
            raise RestoreError
        if not batch.entries:
            return {}
        self._batch.fill(batch.entries)
        status = int(ll.llama_decode(self._context, self._batch.struct))
        if status == DECODE_ABORTED:
            raise Interrupted
        if status != 0:
            raise DecodeError(f"llama_decode returned {status}: {self._log.last_error}")
        return dict(self._sample(batch.entries))

    @property
    def num_threads(self) -> int:
        return int(ll.llama_n_threads(self._context))

    def use_threads(self, count: int) -> None:
        """From the next run on."""
        ll.llama_set_n_threads(self._context, count, count)

    def interrupt(self) -> None:
        """Stop the llama_decode that is running now. Safe from any thread."""
        self._log.is_quiet = True  # llama.cpp calls it a failure
        self._interrupt.set()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, interrupt() takes effect; what was asked before or after does not count."""
        self._interrupt.clear()
        try:
            yield
        finally:
            self._interrupt.clear()
            self._log.is_quiet = False

    def forget(self, request_id: int) -> None:
        """The request has finished: free its sampler."""
        if sampler := self._samplers.pop(request_id, None):
            sampler.close()

    def num_tokens_in_memory(self) -> dict[int, int]:
        """Tokens per slot as llama.cpp counts them."""
        return {
            slot: int(ll.llama_memory_seq_pos_max(self._memory, slot)) + 1
            for slot in range(self.n_slots)
        }

    def logits(self, batch_index: int = -1) -> np.ndarray:
        """Copy of the newest logits, float32[n_vocab]. For tests of correctness."""
        pointer = ll.llama_get_logits_ith(self._context, batch_index)
        return np.ctypeslib.as_array(pointer, shape=(self.vocab.n_tokens,)).copy()

    def close(self) -> None:
        for request_id in list(self._samplers):
            self.forget(request_id)
        ll.llama_free(self._context)
        ll.llama_model_free(self._model)

    def _load_model(self, load: LoadModel, on_progress: Callable[[float], None]) -> Any:
        ll.llama_backend_init()
        params = ll.llama_model_default_params()
        params.n_gpu_layers = load.n_gpu_layers
        params.load_mode = _load_mode(load)

        def report(fraction: float, _: object) -> bool:
            on_progress(fraction)
            return True  # go on

        callback = ll.llama_progress_callback(report)
        params.progress_callback = callback
        model = ll.llama_model_load_from_file(load.path.encode(), params)
        if not model:
            raise ModelLoadError(self._log.last_error or "llama.cpp could not load the file")
        return model

    def _create_context(self, load: LoadModel) -> Any:
        trained = int(ll.llama_model_n_ctx_train(self._model))
        params = ll.llama_context_default_params()
        params.n_ctx = load.n_ctx or min(trained, DEFAULT_N_CTX)
        params.n_batch = load.n_batch
        params.n_ubatch = min(load.n_batch, UBATCH)
        params.n_seq_max = load.n_slots
        # Logits of one token per slot and of those that are scored, not of a whole chunk.
        params.n_outputs_max = load.n_slots + MAX_SCORED_TOKENS
        params.kv_unified = True  # a slot may use all cells, and a shared prefix costs them once
        params.n_threads = params.n_threads_batch = load.n_threads
        params.flash_attn_type = FLASH_ATTENTION[load.flash_attn]
        params.type_k = params.type_v = KV_TYPES[load.kv_type]
        params.abort_callback = self._interrupt.callback
        params.abort_callback_data = self._interrupt.address
        params.no_perf = True
        context = ll.llama_init_from_model(self._model, params)
        if not context:
            raise ModelLoadError(self._log.last_error or "not enough memory for this context")
        return context

    def state_bytes(self, slot: int) -> int:
        """That the state of `slot` takes in the host's memory."""
        return int(ll.llama_state_seq_get_size(self._context, slot))

    def _apply(self, operation: MemoryOperation) -> bool:
        """False: a parked state could not be restored."""
        match operation:
            case Trim(slot, length):
                if not ll.llama_memory_seq_rm(self._memory, slot, length, -1):
                    raise DecodeError(f"slot {slot} cannot be cut to {length} tokens")
            case Copy(source, target, length):
                # A memory that cannot be cut is copied whole; the cache asks for nothing else.
                end = length if self.partial_reuse else -1
                ll.llama_memory_seq_cp(self._memory, source, target, 0, end)
            case Park(slot, key):
                self._park(slot, key)
            case Restore(key, slot):
                return self._restore(key, slot)
            case Discard(key):
                self._parked.pop(key, None)
        return True

    def _park(self, slot: int, key: int) -> None:
        state = np.empty(self.state_bytes(slot), np.uint8)
        pointer = ctypes.cast(state.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
        if ll.llama_state_seq_get_data(self._context, pointer, state.size, slot) == state.size:
            self._parked[key] = state

    def _restore(self, key: int, slot: int) -> bool:
        state = self._parked.get(key)
        if state is None:
            return False
        pointer = ctypes.cast(state.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
        if ll.llama_state_seq_set_data(self._context, pointer, state.size, slot):
            return True
        log.warning("a parked state of %d bytes did not fit back", state.size)
        ll.llama_memory_seq_rm(self._memory, slot, -1, -1)
        return False

    def _sample(self, entries: tuple[Entry, ...]) -> Iterator[tuple[int, Sampled]]:
        start = 0
        for entry in entries:
            end = start + entry.count
            sequence = entry.sequence
            try:
                scores = self._scores(entry, start) if sequence.is_scored else ()
                if entry.ends_sequence:
                    sampled = self._next(entry, end - 1)
                    yield sequence.request_id, replace(sampled, prompt_logprobs=scores)
                elif scores:
                    yield sequence.request_id, Sampled(prompt_logprobs=scores)
            except ValueError as error:
                yield sequence.request_id, Sampled(error=str(error))
            start = end

    def _next(self, entry: Entry, index: int) -> Sampled:
        """Sampled from the logits at `index`. Raises ValueError."""
        sequence = entry.sequence
        sampler = self._samplers.get(sequence.request_id)
        if sampler is None:
            sampler = Sampler(self.vocab, sequence.sampling)
            self._samplers[sequence.request_id] = sampler
        num_left = sequence.sampling.max_tokens - sequence.num_completion_tokens
        ids, is_end = sampler.sample(self._context, index, num_left)
        return Sampled(ids, is_end, logprobs=sampler.logprobs)

    def _scores(self, entry: Entry, start: int) -> tuple[TokenLogprob, ...]:
        """Of the prompt's tokens that stand after those of `entry`."""
        sequence = entry.sequence
        following = sequence.token_ids[entry.start + 1 : entry.start + entry.count + 1]
        num_top = max(0, sequence.sampling.logprobs)
        return tuple(
            logprob_of(self._context, start + offset, self.vocab.n_tokens, token_id, num_top)
            for offset, token_id in enumerate(following)
        )


class _BatchArrays:
    """One llama_batch over arrays of our own, so that filling it is a few array assignments."""

    def __init__(self, n_batch: int) -> None:
        self._token = np.zeros(n_batch, np.int32)
        self._pos = np.zeros(n_batch, np.int32)
        self._n_seq_id = np.ones(n_batch, np.int32)
        self._seq_id = np.zeros(n_batch, np.int32)
        addresses = self._seq_id.ctypes.data + 4 * np.arange(n_batch, dtype=np.uintp)
        self._seq_id_pointers = addresses.astype(np.uintp)
        self._wants_logits = np.zeros(n_batch, np.int8)
        self.struct = ll.llama_batch()
        for name, array in (
            ("token", self._token),
            ("pos", self._pos),
            ("n_seq_id", self._n_seq_id),
            ("seq_id", self._seq_id_pointers),
            ("logits", self._wants_logits),
        ):
            kind = dict(ll.llama_batch._fields_)[name]
            setattr(self.struct, name, ctypes.cast(array.ctypes.data, kind))

    def fill(self, entries: tuple[Entry, ...]) -> None:
        self._wants_logits[:] = 0
        start = 0
        for entry in entries:
            end = start + entry.count
            ids = entry.sequence.token_ids[entry.start : entry.start + entry.count]
            self._token[start:end] = ids
            self._pos[start:end] = np.arange(entry.start, entry.start + entry.count)
            self._seq_id[start:end] = entry.sequence.slot
            self._wants_logits[end - 1] = entry.ends_sequence
            if entry.sequence.is_scored:
                self._wants_logits[start:end] = True
            start = end
        self.struct.n_tokens = start


class _InterruptFlag:
    """llama.cpp's abort callback without Python in it: C's own strlen, looking at two bytes.

    The callback runs before every node of the graph, a thousand times a token; a Python function
    there would cost some percent of the speed and need the GIL. strlen of an empty string is 0
    (go on), of a one-byte string 1 (stop), which is all that the callback has to say.
    """

    def __init__(self) -> None:
        self._bytes = ctypes.create_string_buffer(2)
        libc = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
        self.callback = ctypes.cast(libc.strlen, ll.ggml_abort_callback)
        self.address = ctypes.addressof(self._bytes)

    def set(self) -> None:
        self._bytes[0] = b"\x01"

    def clear(self) -> None:
        self._bytes[0] = b"\x00"


class _LlamaLog:
    """llama.cpp's log as Python logging, and its last error line.

    One for the process: llama.cpp crashes when the callback is garbage-collected.
    """

    def __init__(self) -> None:
        self.last_error = ""
        self.is_quiet = False
        self._callback = ll.llama_log_callback(self._write)

    def listen(self) -> None:
        self.last_error = ""
        ll.llama_log_set(self._callback, None)

    def _write(self, level: int, text: bytes, _: object) -> None:
        line = text.decode(errors="replace").rstrip()
        if level == 4 and line:
            self.last_error = line
        shown = logging.DEBUG if self.is_quiet else GGML_LOG_LEVELS.get(level, logging.DEBUG)
        log.log(shown, "%s", line)


_llama_log = _LlamaLog()


def _load_mode(load: LoadModel) -> int:
    if load.mmap:
        return int(ll.LLAMA_LOAD_MODE_MMAP_MLOCK if load.mlock else ll.LLAMA_LOAD_MODE_MMAP)
    return int(ll.LLAMA_LOAD_MODE_MLOCK if load.mlock else ll.LLAMA_LOAD_MODE_NONE)
