"""How well models foretell a text, kept on this machine, and how much worse one is than the best.

Two values may be compared only when both models cut the text into the same tokens; then the losses
are compared token by token, which tells apart what two error bars alone could not. Knows nothing
about the page.
"""

import base64
import json
import math
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from webui.config import LOCAL_USER, PROJECT_DIR
from webui.engine.options import KeyValueStore
from webui.models import ModelSpec
from webui.workshop.workshop import Perplexity, Step, perplexity

KEY, LOSSES = "perplexity_results", "perplexity_losses:"
BUILTIN_TEXT = PROJECT_DIR / "models" / "builtin" / "reading.ja.txt"
MAX_KEPT = 60
Losses = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PerplexityRow:
    model_id: str
    name: str
    quantization: str
    size_bytes: int
    value: float
    error: float  # one standard error
    num_tokens: int
    tokens: str  # a hash: only rows with the same one can be compared
    text_name: str  # "" = the one that is shipped
    measured_at: float  # unix seconds


@dataclass(frozen=True, slots=True)
class Ratio:
    """To the best of those that can be compared."""

    value: float
    error: float  # one standard error; 0 for the best itself


async def measure_perplexity(
    spec: ModelSpec, text_file: Path, text_name: str, results: "PerplexityResults"
) -> AsyncGenerator[Step, None]:
    """Measure and keep it. Raises WorkshopError."""
    async with aclosing(perplexity(spec.path, text_file)) as steps:
        async for step in steps:
            if isinstance(step, Step):
                yield step
            else:
                results.add(_row(spec, step, text_name), np.array(step.losses, np.float32))


def _row(spec: ModelSpec, measured: Perplexity, text_name: str) -> PerplexityRow:
    return PerplexityRow(
        model_id=spec.id,
        name=spec.name,
        quantization=spec.quantization,
        size_bytes=spec.size_bytes,
        value=measured.value,
        error=measured.error,
        num_tokens=len(measured.losses),
        tokens=measured.tokens,
        text_name=text_name,
        measured_at=time.time(),
    )


class PerplexityResults:
    """The newest value of each model, with the loss of each token beside it."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._losses: dict[tuple[str, float], Losses] = {}

    def rows(self) -> list[PerplexityRow]:
        """Those of another version that cannot be read are left out."""
        known = {item.name for item in fields(PerplexityRow)}
        try:
            raw = json.loads(self._store.setting(LOCAL_USER, KEY) or "[]")
            return [PerplexityRow(**row) for row in raw if set(row) == known]
        except (ValueError, TypeError):
            return []

    def add(self, row: PerplexityRow, losses: Losses) -> None:
        packed = base64.b64encode(losses.astype("<f4").tobytes()).decode("ascii")
        self._store.set_setting(LOCAL_USER, LOSSES + row.model_id, packed)
        others = [other for other in self.rows() if other.model_id != row.model_id]
        newest = sorted([*others, row], key=lambda one: -one.measured_at)
        for old in newest[MAX_KEPT:]:
            self._store.set_setting(LOCAL_USER, LOSSES + old.model_id, "")
        self._write(newest[:MAX_KEPT])

    def clear(self) -> None:
        for row in self.rows():
            self._store.set_setting(LOCAL_USER, LOSSES + row.model_id, "")
        self._write(())

    def ratios(self) -> dict[str, Ratio]:
        """Of each model to the best that cut the same text into the same tokens, by model id."""
        rows = self.rows()
        found = {}
        for row in rows:
            comparable = [one for one in rows if one.tokens == row.tokens]
            best = min(comparable, key=lambda one: one.value)
            found[row.model_id] = self._ratio(row, best)
        return found

    def _ratio(self, row: PerplexityRow, best: PerplexityRow) -> Ratio:
        if row.model_id == best.model_id:
            return Ratio(1.0, 0.0)
        ours, theirs = self._losses_of(row), self._losses_of(best)
        if len(ours) != len(theirs) or len(ours) < 2:
            return Ratio(row.value / best.value, row.error / best.value)
        more = ours.astype(np.float64) - theirs
        value = math.exp(more.mean())
        return Ratio(value, value * float(more.std(ddof=1)) / math.sqrt(len(more)))

    def _losses_of(self, row: PerplexityRow) -> Losses:
        key = row.model_id, row.measured_at
        if key not in self._losses:
            packed = self._store.setting(LOCAL_USER, LOSSES + row.model_id)
            self._losses[key] = np.frombuffer(base64.b64decode(packed), "<f4")
        return self._losses[key]

    def _write(self, rows: Iterable[PerplexityRow]) -> None:
        values = [asdict(row) for row in rows]
        self._store.set_setting(LOCAL_USER, KEY, json.dumps(values) if values else "")
