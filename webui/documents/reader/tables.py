"""Ruled lines and characters → tables, each row a line that carries its column's headers.

Measured on rows as they are printed: of 「営業課 30件 (empty) 12件」 a model makes 12件 the second
month's. So an empty cell keeps its place, a joined one counts for all that it spans, and a value
stands behind the name of its column. Knows nothing about pages, paragraphs or PDF files.
"""

import re
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from webui.documents.reader.layout import (
    Glyph,
    Line,
    Style,
    lines_of,
    without_needless_spaces,
)
from webui.text.characters import is_cjk

BEGIN, BETWEEN, END = "| ", " | ", " |"  # of a row and its cells, as in other kinds of files
EMPTY = "—"
_NEAR = 3.0  # points between lines that are drawn as one
_MAX_CROSSINGS = 400_000
_MAX_CELLS = 20_000
_WALL = 0.6  # of an edge must be drawn
_MAX_HEADER_ROWS = 3
_LONG_HEADER = 15
_MANY_ROWS = 3
_LEAST_ROWS = 3  # of a table without rules: header and two
_MAX_PITCH = 4.0  # em between rows that are not ruled
_CELL_GAP = 1.2  # em
# A number with its unit; 4月 and 2024年度 are names of columns.
_VALUE = re.compile(
    r"[△▲▼+＋\-－−±約]?\s*[¥￥$＄€]?\s*[0-9０-９][0-9０-９,，.．:：\-/]*\s*"
    r"(?![月年期回号章条位次QＱ])\D{0,4}|[○×◎△✓☑☐－―\-]",
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """A straight line along the paper's edges, in points from the top left of the page."""

    is_vertical: bool
    at: float  # across it
    begin: float
    end: float


@dataclass(slots=True)
class Cell:
    """A cell that may span several rows and columns; the ends are the first ones behind it."""

    row: int
    row_end: int
    column: int
    column_end: int
    text: str = ""
    edges: list[float] = field(default_factory=list)
    glyphs: list[Glyph] = field(default_factory=list)


class Grid:
    """The cells between crossing lines, and which of them a place is in."""

    def __init__(self, xs: list[float], ys: list[float], cells: list[Cell]) -> None:
        self.xs, self.ys = xs, ys
        self.cells = cells
        self._at = {
            (row, column): cell
            for cell in cells
            for row in range(cell.row, cell.row_end)
            for column in range(cell.column, cell.column_end)
        }

    @property
    def num_rows(self) -> int:
        return len(self.ys) - 1

    @property
    def num_columns(self) -> int:
        return len(self.xs) - 1

    def cell(self, row: int, column: int) -> Cell:
        return self._at[row, column]

    def row(self, row: int) -> Iterator[Cell]:
        """The cells of a row, each once, from left to right."""
        column = 0
        while column < self.num_columns:
            cell = self._at[row, column]
            yield cell
            column = cell.column_end

    def contains(self, glyph: Glyph) -> bool:
        x, y = (glyph.left + glyph.right) / 2, (glyph.top + glyph.bottom) / 2
        return self.xs[0] <= x <= self.xs[-1] and self.ys[0] <= y <= self.ys[-1]

    def fill(self, glyphs: Sequence[Glyph], style: Style) -> None:
        """Put each character into its cell."""
        for glyph in glyphs:
            x, y = (glyph.left + glyph.right) / 2, (glyph.top + glyph.bottom) / 2
            row = min(max(bisect_right(self.ys, y) - 1, 0), self.num_rows - 1)
            column = min(max(bisect_right(self.xs, x) - 1, 0), self.num_columns - 1)
            self._at[row, column].glyphs.append(glyph)
        for cell in self.cells:
            cell.text, cell.edges = _text_of(cell.glyphs, style)

    @property
    def is_table(self) -> bool:
        """Two rows or more that have two filled cells; a frame around a text is none."""
        rows = [sum(bool(cell.text) for cell in self.row(row)) for row in range(self.num_rows)]
        return sum(count >= 2 for count in rows) >= 2


# --- lines → grids ---------------------------------------------------------------------------


def grids_of(rulings: Sequence[Ruling]) -> list[Grid]:
    """The grids that the lines make, two rows and two columns at least."""
    across = _merged([line for line in rulings if not line.is_vertical])
    down = _merged([line for line in rulings if line.is_vertical])
    if len(across) * len(down) > _MAX_CROSSINGS:
        return []
    groups = _connected(across, down)
    found = (_grid(*group) for group in groups)
    return [grid for grid in found if grid is not None]


def _merged(lines: list[Ruling]) -> list[Ruling]:
    """Pieces of one line put together: makers draw each cell's own edge."""
    merged: list[Ruling] = []
    for row in _clusters(lines):
        at = sum(line.at for line in row) / len(row)
        reach: Ruling | None = None
        for line in sorted(row, key=lambda line: line.begin):
            if reach and line.begin <= reach.end + _NEAR:
                reach = Ruling(line.is_vertical, at, reach.begin, max(reach.end, line.end))
            else:
                if reach:
                    merged.append(reach)
                reach = Ruling(line.is_vertical, at, line.begin, line.end)
        if reach:
            merged.append(reach)
    return merged


def _clusters(lines: list[Ruling]) -> list[list[Ruling]]:
    found: list[list[Ruling]] = []
    for line in sorted(lines, key=lambda line: line.at):
        if found and line.at - found[-1][0].at <= _NEAR:
            found[-1].append(line)
        else:
            found.append([line])
    return found


def _connected(across: list[Ruling], down: list[Ruling]) -> list[tuple[list[Ruling], list[Ruling]]]:
    """Lines that cross or touch, directly or through others."""
    group = list(range(len(across) + len(down)))

    def root(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    for i, line in enumerate(across):
        for j, other in enumerate(down):
            if _touch(line, other):
                group[root(i)] = root(len(across) + j)
    found: dict[int, tuple[list[Ruling], list[Ruling]]] = defaultdict(lambda: ([], []))
    for i, line in enumerate(across):
        found[root(i)][0].append(line)
    for j, line in enumerate(down):
        found[root(len(across) + j)][1].append(line)
    return list(found.values())


def _touch(across: Ruling, down: Ruling) -> bool:
    return (
        across.begin - _NEAR <= down.at <= across.end + _NEAR
        and down.begin - _NEAR <= across.at <= down.end + _NEAR
    )


def _grid(across: list[Ruling], down: list[Ruling]) -> Grid | None:
    if not across or not down:
        return None
    xs = _edges([line.at for line in down], across)  # the outer ones are often left out
    ys = _edges([line.at for line in across], down)
    num_rows, num_columns = len(ys) - 1, len(xs) - 1
    if num_rows < 2 or num_columns < 2 or num_rows * num_columns > _MAX_CELLS:
        return None
    return Grid(xs, ys, _cells(xs, ys, across, down))


def _edges(drawn: list[float], others: list[Ruling]) -> list[float]:
    """Where the lines are, and the ends of those that cross them."""
    found: list[float] = []
    ends = [min(line.begin for line in others), max(line.end for line in others)]
    for at in sorted([*drawn, *ends]):
        if not found or at - found[-1] > 2 * _NEAR:
            found.append(at)
    return found


def _cells(
    xs: list[float], ys: list[float], across: list[Ruling], down: list[Ruling]
) -> list[Cell]:
    """Neighbours without a wall between them are one cell."""
    num_rows, num_columns = len(ys) - 1, len(xs) - 1
    on_xs, on_ys = _on(down, xs), _on(across, ys)
    group = list(range(num_rows * num_columns))

    def root(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    for row in range(num_rows):
        for column in range(num_columns):
            here = row * num_columns + column
            if column + 1 < num_columns and not _has_wall(on_xs[column + 1], ys[row], ys[row + 1]):
                group[root(here + 1)] = root(here)
            if row + 1 < num_rows and not _has_wall(on_ys[row + 1], xs[column], xs[column + 1]):
                group[root(here + num_columns)] = root(here)
    members: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for index in range(num_rows * num_columns):
        members[root(index)].append(divmod(index, num_columns))
    return [cell for places in members.values() for cell in _rectangles(places)]


def _rectangles(places: list[tuple[int, int]]) -> Iterator[Cell]:
    """One cell; where a line was missed and the shape is none, its parts are cells."""
    rows, columns = [row for row, _ in places], [column for _, column in places]
    box = Cell(min(rows), max(rows) + 1, min(columns), max(columns) + 1)
    if (box.row_end - box.row) * (box.column_end - box.column) == len(places):
        yield box
        return
    for row, column in places:
        yield Cell(row, row + 1, column, column + 1)


def _on(lines: list[Ruling], edges: list[float]) -> list[list[Ruling]]:
    """For each edge the lines that are drawn there."""
    return [[line for line in lines if abs(line.at - at) <= 2 * _NEAR] for at in edges]


def _has_wall(lines: list[Ruling], begin: float, end: float) -> bool:
    drawn = sum(max(0.0, min(line.end, end) - max(line.begin, begin)) for line in lines)
    return drawn >= _WALL * (end - begin)


# --- lines without rules → grids -----------------------------------------------------------------


def with_aligned_tables(lines: list[Line]) -> list[Line]:
    """The lines, with those that stand in columns as rows of a table; no line there is ruled."""
    found: list[Line] = []
    for run in _runs(lines):
        grid = _aligned(run) if len(run) >= _LEAST_ROWS else None
        found += rows_of(grid, run[0].size)[0] if grid else run
    return found


def _runs(lines: list[Line]) -> Iterator[list[Line]]:
    """Neighbours that have cells, one below the other; each other line is alone."""
    run: list[Line] = []
    for line in lines:
        is_next = (
            run
            and 0 < line.middle - run[-1].middle < _MAX_PITCH * line.size
            and 0.9 < line.size / max(run[-1].size, 0.1) < 1.1
        )
        if len(_cells_in(line)) > 1 and (is_next or not run):
            run.append(line)
            continue
        if run:
            yield run
        run = []
        if len(_cells_in(line)) > 1:
            run.append(line)
        else:
            yield [line]
    if run:
        yield run


def _cells_in(line: Line) -> list[tuple[int, int]]:
    """Where its cells begin and end: between them is more space than between words."""
    if not line.generated or line.is_vertical or not line.is_placed:
        return [(0, len(line.text))]
    cuts = [
        index
        for index in sorted(line.generated)
        if 0 < index < len(line.text) - 1
        and line.edges[2 * index + 2] - line.edges[2 * index - 1] > _CELL_GAP * line.size
    ]
    starts = [0, *(index + 1 for index in cuts)]
    return list(zip(starts, [*cuts, len(line.text)], strict=True))


def _aligned(lines: list[Line]) -> Grid | None:
    """The grid in which the cells of these lines stand; None where they have no columns."""
    reach: list[list[float]] = []
    for begin, end in sorted(_edges_of(line, *cell) for line in lines for cell in _cells_in(line)):
        if reach and begin < reach[-1][1]:
            reach[-1][1] = max(reach[-1][1], end)
        else:
            reach.append([begin, end])
    begins = [begin for begin, _ in reach]
    cells: dict[tuple[int, int], Cell] = {}
    for row, line in enumerate(lines):
        for start, end in _cells_in(line):
            column = bisect_right(begins, _edges_of(line, start, end)[0]) - 1
            if (row, column) in cells:
                return None  # two cells of a row in one column: no columns
            text = line.text[start:end].rstrip(" ")
            edges = list(line.edges[2 * start : 2 * (start + len(text))])
            cells[row, column] = Cell(row, row + 1, column, column + 1, text, edges)
    if len(reach) < 2:
        return None
    for row in range(len(lines)):
        for column in range(len(reach)):
            cells.setdefault((row, column), Cell(row, row + 1, column, column + 1))
    ys = [line.near for line in lines]
    grid = Grid([*begins, reach[-1][1]], [*ys, lines[-1].far], list(cells.values()))
    return grid if len(reach) > 2 or num_header_rows(grid) else None


def _edges_of(line: Line, start: int, end: int) -> tuple[float, float]:
    part = line.edges[2 * start : 2 * end]
    return min(part), max(part)


# --- grids → lines ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """What the columns of a table are called, for where it goes on on the next page."""

    xs: tuple[float, ...]
    names: tuple[str, ...]

    def is_of(self, grid: Grid) -> bool:
        return len(self.xs) == len(grid.xs) and all(
            abs(one - other) <= _NEAR for one, other in zip(self.xs, grid.xs, strict=True)
        )


def rows_of(grid: Grid, size: float, before: Head | None = None) -> tuple[list[Line], Head]:
    """A line for each row that says something. Copied words have no width on the paper.

    `before` names the columns where the table goes on from another page without saying them again.
    """
    num_headers = num_header_rows(grid)
    names = [_header(grid, column, num_headers) for column in range(grid.num_columns)]
    if before and not num_headers and before.is_of(grid):
        names = list(before.names)
    lines = [
        _row(grid, row, names if row >= num_headers else [""] * len(names), size)
        for row in range(grid.num_rows)
        if any(cell.text for cell in grid.row(row) if cell.row == row)
    ]
    return lines, Head(tuple(grid.xs), tuple(names))


def _row(grid: Grid, row: int, names: list[str], size: float) -> Line:
    text: list[str] = []
    edges = array("f")
    cells = list(grid.row(row))
    is_alone = len(cells) == 1
    for index, cell in enumerate(cells):
        begin = grid.xs[cell.column]
        before = "" if is_alone else BETWEEN if index else BEGIN
        if name := _name(cell, names):
            before += f"{name}: "
        behind = END if index == len(cells) - 1 and not is_alone else ""
        said = cell.text or EMPTY
        text.append(before + said + behind)
        edges.extend([begin, begin] * len(before))
        is_printed = cell.text and cell.row == row
        edges.extend(cell.edges if is_printed else [begin, begin] * len(said))
        edges.extend([grid.xs[cell.column_end]] * 2 * len(behind))
    near, far = _extent(grid, row, cells)
    return Line("".join(text), edges, near, far, size, is_row=True)


def _extent(grid: Grid, row: int, cells: list[Cell]) -> tuple[float, float]:
    here = [glyph for cell in cells if cell.row == row for glyph in cell.glyphs]
    solid = [glyph for glyph in here if not glyph.is_generated]
    if not solid:
        return grid.ys[row], grid.ys[row + 1]
    return min(glyph.top for glyph in solid), max(glyph.bottom for glyph in solid)


def _name(cell: Cell, names: list[str]) -> str:
    """Of the columns that the cell spans; none for one that spans them all."""
    if cell.column_end - cell.column == len(names):
        return ""
    spanned = dict.fromkeys(names[cell.column : cell.column_end])
    return "・".join(name for name in spanned if name)


def _header(grid: Grid, column: int, num_headers: int) -> str:
    cells = {id(cell): cell for row in range(num_headers) for cell in [grid.cell(row, column)]}
    return " ".join(cell.text for cell in cells.values() if cell.text)


def num_header_rows(grid: Grid) -> int:
    """How many rows name the columns; 0 where that is not certain.

    A form, too, is a grid: 氏名 | 山田 | 部署 | 営業, and nothing there is a header.
    """
    count = 1
    while count < _MAX_HEADER_ROWS and _goes_on(grid, count):
        count += 1
    names = [_header(grid, column, count) for column in range(grid.num_columns)]
    rest = names[1:]
    if grid.num_rows <= count or not all(rest) or len(set(rest)) < len(rest):
        return 0
    if any(_VALUE.fullmatch(name) for name in names):
        return 0
    return count if _are_headers(grid, count, names) else 0


def _goes_on(grid: Grid, count: int) -> bool:
    """A header of several rows: the last one joins cells, over columns or over rows."""
    cells = list(grid.row(count - 1))
    return len(cells) > 1 and any(
        cell.column_end - cell.column > 1 or cell.row_end > count for cell in cells
    )


def _are_headers(grid: Grid, count: int, names: list[str]) -> bool:
    body = range(count, grid.num_rows)
    has_values = [_has_values(grid, column, body) for column in range(grid.num_columns)]
    if grid.num_columns == 2:
        return has_values[1] and len(body) >= _MANY_ROWS
    looks_like_form = grid.num_columns % 2 == 0 and not any(has_values[::2])
    if any(has_values[1:]) and not (looks_like_form and len(body) < _MANY_ROWS):
        return True
    is_plain = all(
        cell.column_end - cell.column == 1 and cell.row_end - cell.row == 1
        for row in body
        for cell in grid.row(row)
    )
    is_short = all(len(name) <= _LONG_HEADER for name in names)
    return is_plain and is_short and (grid.num_columns % 2 == 1 or len(body) >= _MANY_ROWS)


def _has_values(grid: Grid, column: int, body: range) -> bool:
    cells = [grid.cell(row, column) for row in body]
    texts = [
        cell.text
        for cell in cells
        if cell.text and cell.column_end - cell.column < grid.num_columns
    ]
    return bool(texts) and all(_VALUE.fullmatch(text) for text in texts)


def _text_of(glyphs: list[Glyph], style: Style) -> tuple[str, list[float]]:
    """A cell's lines as one."""
    text, edges = "", []
    for line in lines_of(glyphs, style):
        more, its_edges = without_needless_spaces(line)
        if text and more and not (is_cjk(text[-1]) or is_cjk(more[0])):
            text += " "
            edges += [its_edges[0]] * 2
        text += more
        edges += its_edges
    return text, edges
