"""SheetRows: the rows of one sheet, as they come → lines with their headers and cells as places.

Knows nothing about files. A sheet is no table: titles, several tables and forms laid out on graph
paper (方眼紙) stand on it. So it is cut into blocks at empty rows, and a block's first row is
taken for a header only where the rows below are built like it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from webui.documents.reader.cells import (
    Cell,
    Row,
    column_labels,
    is_number,
    num_header_rows,
    row_line,
)
from webui.documents.reader.page_text import PageText
from webui.text.places import Place, PlaceKind

_LOOK_AHEAD = 30  # rows that are seen before a header is chosen
_MAX_MERGES = 100_000
MAX_COLUMNS = 16_384


@dataclass(frozen=True, slots=True)
class Merge:
    """Joined cells, counted from 0, both ends included."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int


@dataclass(slots=True)
class _Line:
    number: int  # from 0
    cells: Row
    styles: dict[int, int]


@dataclass(slots=True)
class _Merges:
    """Those that cover the current row, when rows come in order."""

    waiting: list[Merge] = field(default_factory=list)  # the next one last
    active: list[tuple[Merge, Cell]] = field(default_factory=list)


class SheetRows:
    def __init__(
        self,
        page: PageText,
        name: str,
        merges: Iterable[Merge] = (),
        header_rows: Iterable[int] = (),
        hidden_columns: Iterable[int] = (),
    ) -> None:
        self._page = page
        self._name = name
        found = sorted(merges, key=lambda one: one.first_row, reverse=True)[-_MAX_MERGES:]
        self._merges = _Merges(found)
        self._header_rows = set(header_rows)
        self._hidden = set(hidden_columns)
        self._block: list[_Line] = []
        self._labels: list[str] = []
        self._has_chosen = False
        self._last = -1

    def add(self, number: int, texts: dict[int, str], styles: dict[int, int]) -> None:
        """A row that is shown: column (from 0) → text, and its style where it has one."""
        cells = self._laid_out(number, texts)
        if not any(cell and cell.text for cell in cells):
            return
        if number > self._last + 1:
            self._end_block()
        self._last = number
        self._block.append(_Line(number, cells, styles))
        if len(self._block) >= _LOOK_AHEAD or self._has_chosen:
            self._flush()

    def finish(self) -> None:
        self._end_block()

    def _end_block(self) -> None:
        self._flush()
        self._has_chosen = False

    # --- cells -----------------------------------------------------------------------------------

    def _laid_out(self, number: int, texts: dict[int, str]) -> Row:
        shown = {at: text for at, text in texts.items() if text and at not in self._hidden}
        width = max(shown, default=-1) + 1
        row: Row = [None] * min(width, MAX_COLUMNS)
        is_header = number in self._header_rows
        for at, text in shown.items():
            if at < MAX_COLUMNS:
                row[at] = Cell(text, is_header=is_header)
        self._join(number, row)
        return row

    def _join(self, number: int, row: Row) -> None:
        merges = self._merges
        merges.active = [one for one in merges.active if one[0].last_row >= number]
        for merge, cell in merges.active:
            _cover(row, merge, cell)
        while merges.waiting and merges.waiting[-1].first_row <= number:
            merge = merges.waiting.pop()
            origin = row[merge.first_column] if merge.first_column < len(row) else None
            if origin is None or merge.first_row != number:
                continue
            height = merge.last_row - merge.first_row + 1
            width = merge.last_column - merge.first_column + 1
            cell = Cell(origin.text, height, width, origin.is_header)
            _cover(row, merge, cell)
            if height > 1:
                merges.active.append((merge, cell))

    # --- blocks ----------------------------------------------------------------------------------

    def _flush(self) -> None:
        if not self._block:
            return
        lines, self._block = self._block, []
        if not self._has_chosen:
            self._has_chosen = True
            lines = self._choose(lines)
        for line in lines:
            self._write(line)

    def _choose(self, lines: list[_Line]) -> list[_Line]:
        """Write titles and headers; the labels hold from here on. Returns the rows below."""
        start = 0
        while start < len(lines) and _num_texts(lines[start]) < 2 and start < len(lines) - 1:
            start += 1
        below = lines[start:]
        left = min((_first_column(line) for line in below), default=0)
        grid = [line.cells[left:] for line in below]
        count = num_header_rows(grid)
        is_marked = count > 0 and lines[start].number in self._header_rows
        if count and not is_marked and not _is_table(below, count):
            count = 0
        is_continued = not count and self._labels and start == 0 and _fits(below, self._labels)
        old, self._labels = self._labels, []
        for line in lines[: start + count]:
            self._write(line)
        if count:
            self._labels = [""] * left + column_labels(grid[:count])
        elif is_continued:
            self._labels = old
        return lines[start + count :]

    def _write(self, line: _Line) -> None:
        filled = [at for at, cell in enumerate(line.cells) if cell and cell.text]
        texts = _num_texts(line)
        if texts == 1 and not self._labels:
            first = line.cells[filled[0]]
            shown = first.text if first else ""
        else:
            left = next((at for at, label in enumerate(self._labels) if label), filled[0])
            left = min(left, filled[0])
            shown = row_line(_dense(line.cells[left:], self._labels), self._labels[left:])
        last = filled[-1] if texts > 1 or filled[-1] == filled[0] else filled[0]
        place = Place(
            PlaceKind.CELLS,
            self._name,
            first=cell_name(line.number, filled[0]),
            last=cell_name(line.number, last) if last != filled[0] else "",
        )
        self._page.add(shown, place)


def _cover(row: Row, merge: Merge, cell: Cell) -> None:
    last = min(merge.last_column, MAX_COLUMNS - 1)
    row.extend([None] * (last + 1 - len(row)))
    row[merge.first_column : last + 1] = [cell] * (last + 1 - merge.first_column)


def _dense(row: Row, labels: list[str]) -> Row:
    """Without labels an empty cell says nothing: on graph paper nearly all are."""
    return row if any(labels) else [cell for cell in row if cell and cell.text]


def _first_column(line: _Line) -> int:
    return next((at for at, cell in enumerate(line.cells) if cell and cell.text), 0)


def _num_texts(line: _Line) -> int:
    return len({id(cell) for cell in line.cells if cell and cell.text})


def _starts(line: _Line) -> set[int]:
    cells = line.cells
    return {
        at
        for at, cell in enumerate(cells)
        if cell and cell.text and (at == 0 or cells[at - 1] is not cell)
    }


def _is_table(lines: list[_Line], count: int) -> bool:
    """Whether the rows below the header are built like it: forms and prose are not."""
    header, below = lines[count - 1], lines[count:]
    starts = _starts(header) | _starts(lines[0])
    aligned = [line for line in below if _starts(line) <= starts]
    if len(aligned) < 0.6 * len(below) or max(map(_num_texts, below)) < 2:
        return False
    own = {header.styles.get(at) for at in _starts(header)}
    others = {line.styles.get(at) for line in below for at in _starts(line)}
    if own.isdisjoint(others):
        return True
    is_joined = any(cell and cell.col_span > 1 for cell in header.cells)
    if is_joined and len(below) < 3:  # graph paper: labels and values in turn look the same
        return False
    texts = [
        (at, cell.text)
        for line in below
        for at, cell in enumerate(line.cells)
        if cell and cell.text
    ]
    columns = {at for at, _ in texts}
    numbers = [at for at, text in texts if is_number(text)]
    totals = [at for at, _ in texts]
    is_numeric = any(numbers.count(at) > 0.6 * totals.count(at) for at in columns)
    return is_numeric or len(below) >= 4


def _fits(lines: list[_Line], labels: list[str]) -> bool:
    """Whether rows behind a gap go on with the table above it."""
    known = {at for at, label in enumerate(labels) if label}
    return all(len(_starts(line)) > 1 and _starts(line) <= known for line in lines)


def cell_name(row: int, column: int) -> str:
    """(11, 1) → "B12"."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row + 1}"
