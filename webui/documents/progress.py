"""Progress: where the job of one document is, or the embedding of all.

Knows nothing about what does the work.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from webui.storage import Document

EVERYTHING = ""  # the id under which the embedding of all chunks is reported
EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Progress:
    """`eta_s` is -1 while nothing is known."""

    document_id: str
    stage: str  # waiting | reading | recognising | saving | embedding
    num_done: int = 0
    num_total: int = 0
    per_s: float = 0.0
    eta_s: float = -1.0


def measured(id: str, stage: str, num_done: int, num_total: int, started: float) -> Progress:
    """With its rate since `started` (time.monotonic())."""
    elapsed_s = time.monotonic() - started
    per_s = num_done / elapsed_s if elapsed_s > 0 else 0.0
    return Progress(id, stage, num_done, num_total, per_s, _eta_s(num_total - num_done, per_s))


def embedding_of(
    documents: Sequence[Document], num_embedded: Mapping[str, int], overall: Progress
) -> Iterator[Progress]:
    """Of those that miss vectors, in the order they get them: each waits for those before."""
    num_before = 0
    for one in documents:
        num_done = num_embedded.get(one.id, 0)
        if num_missing := one.num_chunks - num_done:
            num_before += num_missing
            yield replace(
                overall,
                document_id=one.id,
                num_done=num_done,
                num_total=one.num_chunks,
                eta_s=_eta_s(num_before, overall.per_s),
            )


def _eta_s(num_left: int, per_s: float) -> float:
    return num_left / per_s if per_s > 0 and num_left >= 0 else -1.0
