"""llama.cpp's own rate through the same bindings, without our loop: the yardstick of the bench.

    python -m tests.bench.bare MODEL

Reads lines "N_SEQUENCES N_TOKENS" and answers each with the decoded tokens per second. Same
context, batch and sampler settings as the engine's; the prompts are read once, before.
"""

import ctypes
import sys
import time
from typing import Any

import llama_cpp.llama_cpp as ll

PROMPT = tuple(range(1000, 1064))
NUM_SEQUENCES = 8


class Bare:
    def __init__(self, path: str) -> None:
        self._log = ll.llama_log_callback(lambda *_: None)
        ll.llama_log_set(self._log, ctypes.c_void_p())
        ll.llama_backend_init()
        model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
        params = ll.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = 4096, NUM_SEQUENCES, True
        params.n_batch = params.n_ubatch = 512
        params.n_threads = params.n_threads_batch = 2
        params.no_perf = True
        self._context = ll.llama_init_from_model(model, params)
        self._memory = ll.llama_get_memory(self._context)
        self._batch = ll.llama_batch_init(512, 0, 1)
        for sequence in range(NUM_SEQUENCES):
            self._decode([(token, i, sequence, False) for i, token in enumerate(PROMPT)])

    def rate(self, num_sequences: int, num_tokens: int) -> float:
        """Tokens per second of all sequences together, from the end of their prompts."""
        chains = [_chain(seed) for seed in range(num_sequences)]
        for sequence in range(NUM_SEQUENCES):
            ll.llama_memory_seq_rm(self._memory, sequence, len(PROMPT), -1)
        newest = [PROMPT[-1]] * num_sequences
        started = time.perf_counter()
        for position in range(len(PROMPT), len(PROMPT) + num_tokens):
            self._decode([(token, position, s, True) for s, token in enumerate(newest)])
            newest = [
                ll.llama_sampler_sample(chain, self._context, s) for s, chain in enumerate(chains)
            ]
        seconds = time.perf_counter() - started
        for chain in chains:
            ll.llama_sampler_free(chain)
        return num_sequences * num_tokens / seconds

    def _decode(self, rows: list[tuple[int, int, int, bool]]) -> None:
        batch = self._batch
        for i, (token, position, sequence, wants_logits) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, wants_logits
        batch.n_tokens = len(rows)
        assert ll.llama_decode(self._context, batch) == 0


def main() -> None:
    bare = Bare(sys.argv[1])
    for line in sys.stdin:
        num_sequences, num_tokens = line.split()
        print(bare.rate(int(num_sequences), int(num_tokens)), flush=True)


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


if __name__ == "__main__":
    main()
