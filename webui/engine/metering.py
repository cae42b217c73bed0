"""Metering: what the engines have done since the start, per model."""

from collections import Counter
from dataclasses import dataclass, field

from webui.engine.request import FinishReason, Usage

BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(slots=True)
class Histogram:
    """Times in seconds; `counts[i]` are those up to BOUNDS_S[i], the last all others."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[sum(seconds > bound for bound in BOUNDS_S)] += 1
        self.total_s += seconds

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(slots=True)
class ModelMeter:
    finished: Counter[FinishReason] = field(default_factory=Counter)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    time_to_first_token: Histogram = field(default_factory=Histogram)
    queue: Histogram = field(default_factory=Histogram)

    def record(self, reason: FinishReason, usage: Usage | None) -> None:
        """One request has ended; one that nobody waited for has no usage."""
        self.finished[reason] += 1
        if usage is None:
            return
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.completion_tokens += usage.completion_tokens
        self.time_to_first_token.add(usage.time_to_first_token_s)
        self.queue.add(usage.queue_s)


class Metering:
    def __init__(self) -> None:
        self.models: dict[str, ModelMeter] = {}

    def of(self, model_id: str) -> ModelMeter:
        return self.models.setdefault(model_id, ModelMeter())
