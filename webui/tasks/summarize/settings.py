"""What can be chosen for a summary, and what follows from it. Pure; knows no models.

Lengths are characters of one bullet; Latin text needs more of them than Japanese.
"""

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from webui.errors import AppError
from webui.strings import Language

MAX_BULLETS = 20
AUTO = 0


class SummarySettingsError(AppError):
    """A choice that does not exist."""


class Mode(StrEnum):
    ABSTRACT = "abstract"  # the model writes
    VERBATIM = "verbatim"  # the model only chooses among the source's own sentences


class Granularity(StrEnum):
    TERSE = "terse"
    STANDARD = "standard"
    DETAILED = "detailed"


class Style(StrEnum):
    STANDARD = "standard"
    EXECUTIVE = "executive"
    BEGINNER = "beginner"
    MINUTES = "minutes"


@dataclass(frozen=True, slots=True)
class SummarySettings:
    """`num_bullets` AUTO leaves it to the length of the text."""

    mode: Mode = Mode.ABSTRACT
    num_bullets: int = AUTO
    granularity: Granularity = Granularity.STANDARD
    style: Style = Style.STANDARD
    language: Language = Language.JA

    @classmethod
    def parse(cls, values: dict[str, Any]) -> "SummarySettings":
        """From a form or a command line. Raises SummarySettingsError."""
        known = asdict(cls())
        try:
            chosen = {**known, **{k: v for k, v in values.items() if k in known}}
            return cls(
                Mode(chosen["mode"]),
                _count(chosen["num_bullets"]),
                Granularity(chosen["granularity"]),
                Style(chosen["style"]),
                Language(chosen["language"]),
            )
        except (TypeError, ValueError) as error:
            raise SummarySettingsError("summary.bad_settings", limit=MAX_BULLETS) from error

    def values(self) -> dict[str, Any]:
        """As plain JSON values; parse() takes them back."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class BulletLimits:
    """What every bullet keeps to: its language and the length of its body."""

    language: Language
    min_chars: int
    max_chars: int

    @property
    def marker(self) -> str:
        return "・" if self.language is Language.JA else "- "

    @property
    def end(self) -> str:
        return "。" if self.language is Language.JA else "."

    @property
    def max_bytes(self) -> int:
        """Of one line in UTF-8: no token is shorter than a byte, so also its tokens at most."""
        return (self.max_chars + 8) * (4 if self.language is Language.JA else 3)


_MAX_CHARS = {Granularity.TERSE: 48, Granularity.STANDARD: 100, Granularity.DETAILED: 180}
_AUTO_RANGE = {
    Granularity.TERSE: (1, 3),
    Granularity.STANDARD: (3, 10),
    Granularity.DETAILED: (5, MAX_BULLETS),
}
_LATIN = 2.2  # characters where Japanese needs one


def limits_of(settings: SummarySettings) -> BulletLimits:
    max_chars = _MAX_CHARS[settings.granularity]
    if settings.language is Language.JA:
        return BulletLimits(Language.JA, 6, max_chars)
    return BulletLimits(Language.EN, 12, round(max_chars * _LATIN))


def bullets_wanted(settings: SummarySettings, num_chars: int) -> int:
    """How many bullets a text of this many characters gets."""
    if settings.num_bullets != AUTO:
        return settings.num_bullets
    low, high = _AUTO_RANGE[settings.granularity]
    return max(low, min(high, round(math.sqrt(num_chars / 60))))


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_BULLETS:
        raise ValueError("number of bullets")
    return value
