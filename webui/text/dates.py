"""Dates as people write them: 11月27日, 2026-11-27, 11/27, 20261127, 令和8年11月27日. Pure.

File names carry dates in one form and questions ask in another.
"""

import re
import unicodedata
from dataclasses import dataclass

_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "R": 2018, "H": 1988, "S": 1925}
_YEAR = r"(?:(?P<era>令和|平成|昭和|[RHS])(?P<era_year>\d{1,2}|元)|(?P<year>(?:19|20)\d\d))"
_FORMS = (
    re.compile(rf"(?:{_YEAR}\s*年\s*)?(?P<month>\d{{1,2}})\s*月\s*(?P<day>\d{{1,2}})\s*日"),
    re.compile(
        rf"(?<![\dA-Za-z]){_YEAR}\s*[-/._]\s*(?P<month>\d{{1,2}})\s*[-/._]\s*(?P<day>\d{{1,2}})(?!\d)"
    ),
    re.compile(r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<month>[01]\d)(?P<day>[0-3]\d)(?!\d)"),
    re.compile(r"(?<![\d/.])(?P<month>\d{1,2})/(?P<day>\d{1,2})(?![\d/])"),
)


@dataclass(frozen=True, slots=True)
class Day:
    """`year` 0: not said."""

    year: int
    month: int
    day: int

    def is_said_by(self, other: "Day") -> bool:
        """Whether `other` can be this day: a year counts where both have one."""
        same = (self.month, self.day) == (other.month, other.day)
        return same and (not self.year or not other.year or self.year == other.year)

    @property
    def spellings(self) -> tuple[str, ...]:
        """To be searched for beside the form in which it was written."""
        compact = f"{self.month:02}{self.day:02}"
        year = f"{self.year:04}" if self.year else ""
        return (f"{year}{compact}", f"{self.month}月{self.day}日")


def days_in(text: str) -> list[Day]:
    """In the order of the forms; what cannot be a day, such as 13/45, is left out."""
    return _read(text)[0]


def without_days(text: str) -> str:
    """`text` in one width, with a space for each day."""
    return _read(text)[1]


def _read(text: str) -> tuple[list[Day], str]:
    rest = unicodedata.normalize("NFKC", text)
    found: list[Day] = []

    def taken(match: re.Match[str]) -> str:
        parts = match.groupdict()
        day = Day(_year_of(parts), int(parts["month"]), int(parts["day"]))
        if not (1 <= day.month <= 12 and 1 <= day.day <= 31):
            return match[0]
        found.append(day)
        return " "

    for form in _FORMS:
        rest = form.sub(taken, rest)
    return list(dict.fromkeys(found)), rest


def _year_of(parts: dict[str, str | None]) -> int:
    if era := parts.get("era"):
        number = parts.get("era_year")
        return _ERAS[era] + (1 if number == "元" else int(number or 0))
    return int(parts.get("year") or 0)
