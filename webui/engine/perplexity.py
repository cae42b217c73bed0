"""The child process that measures how well a model foretells a text.

    python -m webui.engine.perplexity MODEL TEXT_FILE N_THREADS    (JSON lines on stdout)

As llama.cpp's own tool does: windows of N_CTX tokens, of which the second half counts. A child,
like everything that runs llama_decode. Ends when its parent does.
"""

import ctypes
import json
import math
import os
import sys
import threading
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as ll
import numpy as np

from webui.gguf import BadGgufError
from webui.soundness import check_file

N_CTX = 512
MAX_WINDOWS = 24


def main() -> None:
    path, text_file, n_threads = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    callback = ll.llama_log_callback(lambda *_: None)
    ll.llama_log_set(callback, None)
    try:
        check_file(Path(path))
        losses = _losses(path, Path(text_file).read_bytes(), int(n_threads), out)
    except (BadGgufError, ValueError) as error:
        _say(out, event="error", reason=str(error))
        os._exit(0)
    mean = float(np.mean(losses))
    spread = float(np.std(losses, ddof=1)) / math.sqrt(len(losses))
    ppl = math.exp(mean)
    _say(out, event="done", perplexity=ppl, error=ppl * spread, num_tokens=len(losses))
    os._exit(0)


def _losses(path: str, text: bytes, n_threads: int, out: Any) -> "np.ndarray[Any, Any]":
    """-log p of every token that counts."""
    ll.llama_backend_init()
    model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
    if not model:
        raise ValueError("llama.cpp could not load the file")
    params = ll.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = N_CTX
    params.n_threads = params.n_threads_batch = n_threads
    context = ll.llama_init_from_model(model, params)
    if not context:
        raise ValueError("not enough memory")
    vocab = ll.llama_model_get_vocab(model)
    ids = _tokens(vocab, text)
    num_windows = min(len(ids) // N_CTX, MAX_WINDOWS)
    if num_windows == 0:
        raise ValueError(f"the text has {len(ids)} tokens; at least {N_CTX} are needed")
    losses = []
    for window in range(num_windows):
        chunk = ids[window * N_CTX : (window + 1) * N_CTX]
        losses.append(_window_losses(context, chunk, int(ll.llama_vocab_n_tokens(vocab))))
        _say(out, event="progress", done=window + 1, total=num_windows)
    return np.concatenate(losses)


def _tokens(vocab: Any, text: bytes) -> "np.ndarray[Any, Any]":
    ids = (ctypes.c_int32 * (len(text) + 2))()
    count = ll.llama_tokenize(vocab, text, len(text), ids, len(ids), True, False)
    if count < 0:
        raise ValueError("the text cannot be tokenised")
    return np.array(ids[:count], np.int32)


def _window_losses(context: Any, ids: Any, n_vocab: int) -> "np.ndarray[Any, Any]":
    ll.llama_memory_clear(ll.llama_get_memory(context), True)
    batch = ll.llama_batch_init(len(ids), 0, 1)
    first = len(ids) // 2
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
        raise ValueError(f"llama_decode returned {status}")
    losses = np.empty(len(ids) - 1 - first)
    for index in range(first, len(ids) - 1):
        pointer = ll.llama_get_logits_ith(context, index)
        logits = np.ctypeslib.as_array(pointer, shape=(n_vocab,)).astype(np.float64)
        top = logits.max()
        log_sum = top + math.log(np.exp(logits - top).sum())
        losses[index - first] = log_sum - logits[int(ids[index + 1])]
    return losses


def _say(out: Any, **values: Any) -> None:
    try:
        out.write(json.dumps(values) + "\n")
        out.flush()
    except BrokenPipeError:
        os._exit(0)


def _end_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
