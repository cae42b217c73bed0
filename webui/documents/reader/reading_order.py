"""Recognised lines of a horizontal page → the order in which people read them.

Columns of prose are read one after the other, cells of a table row by row. Knows nothing about
pictures; vertical lines are put in order by layout.py.
"""

import statistics
from collections.abc import Sequence
from dataclasses import astuple, dataclass

_LEAST_LINES = 3  # of a column
_PROSE = 8.0  # em: a column of prose is wider, a table's mostly narrower
_GUTTER = 0.8  # em
_MAX_CROSSING = 0.34  # of the lines: titles over both columns


@dataclass(frozen=True, slots=True)
class SeenLine:
    """A line as it was recognised; its box is that of the page set straight, in any unit."""

    text: str
    score: float  # how sure the model is, up to 1
    left: float
    top: float
    right: float
    bottom: float
    is_vertical: bool = False

    @property
    def em(self) -> float:
        return self.right - self.left if self.is_vertical else self.bottom - self.top

    def wire(self) -> tuple[str | float | bool, ...]:
        """Everything, as it crosses a pipe."""
        return astuple(self)


def in_order(lines: Sequence[SeenLine]) -> list[SeenLine]:
    """All lines; horizontal ones in reading order, vertical ones behind them as they come."""
    level = [line for line in lines if not line.is_vertical]
    return _ordered(level) + [line for line in lines if line.is_vertical]


def _ordered(lines: list[SeenLine]) -> list[SeenLine]:
    gutter = _gutter(lines)
    if gutter is None:
        return _row_by_row(lines)
    crossing = [line for line in lines if _crosses(line, gutter)]
    found: list[SeenLine] = []
    rest = [line for line in lines if line not in crossing]
    for title in sorted(crossing, key=lambda line: line.top):
        above = [line for line in rest if line.bottom <= title.top + 0.5 * title.em]
        rest = [line for line in rest if line not in above]
        found += [*_beside(above, gutter), title]
    return found + _beside(rest, gutter)


def _beside(lines: list[SeenLine], gutter: float) -> list[SeenLine]:
    """What is left of the gutter, then what is right of it."""
    left = [line for line in lines if line.left + line.right < 2 * gutter]
    return _ordered(left) + _ordered([line for line in lines if line not in left])


def _gutter(lines: list[SeenLine]) -> float | None:
    """Where two columns of prose are parted; the fewest lines go over it."""
    if len(lines) < 2 * _LEAST_LINES:
        return None
    em = statistics.median(line.em for line in lines)
    found: tuple[int, float] | None = None
    for left_edge in sorted({line.left for line in lines}):
        place = left_edge - _GUTTER * em / 2
        crossing = [line for line in lines if _crosses(line, place)]
        rest = [line for line in lines if not _crosses(line, place)]
        left = [line for line in rest if line.left + line.right < 2 * place]
        right = [line for line in rest if line.left + line.right >= 2 * place]
        if len(crossing) > _MAX_CROSSING * len(lines):
            continue
        if not (_is_prose(left, em) and _is_prose(right, em)):
            continue
        is_wide = (
            min(line.left for line in right) - max(line.right for line in left) >= _GUTTER * em
        )
        if is_wide and (found is None or len(crossing) < found[0]):
            found = len(crossing), place
    return found[1] if found else None


def _crosses(line: SeenLine, gutter: float) -> bool:
    """Whether it goes over it; a letter that leans over does not count."""
    return line.left < gutter - 0.5 * line.em and line.right > gutter + 0.5 * line.em


def _is_prose(lines: list[SeenLine], em: float) -> bool:
    if len(lines) < _LEAST_LINES:
        return False
    return statistics.median(line.right - line.left for line in lines) >= _PROSE * em


def _row_by_row(lines: list[SeenLine]) -> list[SeenLine]:
    rows: list[list[SeenLine]] = []
    for line in sorted(lines, key=lambda line: line.top + line.bottom):
        middle = (line.top + line.bottom) / 2
        if rows and abs((rows[-1][0].top + rows[-1][0].bottom) / 2 - middle) < 0.5 * line.em:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.left)]
