"""What llama.cpp computes for a row of tokens, all positions at once, as exactly as it can."""

from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as ll
import numpy as np
import numpy.typing as npt

_quiet = ll.llama_log_callback(lambda *_: None)


def logits_of(path: Path, ids: "npt.NDArray[Any]") -> "npt.NDArray[np.float32]":
    """One row of logits for each position."""
    ll.llama_log_set(_quiet, None)
    ll.llama_backend_init()
    model = ll.llama_model_load_from_file(str(path).encode(), ll.llama_model_default_params())
    assert model, "llama.cpp can load it"
    params = ll.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 256
    params.type_k = params.type_v = 0  # float32
    params.flash_attn_type = ll.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.n_threads = params.n_threads_batch = 2
    context = ll.llama_init_from_model(model, params)
    assert context
    n_vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(model))
    batch = ll.llama_batch_init(len(ids), 0, 1)
    for position, token in enumerate(ids):
        batch.token[position] = int(token)
        batch.pos[position] = position
        batch.n_seq_id[position] = 1
        batch.seq_id[position][0] = 0
        batch.logits[position] = True
    batch.n_tokens = len(ids)
    assert ll.llama_decode(context, batch) == 0
    rows = [
        np.ctypeslib.as_array(ll.llama_get_logits_ith(context, i), (n_vocab,)).copy()
        for i in range(len(ids))
    ]
    ll.llama_batch_free(batch)
    ll.llama_free(context)
    ll.llama_model_free(model)
    return np.array(rows)
