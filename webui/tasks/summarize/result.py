"""Summary: the finished bullets, each with its sources and flags, as values and as JSON.

Pure; the text of the source is not in it.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from webui.models import ModelSpec
from webui.strings import text
from webui.tasks.summarize.composing import Composition
from webui.tasks.summarize.evidence import Evidence
from webui.tasks.summarize.planning import Plan
from webui.tasks.summarize.settings import Mode, SummarySettings
from webui.tasks.summarize.source import Source
from webui.tasks.summarize.spans import Span
from webui.text.grounding import By, Flag, FlagKind, Grounding
from webui.text.language import is_in, main_language
from webui.text.places import Place, place_between, place_from

MAX_STRIP = 120  # cells of the coverage strip


@dataclass(frozen=True, slots=True)
class Quote:
    """Characters [start, end) of the source's text. `page` 0: it has no pages."""

    page: int
    quote: str
    score: float
    start: int
    end: int
    by: By = "words"  # what they have in common
    place: Place | None = None  # where it stands, in a kind without pages


@dataclass(frozen=True, slots=True)
class Bullet:
    text: str
    sources: tuple[Quote, ...] = ()
    flags: tuple[Flag, ...] = ()
    section: str = ""  # the heading that it stands under, in a long document
    is_edited: bool = False  # a person has changed its words


@dataclass(frozen=True, slots=True)
class Summary:
    title: str
    bullets: tuple[Bullet, ...]
    language_ok: bool
    first_try_share: float  # of the written bullets that needed no help with the language
    sections: tuple[dict[str, Any], ...]  # {"title", "start", "end", "num_tokens"}
    covered: tuple[float, ...]  # the document in equal cells: the share that bullets rest on
    model: str
    settings: dict[str, Any]
    notes: tuple[str, ...]  # keys of [summary] that say what was not as asked
    timings: dict[str, float]
    file_name: str = ""
    pages_left_out: tuple[int, ...] = ()
    created_at: float = field(default_factory=time.time)
    num_removed: int = 0  # bullets that a person has taken out

    def values(self) -> dict[str, Any]:
        return asdict(self)


def summary_from(values: dict[str, Any]) -> Summary:
    """What values() gave, after a stay in the database."""
    lists = ("sections", "covered", "notes", "pages_left_out")
    tuples = {name: tuple(values[name]) for name in lists}
    bullets = tuple(map(_bullet_from, values["bullets"]))
    return Summary(**{**values, **tuples, "bullets": bullets})


def _bullet_from(values: dict[str, Any]) -> Bullet:
    sources = tuple(
        Quote(**{**quote, "place": place_from(quote.get("place"))}) for quote in values["sources"]
    )
    flags = tuple(Flag(**{**flag, "kind": FlagKind(flag["kind"])}) for flag in values["flags"])
    return Bullet(**{**values, "sources": sources, "flags": flags})


def finish(
    source: Source,
    settings: SummarySettings,
    composition: Composition,
    evidence: Evidence,
    spec: ModelSpec,
    elapsed_s: float,
) -> Summary:
    """The grounded bullets in the document's order, and all that is told with them."""
    plan, grounded = composition.plan, evidence.bullets
    has_titles = any(span.children for span in plan.spans)
    bullets = tuple(
        replace(
            bullet_of(source, point.text, found),
            section=_section_of(point.span, settings, has_titles),
        )
        for point, found in grounded
    )
    stats = composition.stats
    written = max(1, stats.num_bullets)
    return Summary(
        source.title,
        bullets,
        all(is_in(settings.language, bullet.text) for bullet in bullets),
        1 - stats.num_wrong_language / written,
        tuple(map(_section_values, plan.sections)),
        coverage(source, bullets),
        spec.name,
        settings.values(),
        _notes(source, settings, plan, bullets),
        {
            "total_s": round(elapsed_s, 3),
            "grounding_s": round(evidence.elapsed_s, 3),
            "num_calls": stats.num_calls,
            "prompt_tokens": stats.prompt_tokens,
            "cached_tokens": stats.cached_tokens,
            "completion_tokens": stats.completion_tokens,
        },
        source.file_name,
        tuple(number for number, _ in source.unusable_pages),
    )


def bullet_of(source: Source, text: str, found: Grounding) -> Bullet:
    quotes = []
    for support in found.sources:
        place = source.sentences[support.index]
        quote = source.text[place.start : place.end]
        where = place_between(source.marks, place.start, place.end)
        quotes.append(
            Quote(place.page, quote, support.score, place.start, place.end, support.by, where)
        )
    return Bullet(text, tuple(quotes), found.flags)


def _section_of(span: Span, settings: SummarySettings, has_titles: bool) -> str:
    """The heading that a bullet stands under: a part of minutes, or one of the text's own."""
    if span.kind:
        return text(f"summary.minutes_{span.kind}", settings.language)
    return span.title if has_titles else ""


def _section_values(span: Span) -> dict[str, Any]:
    return {
        "title": span.title,
        "start": span.start,
        "end": span.end,
        "num_tokens": span.num_tokens,
    }


def coverage(source: Source, bullets: Sequence[Bullet]) -> tuple[float, ...]:
    """The text in equal cells: the share of each that is a source of some bullet."""
    num_cells = min(MAX_STRIP, max(1, len(source.sentences)))
    size = len(source.text) / num_cells
    cells = [0.0] * num_cells
    for start, end in {(q.start, q.end) for bullet in bullets for q in bullet.sources}:
        for cell in range(int(start / size), min(num_cells, int((end - 1) / size) + 1)):
            cells[cell] += max(0.0, min(end, (cell + 1) * size) - max(start, cell * size)) / size
    return tuple(round(min(1.0, share), 3) for share in cells)


def _notes(
    source: Source, settings: SummarySettings, plan: Plan, bullets: Sequence[Bullet]
) -> tuple[str, ...]:
    notes = []
    if len(bullets) < plan.wanted and settings.num_bullets:
        notes.append("note_fewer")
    if source.unusable_pages:
        notes.append("note_pages")
    is_foreign = main_language(source.text) is not settings.language
    if settings.mode is Mode.VERBATIM and is_foreign:
        notes.append("note_foreign_quotes")
    elif any(quote.by == "meaning" for bullet in bullets for quote in bullet.sources):
        notes.append("note_by_meaning")
    elif is_foreign:
        notes.append("note_cross_language")
    return tuple(notes)
