"""What a person changes in a finished summary. Pure; keeps nothing of what was taken out.

New words get their sources and flags anew; what is known otherwise stays where words find none.
"""

from dataclasses import replace

from webui.errors import AppError
from webui.tasks.summarize.result import Bullet, Summary, bullet_of, coverage
from webui.tasks.summarize.source import Source
from webui.text.grounding import Aligner, Grounding, Support

MAX_BULLET_CHARS = 2_000


class EditError(AppError):
    """A bullet cannot be changed like that: it is another one by now, or nothing would be left."""


def with_text(summary: Summary, source: Source, index: int, was: str, text: str) -> Summary:
    """The bullet `index`, which says `was`, says `text` instead. Raises EditError."""
    old = _bullet(summary, index, was)
    line = " ".join(text.split())[:MAX_BULLET_CHARS].lstrip("・•- ")
    if not line:
        raise EditError("summary.empty_bullet")
    if line == old.text:
        return summary
    found = _grounded(source, line, old)
    new = replace(bullet_of(source, line, found), section=old.section, is_edited=True)
    return _with(summary, source, index, [new])


def without(summary: Summary, source: Source, index: int, was: str) -> tuple[Summary, Bullet]:
    """All bullets but this one, and this one. Raises EditError, also for the last one left."""
    bullet = _bullet(summary, index, was)
    if len(summary.bullets) == 1:
        raise EditError("summary.last_bullet")
    left = _with(summary, source, index, [])
    return replace(left, num_removed=summary.num_removed + 1), bullet


def with_bullet(summary: Summary, source: Source, index: int, bullet: Bullet) -> Summary:
    """With one that was taken out, where it was."""
    bullets = [*summary.bullets]
    bullets.insert(index, bullet)
    left = replace(summary, bullets=tuple(bullets), covered=coverage(source, bullets))
    return replace(left, num_removed=summary.num_removed - 1)


def _bullet(summary: Summary, index: int, was: str) -> Bullet:
    if not 0 <= index < len(summary.bullets) or summary.bullets[index].text != was:
        raise EditError("summary.bullet_changed")
    return summary.bullets[index]


def _grounded(source: Source, line: str, old: Bullet) -> Grounding:
    aligner = Aligner([source.sentence(number) for number in range(len(source.sentences))])
    by_words = aligner.ground(line)
    if by_words.sources:
        return by_words
    places = {(one.start, one.end): number for number, one in enumerate(source.sentences)}
    by_meaning = [
        Support(places[quote.start, quote.end], quote.score, quote.by)
        for quote in old.sources
        if quote.by != "words" and (quote.start, quote.end) in places
    ]
    return aligner.ground(line, by_meaning)


def _with(summary: Summary, source: Source, index: int, instead: list[Bullet]) -> Summary:
    bullets = (*summary.bullets[:index], *instead, *summary.bullets[index + 1 :])
    return replace(summary, bullets=bullets, covered=coverage(source, bullets))
