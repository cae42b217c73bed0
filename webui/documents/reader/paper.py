"""A page's characters and ruled lines → its lines in reading order.

What is drawn twice is taken once, sideways parts are turned upright, tables become rows. Knows
nothing about paragraphs, and nothing about PDF files.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from webui.documents.reader.layout import (
    Glyph,
    Line,
    Style,
    lines_of,
    style_of,
)
from webui.documents.reader.tables import Grid, Head, Ruling, grids_of, rows_of, with_aligned_tables

_TWICE = 0.22  # em: two of one character that are nearer were drawn twice
_TWICE_SHARE = 0.4  # of its width, for narrow ones: the two l of "ll"
DOWN = 3  # a turn, see Glyph
_MAX_GRIDS = 100  # of a page; each looks at all of its characters
_MAX_HEAD_LINES = 2  # above a table that goes on from the page before


class Paper:
    """The pages of one document, read in order: a table may go on on the next one."""

    def __init__(self) -> None:
        self._head: Head | None = None

    def lines(
        self, glyphs: Sequence[Glyph], rulings: Sequence[Ruling], width: float, height: float
    ) -> list[Line]:
        """The lines of the next page, which has that size; furigana left out."""
        lines: list[Line] = []
        before, self._head = self._head, None
        for turn, part in _parts(without_doubles(glyphs)):
            upright = [_turned(glyph, turn, width, height) for glyph in part]
            its_rulings = [_turned_ruling(line, turn, width, height) for line in rulings]
            found = self._with_tables(upright, its_rulings, before)
            for line in found:
                line.turn = turn
            lines += found
        return lines

    def _with_tables(
        self, glyphs: list[Glyph], rulings: Sequence[Ruling], before: Head | None
    ) -> list[Line]:
        style = style_of(glyphs)
        if style.is_vertical:
            return lines_of(glyphs, style)
        glyphs = list(_broken(glyphs))
        lines: list[Line] = []
        for rest, grid in _around(_filled(grids_of(rulings), glyphs, style), glyphs):
            lines += with_aligned_tables(lines_of(rest, style))
            if grid:
                is_first = len(lines) <= _MAX_HEAD_LINES
                rows, self._head = rows_of(grid, style.body, before if is_first else None)
                lines += rows
        return lines


# --- drawn twice -----------------------------------------------------------------------------


def without_doubles(glyphs: Sequence[Glyph]) -> list[Glyph]:
    """Bold and shadows are often the same text drawn twice, a little apart."""
    seen: dict[tuple[str, int, int], Glyph] = {}  # by the half em that it begins in
    kept = []
    for glyph in glyphs:
        if glyph.is_generated or glyph.char.isspace() or not math.isfinite(glyph.left + glyph.top):
            kept.append(glyph)
            continue
        cell = max(glyph.size, 1.0) / 2
        x, y = glyph.left / cell, glyph.top / cell
        column, row = math.floor(x), math.floor(y)
        # What begins less than half a cell away lies in one of four.
        beside, below = column + (1 if x - column > 0.5 else -1), row + (1 if y - row > 0.5 else -1)
        char = glyph.char
        if (
            ((other := seen.get((char, column, row))) and _is_double(glyph, other))
            or ((other := seen.get((char, beside, row))) and _is_double(glyph, other))
            or ((other := seen.get((char, column, below))) and _is_double(glyph, other))
            or ((other := seen.get((char, beside, below))) and _is_double(glyph, other))
        ):
            continue
        seen[char, column, row] = glyph
        kept.append(glyph)
    return kept


def _is_double(glyph: Glyph, other: Glyph) -> bool:
    if not 0.95 < glyph.size / max(other.size, 0.1) < 1.05 or glyph.turn != other.turn:
        return False
    along, down = abs(glyph.left - other.left), abs(glyph.top - other.top)
    width, height = glyph.right - glyph.left, glyph.bottom - glyph.top
    return along <= min(_TWICE * glyph.size, _TWICE_SHARE * width) and down <= min(
        _TWICE * glyph.size, _TWICE_SHARE * height
    )


# --- sideways --------------------------------------------------------------------------------


def _parts(glyphs: Sequence[Glyph]) -> list[tuple[int, list[Glyph]]]:
    """The characters of each direction, in the order in which the directions begin."""
    if not any(glyph.turn for glyph in glyphs):
        return [(0, list(glyphs))]
    upright = [glyph for glyph in glyphs if not glyph.turn]
    # In vertical Japanese Latin letters lie on their side, within their line.
    lies = {DOWN} if style_of(upright).is_vertical else set()
    parts: dict[int, list[Glyph]] = {}
    before: Glyph | None = None
    for glyph in glyphs:
        turn = 0 if glyph.turn in lies else glyph.turn
        if glyph.is_generated and before:
            turn = 0 if before.turn in lies else before.turn
        elif before and turn != (0 if before.turn in lies else before.turn):
            parts.setdefault(turn, []).append(_line_end(glyph))
        if not glyph.is_generated:
            before = glyph
        parts.setdefault(turn, []).append(glyph)
    return list(parts.items())


def _turned(glyph: Glyph, turn: int, width: float, height: float) -> Glyph:
    """The same on a page that is turned until its text stands upright."""
    left, top, right, bottom = glyph.left, glyph.top, glyph.right, glyph.bottom
    match turn:
        case 1:
            box = height - bottom, left, height - top, right
        case 2:
            box = width - right, height - bottom, width - left, height - top
        case 3:
            box = top, width - right, bottom, width - left
        case _:
            return glyph
    return replace(glyph, left=box[0], top=box[1], right=box[2], bottom=box[3])


def _turned_ruling(line: Ruling, turn: int, width: float, height: float) -> Ruling:
    match turn, line.is_vertical:
        case (1, True):
            return Ruling(False, line.at, height - line.end, height - line.begin)
        case (1, False):
            return Ruling(True, height - line.at, line.begin, line.end)
        case (2, True):
            return Ruling(True, width - line.at, height - line.end, height - line.begin)
        case (2, False):
            return Ruling(False, height - line.at, width - line.end, width - line.begin)
        case (3, True):
            return Ruling(False, width - line.at, line.begin, line.end)
        case (3, False):
            return Ruling(True, line.at, width - line.end, width - line.begin)
        case _:
            return line


def _broken(glyphs: Sequence[Glyph]) -> Iterator[Glyph]:
    """With a line end wherever the text leaves its line: pdfium does not see all of them."""
    before: Glyph | None = None
    for glyph in glyphs:
        if glyph.is_generated:
            yield glyph
            continue
        if before:
            size = max(glyph.size, before.size)
            down = abs(glyph.top + glyph.bottom - before.top - before.bottom) / 2
            if down > 0.8 * size or glyph.left < before.left - size:
                yield _line_end(glyph)
        yield glyph
        before = glyph


def _line_end(glyph: Glyph) -> Glyph:
    return replace(glyph, char="\n", right=glyph.left, is_generated=True)


# --- tables ----------------------------------------------------------------------------------


def _around(grids: list[Grid], glyphs: list[Glyph]) -> Iterator[tuple[list[Glyph], Grid | None]]:
    """The characters before each table, and it, in content order; at last those behind them."""
    rest: list[Glyph] = []
    written: set[int] = set()
    for glyph in glyphs:
        index = next((i for i, grid in enumerate(grids) if grid.contains(glyph)), None)
        if index is None:
            rest.append(glyph)
        elif index not in written and not glyph.is_generated:
            yield rest, grids[index]
            rest = []
            written.add(index)
    yield rest, None


def _filled(grids: list[Grid], glyphs: list[Glyph], style: Style) -> list[Grid]:
    """Those that hold a table. Of two that overlap the first one has the characters."""
    found: list[Grid] = []
    rest = glyphs
    for grid in grids[:_MAX_GRIDS]:
        grid.fill([glyph for glyph in rest if grid.contains(glyph)], style)
        if grid.is_table:
            found.append(grid)
            rest = [glyph for glyph in rest if not grid.contains(glyph)]
    return found
