"""Evidence of a summary: its bullets grounded by words, and by meaning where words cannot tell.

Meaning needs an installed embedding model. Without one, or when it fails, words count alone.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from webui.errors import AppError
from webui.strings import Language
from webui.tasks.meaning import FindEmbedder, found_by_meaning
from webui.tasks.summarize.source import Source
from webui.text.grounding import Aligner, Grounding

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Evidence:
    bullets: list[tuple[str, Grounding]]
    elapsed_s: float


async def evidence_of(
    source: Source, bullets: Sequence[str], language: Language, find_embedder: FindEmbedder
) -> Evidence:
    """`language`: of the bullets. Tens of milliseconds for a long document, by words."""
    began_at = time.perf_counter()
    texts = [source.sentence(index) for index in range(len(source.sentences))]
    aligner = await asyncio.to_thread(Aligner, texts)
    found = await asyncio.to_thread(lambda: [aligner.ground(bullet) for bullet in bullets])
    open_ones = _open_ones(aligner, bullets, found, language)
    embedder = find_embedder() if open_ones else None
    if embedder and not embedder.is_builtin:  # the built-in one knows Japanese only
        statements = [bullets[index] for index in open_ones]
        try:
            near = await found_by_meaning(embedder.process, texts, statements)
        except (AppError, OSError) as error:  # TimeoutError is one; or no process can start
            log.warning("sources are found by words alone: %s", error or "it took too long")
            near = [()] * len(open_ones)
        for index, supports in zip(open_ones, near, strict=True):
            if supports:
                found[index] = aligner.ground(bullets[index], supports)
    grounded = list(zip(bullets, found, strict=True))
    return Evidence(grounded, time.perf_counter() - began_at)


def _open_ones(
    aligner: Aligner, bullets: Sequence[str], found: Sequence[Grounding], language: Language
) -> list[int]:
    """Bullets in another language than the source, quotations apart, and those without source."""
    is_foreign = aligner.language is not language
    return [
        index
        for index, bullet in enumerate(bullets)
        if not found[index].sources or (is_foreign and not aligner.is_quotation(bullet))
    ]
