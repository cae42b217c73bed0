"""The child process that measures how well a model foretells a text.

    python -m webui.workshop.perplexity_worker MODEL TEXT_FILE N_THREADS

As llama.cpp's own tool does: windows of N_CTX tokens, each begun with the BOS where the vocabulary
wants one, of which the second half counts.
"""

import ctypes
import hashlib
import math
import sys
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as ll
import numpy as np

from webui.models.gguf import check_file
from webui.processes.parent import Say, work_for_parent
from webui.workshop.making import WorkshopError

N_CTX = 512
MAX_WINDOWS = 24
MIN_WINDOWS = 2  # one could not tell how far off it is


def main() -> None:
    path, text_file, n_threads = sys.argv[1:]
    work_for_parent(lambda say: _measure(path, Path(text_file), int(n_threads), say))


def _measure(path: str, text_file: Path, n_threads: int, say: Say) -> None:
    """Raises WorkshopError, BadGgufError."""
    callback = ll.llama_log_callback(lambda *_: None)
    ll.llama_log_set(callback, None)
    check_file(Path(path))
    context, vocab = _loaded(path, n_threads)
    windows = _windows(vocab, text_file.read_bytes())
    n_vocab = int(ll.llama_vocab_n_tokens(vocab))
    found = []
    for number, window in enumerate(windows):
        found.append(_losses(context, window, n_vocab))
        say("progress", done=number + 1, total=len(windows))
    losses = np.concatenate(found)
    mean = float(losses.mean())
    if not math.isfinite(mean):
        raise WorkshopError("engine.workshop_failed", reason="the model computes no numbers")
    spread = float(losses.std(ddof=1)) / math.sqrt(len(losses))
    value = math.exp(mean)
    say(
        "done",
        perplexity=value,
        error=value * spread,
        losses=[round(float(loss), 5) for loss in losses],
        tokens=hashlib.sha256(np.concatenate(windows).tobytes()).hexdigest()[:16],
    )


def _loaded(path: str, n_threads: int) -> tuple[Any, Any]:
    """A context and its vocabulary, for as long as this process lives."""
    ll.llama_backend_init()
    model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
    if not model:
        raise WorkshopError("engine.workshop_failed", reason="llama.cpp could not load the file")
    params = ll.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = N_CTX
    params.n_threads = params.n_threads_batch = n_threads
    context = ll.llama_init_from_model(model, params)
    if not context:
        raise WorkshopError("engine.workshop_failed", reason="not enough memory")
    return context, ll.llama_model_get_vocab(model)


def _windows(vocab: Any, text: bytes) -> "list[np.ndarray[Any, Any]]":
    ids = (ctypes.c_int32 * (len(text) + 2))()
    count = ll.llama_tokenize(vocab, text, len(text), ids, len(ids), True, False)
    if count < 0:
        raise WorkshopError("engine.workshop_failed", reason="the text cannot be tokenised")
    num_windows = min(count // N_CTX, MAX_WINDOWS)
    if num_windows < MIN_WINDOWS:
        values = {"num_tokens": count, "least": MIN_WINDOWS * N_CTX}
        raise WorkshopError("engine.text_too_short", **values)
    windows = np.array(ids[: num_windows * N_CTX], np.int32).reshape(num_windows, N_CTX)
    if ll.llama_vocab_get_add_bos(vocab):
        windows[:, 0] = ll.llama_vocab_bos(vocab)
    return list(windows)


def _losses(context: Any, ids: "np.ndarray[Any, Any]", n_vocab: int) -> "np.ndarray[Any, Any]":
    """-log p of each token of the second half."""
    first = len(ids) // 2
    _decode(context, ids, first)
    losses = np.empty(len(ids) - 1 - first)
    for index in range(first, len(ids) - 1):
        pointer = ll.llama_get_logits_ith(context, index)
        logits = np.ctypeslib.as_array(pointer, shape=(n_vocab,)).astype(np.float64)
        top = logits.max()
        log_sum = top + math.log(np.exp(logits - top).sum())
        losses[index - first] = log_sum - logits[int(ids[index + 1])]
    return losses


def _decode(context: Any, ids: "np.ndarray[Any, Any]", first: int) -> None:
    """All of `ids` at once, alone in the context; logits from position `first` on."""
    ll.llama_memory_clear(ll.llama_get_memory(context), True)
    batch = ll.llama_batch_init(len(ids), 0, 1)
    for index, token in enumerate(ids):
        batch.token[index] = int(token)
        batch.pos[index] = index
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = 0
        batch.logits[index] = index >= first
    batch.n_tokens = len(ids)
    status = ll.llama_decode(context, batch)
    ll.llama_batch_free(batch)
    if status != 0:
        raise WorkshopError("engine.workshop_failed", reason=f"llama_decode returned {status}")


if __name__ == "__main__":
    main()
