"""Bullets made of the source's own sentences, by leaving out: the last resort. Pure."""

from collections.abc import Callable, Sequence

from webui.strings import Language
from webui.tasks.summarize.checks import MAY_STAND, Fault, SpanCheck
from webui.tasks.summarize.settings import BulletLimits, Granularity
from webui.text.condense import condensed
from webui.text.language import is_in
from webui.text.plain_form import plain_form

CONDENSED_CHARS = {Granularity.TERSE: 40, Granularity.STANDARD: 80, Granularity.DETAILED: 140}
TIGHT_CHARS = {Granularity.TERSE: 30, Granularity.STANDARD: 60, Granularity.DETAILED: 110}
NUM_WHOLE = 3  # of the most salient sentences, that are tried whole before any is cut


def last_resort(
    texts: Sequence[str], check: SpanCheck, limits: BulletLimits, granularity: Granularity
) -> str:
    """The first of the Span's sentences that can be shown, made shorter; "" for none.

    Better a less salient one whole than one whose clauses had to go.
    """
    usual = CONDENSED_CHARS[granularity]
    whole = [shortened(text, limits, usual) for text in texts[:NUM_WHOLE]]
    cut = [shortened(text, limits, limits.max_chars, drop=True) for text in texts]
    options = [bullet for bullet in (*whole, *cut) if bullet]
    for most in (MAY_STAND, Fault.FACTS):  # what the text itself says may look odd to rules
        for bullet in options:
            if check.fault(bullet) <= most:
                return bullet
    short = (cut_off(" ".join(text.split()), limits.max_chars) for text in texts)
    ended = (text.rstrip("。.、, ") + limits.end for text in short)
    return next((text for text in ended if is_in(limits.language, text)), "")


def tightening(
    check: SpanCheck, limits: BulletLimits, granularity: Granularity
) -> Callable[[str], str]:
    """A long copy without the clauses between its subject and its end."""
    bound = TIGHT_CHARS[granularity]

    def tightened(bullet: str) -> str:
        tight = shortened(bullet, limits, bound, drop=True)
        keeps_subject = tight.startswith(bullet.split("、")[0])
        return tight if keeps_subject and check.fault(tight) < Fault.COPIED else ""

    return tightened


def shortened(text: str, limits: BulletLimits, bound: int, *, drop: bool = False) -> str:
    """A sentence of the source as a bullet of at most `bound` characters, "" where it has none.

    `drop`: clauses may go, too.
    """
    short = condensed(" ".join(text.split()), bound, drop=drop)
    if short is None or not is_in(limits.language, short):
        return ""
    bullet = short.rstrip(".") + limits.end
    return plain_form(bullet) if limits.language is Language.JA else bullet


def cut_off(line: str, bound: int) -> str:
    """At most `bound` characters of what is no sentence, ending where it pauses."""
    if len(line) <= bound:
        return line
    pause = max(line.rfind(mark, bound // 2, bound) for mark in "、， ,")
    return line[: pause if pause > 0 else bound]
