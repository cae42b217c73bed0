"""llama.cpp's own rate through the same bindings, without our loop: the yardstick of the bench.

    python -m tests.bench.bare MODEL N_SEQUENCES N_TOKENS

Prints decoded tokens per second. Same context, batch and sampler settings as the engine's.
"""

import ctypes
import sys
import time
from typing import Any

import llama_cpp.llama_cpp as ll

PROMPT = tuple(range(1000, 1064))


def main(path: str, num_sequences: int, num_tokens: int) -> float:
    log = ll.llama_log_callback(lambda *_: None)
    ll.llama_log_set(log, ctypes.c_void_p())
    ll.llama_backend_init()
    model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
    params = ll.llama_context_default_params()
    params.n_ctx, params.n_seq_max, params.kv_unified = 4096, 8, True
    params.n_batch = params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = 2
    params.no_perf = True
    context = ll.llama_init_from_model(model, params)
    batch = ll.llama_batch_init(512, 0, 1)
    chains = [_chain(seed) for seed in range(num_sequences)]
    newest = []
    for sequence in range(num_sequences):
        _fill(batch, [(token, i, sequence, i == len(PROMPT) - 1) for i, token in enumerate(PROMPT)])
        assert ll.llama_decode(context, batch) == 0
        newest.append(ll.llama_sampler_sample(chains[sequence], context, -1))
    started = time.perf_counter()
    for step in range(num_tokens):
        position = len(PROMPT) + step
        _fill(batch, [(token, position, s, True) for s, token in enumerate(newest)])
        assert ll.llama_decode(context, batch) == 0
        newest = [ll.llama_sampler_sample(chains[s], context, s) for s in range(num_sequences)]
    return num_sequences * num_tokens / (time.perf_counter() - started)


def _chain(seed: int) -> Any:
    chain = ll.llama_sampler_chain_init(ll.llama_sampler_chain_default_params())
    for sampler in (
        ll.llama_sampler_init_top_k(40),
        ll.llama_sampler_init_top_p(0.95, 1),
        ll.llama_sampler_init_min_p(0.05, 1),
        ll.llama_sampler_init_temp(0.7),
        ll.llama_sampler_init_dist(seed),
    ):
        ll.llama_sampler_chain_add(chain, sampler)
    return chain


def _fill(batch: Any, rows: list[tuple[int, int, int, bool]]) -> None:
    for i, (token, position, sequence, wants_logits) in enumerate(rows):
        batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
        batch.seq_id[i][0], batch.logits[i] = sequence, wants_logits
    batch.n_tokens = len(rows)


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
