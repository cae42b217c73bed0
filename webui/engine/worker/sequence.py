"""One request's state inside the worker. Knows nothing about scheduling or llama.cpp."""

import time
from dataclasses import dataclass, field

from webui.engine.request import Request, SamplingParams, Usage


@dataclass(slots=True, eq=False)
class Sequence:
    """`num_computed_tokens` chases `len(token_ids)`; there is no other notion of prefill or decode.

    token_ids = prompt + everything sampled (or forced by a grammar) so far. A token is sampled
    only after a step that computed the last one of them.
    """

    request_id: int
    token_ids: list[int]
    sampling: SamplingParams
    num_prompt_tokens: int
    is_background: bool = False
    arrived_at: float = field(default_factory=time.perf_counter)
    admitted_at: float = 0.0
    first_token_at: float = 0.0
    slot: int = -1
    num_computed_tokens: int = 0
    num_cached_tokens: int = 0

    @classmethod
    def of(cls, request: Request) -> "Sequence":
        ids = list(request.prompt_ids)
        return cls(request.id, ids, request.sampling, len(ids), request.is_background)

    @property
    def num_completion_tokens(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens

    @property
    def num_pending_tokens(self) -> int:
        return len(self.token_ids) - self.num_computed_tokens

    @property
    def is_decoding(self) -> bool:
        """Exactly the last sampled token is still to be computed."""
        return self.num_completion_tokens > 0 and self.num_pending_tokens == 1

    @property
    def is_scored(self) -> bool:
        """Its prompt's logprobs are asked for, and are not all there yet."""
        return self.sampling.scores_prompt and self.num_completion_tokens == 0

    @property
    def max_total_tokens(self) -> int:
        """KV cells it may ever hold; the last sampled token is never computed."""
        return self.num_prompt_tokens + self.sampling.max_tokens - 1

    def usage(self) -> Usage:
        now = time.perf_counter()
        admitted = self.admitted_at or now
        first = self.first_token_at or now
        num_later_tokens = max(0, self.num_completion_tokens - 1)
        return Usage(
            queue_s=admitted - self.arrived_at,
            prompt_tokens=self.num_prompt_tokens,
            cached_tokens=self.num_cached_tokens,
            completion_tokens=self.num_completion_tokens,
            time_to_first_token_s=first - self.arrived_at,
            tokens_per_s=num_later_tokens / (now - first) if now > first else 0.0,
        )
