"""Evidence of a summary: the sentences of its Span that each bullet rests on.

Which Span that is is known, since the bullet was written of it. Within it sentences are found by
words, by meaning where words cannot tell and there is an embedding model, else those that carry
the Span are named.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from webui.errors import AppError
from webui.strings import Language
from webui.tasks.meaning import FindEmbedder, found_by_meaning
from webui.tasks.summarize.composing import Point
from webui.tasks.summarize.source import Source
from webui.tasks.summarize.spans import Span
from webui.text.grounding import Aligner, Flag, FlagKind, Grounding, Support

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Evidence:
    bullets: list[tuple[Point, Grounding]]
    elapsed_s: float


async def evidence_of(
    source: Source, points: Sequence[Point], language: Language, find_embedder: FindEmbedder
) -> Evidence:
    """`language`: of the bullets. Tens of milliseconds for a long document, by words."""
    began_at = time.perf_counter()
    texts = [source.sentence(index) for index in range(len(source.sentences))]
    aligner = await asyncio.to_thread(Aligner, texts)
    found = await asyncio.to_thread(lambda: [_grounded(aligner, point) for point in points])
    open_ones = _open_ones(aligner, points, found, language)
    embedder = find_embedder() if open_ones else None
    near: list[tuple[Support, ...]] = [()] * len(open_ones)
    if embedder and not embedder.is_builtin:  # the built-in one knows Japanese only
        statements = [points[index].text for index in open_ones]
        spans = [points[index].span.sentences for index in open_ones]
        try:
            near = await found_by_meaning(embedder.process, texts, statements, spans)
        except (AppError, OSError) as error:  # TimeoutError is one; or no process can start
            log.warning("sources are found by words alone: %s", error or "it took too long")
    for index, supports in zip(open_ones, near, strict=True):
        if supports or not found[index].sources:
            given = supports or _carrying(points[index].span)
            found[index] = _grounded(aligner, points[index], given)
    grounded = list(zip(points, found, strict=True))
    return Evidence(grounded, time.perf_counter() - began_at)


def _grounded(aligner: Aligner, point: Point, near: Sequence[Support] = ()) -> Grounding:
    found = aligner.ground(point.text, near, point.span.sentences)
    if not point.is_shortened:
        return found
    mark = Flag(FlagKind.SHORTENED, point.text, 0, len(point.text))
    return replace(found, flags=(mark,))  # it says nothing that the sentence does not


def _carrying(span: Span) -> tuple[Support, ...]:
    """The sentences that carry a Span, which were named when its bullet was written."""
    sentences = dict.fromkeys(unit.sentence for unit in span.by_salience())
    return tuple(Support(index, 0.0, "given") for index in list(sentences)[:1])


def _open_ones(
    aligner: Aligner, points: Sequence[Point], found: Sequence[Grounding], language: Language
) -> list[int]:
    """Bullets in another language than the source, quotations apart, and those without source."""
    is_foreign = aligner.language is not language
    return [
        index
        for index, point in enumerate(points)
        if not found[index].sources or (is_foreign and not aligner.is_quotation(point.text))
    ]
