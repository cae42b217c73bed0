"""Meaning: the sentences of a source that say what a statement says, by an embedding model.

For other languages and other words. Knows nothing about words, numbers and names, nor about how
the model's process is made.
"""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from webui.documents.search.embedder_process import LocalEmbedder, TextEmbedder
from webui.text.grounding import MAX_SOURCES, Support

LIMIT_S = 60.0  # for all of a source; whoever waits longer compares words alone
BATCH = 32  # texts that go to the process at a time: others' jobs come between

# How far a sentence stands out, told by the other sentences, because models differ: unrelated texts
# have cosines from 0 in one to 0.8 in another, and spread by 0.01 in one, by 0.1 in another.
MIN_SPREADS = 3.0  # standard deviations of the others above their mean; docs/decisions/0091
MIN_SCORE = 0.15  # of the way from their mean to 1, the share that it goes
MIN_SHARE_OF_BEST = 0.8  # of the best one's score, for a further sentence

FindEmbedder = Callable[[], LocalEmbedder | None]


def no_embedder() -> None:
    """A FindEmbedder: words alone."""


async def found_by_meaning(
    process: TextEmbedder,
    sentences: Sequence[str],
    statements: Sequence[str],
    spans: Sequence[range],
) -> list[tuple[Support, ...]]:
    """For each statement the sentences of its span that stand out of all of them.

    Raises AppError, TimeoutError.
    """
    async with asyncio.timeout(LIMIT_S):
        theirs = await _vectors(process, sentences, is_query=False)
        ours = await _vectors(process, statements, is_query=True)
    return [outstanding(row, span) for row, span in zip(ours @ theirs.T, spans, strict=True)]


def outstanding(cosines: np.ndarray, within: range | None = None) -> tuple[Support, ...]:
    """The sentences far above the others, the best first; a lone sentence has no others.

    `within`: the only ones that count; what stands out is told by all of them.
    """
    if len(cosines) < 2:
        return ()
    number = len(cosines) - 1
    others = (cosines.sum() - cosines) / number
    squares = ((cosines**2).sum() - cosines**2) / number
    spreads = np.sqrt(np.maximum(squares - others**2, 1e-8))
    scores = (cosines - others) / np.maximum(1.0 - others, 1e-6)
    scores[cosines - others < MIN_SPREADS * spreads] = 0.0
    among = np.array(within if within is not None else range(len(cosines)))
    order = among[np.argsort(-scores[among], kind="stable")][:MAX_SOURCES]
    least = max(MIN_SCORE, MIN_SHARE_OF_BEST * float(scores[order[0]]))
    return tuple(
        Support(int(index), round(min(1.0, float(scores[index])), 3), "meaning")
        for index in order
        if scores[index] >= least
    )


async def _vectors(process: TextEmbedder, texts: Sequence[str], *, is_query: bool) -> np.ndarray:
    rows = []
    for start in range(0, len(texts), BATCH):
        batch = tuple(texts[start : start + BATCH])
        data = await asyncio.to_thread(process.embed, batch, is_query=is_query)
        rows.append(np.frombuffer(data, "<f2").reshape(len(batch), -1).astype(np.float32))
    return np.concatenate(rows)
