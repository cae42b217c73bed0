"""A table's cells → one line for each row, with its headers. Knows nothing about file formats.

A row is found and read alone, far from its header, so each value carries the header of its column
(「4月: 30件」); a cell that is joined over rows stands in each of them. An empty cell keeps its
column: it is shown as a dash, so that the value beside it cannot be taken for its own.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MAX_COLUMNS = 1_000
MAX_CELLS = 400_000  # of one table, joined ones counted as often as they are wide and high
_MAX_HEADER_ROWS = 4
_MAX_HEADER_CHARS = 60
_MAX_DASHES = 12  # empty cells of a row that are shown; more of them are left out
EMPTY = "—"
_NUMBER = re.compile(
    r"[¥￥$€£△▲+\-−(（]*[0-9０-９][0-9０-９,，.．]*\s*(?:[%％)）]|件|円|千円|万円|百万円|億円|人|名|個|台|本|枚"
    r"|冊|点|回|時間|分|秒|日間|か月|ヶ月|箱|袋|kg|g|km|m|cm|mm|L|ml|℃|pt)?[)）]?"
)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    row_span: int = 1
    col_span: int = 1
    is_header: bool = False


Row = list[Cell | None]  # the same cell at each place that it covers


def table_lines(rows: Iterable[Sequence[Cell]]) -> list[str]:
    """One line for each row that has any text."""
    grid = grid_of(rows)
    num_headers = num_header_rows(grid)
    labels = column_labels(grid[:num_headers])
    lines = [header_line(row) for row in grid[:num_headers]]
    lines += [row_line(row, labels) for row in grid[num_headers:]]
    return [line for line in lines if line]


def grid_of(rows: Iterable[Sequence[Cell]]) -> list[Row]:
    """Every cell at every place that it covers, as HTML's table model lays them out."""
    grid: list[Row] = []
    hanging: dict[int, tuple[Cell, int]] = {}  # column -> a cell from above, rows that it goes on
    num_places = 0
    for cells in rows:
        row: Row = []
        waiting = list(cells)[::-1]
        last_hanging = max(hanging, default=-1)
        while (waiting or len(row) <= last_hanging) and len(row) < MAX_COLUMNS:
            if len(row) in hanging:
                cell, num_left = hanging.pop(len(row))
                _put(cell, 1, num_left, row, hanging)
            elif waiting:
                cell = waiting.pop()
                _put(cell, cell.col_span, cell.row_span, row, hanging)
            else:
                row.append(None)
        num_places += len(row)
        if num_places > MAX_CELLS:
            break
        grid.append(row)
    return grid


def _put(
    cell: Cell, width: int, height: int, row: Row, hanging: dict[int, tuple[Cell, int]]
) -> None:
    for _ in range(max(1, min(width, MAX_COLUMNS - len(row)))):
        if len(row) in hanging and width > 1:  # an overlap, which only a faulty table has
            return
        if height > 1:
            hanging[len(row)] = (cell, height - 1)
        row.append(cell)


def num_header_rows(grid: Sequence[Row]) -> int:
    """Rows that name the columns: those that say so, else a first row that looks like it."""
    if len(grid) < 2 or max(map(len, grid)) < 2:
        return 0
    marked = 0
    while marked < min(len(grid) - 1, _MAX_HEADER_ROWS) and _is_marked(grid[marked]):
        marked += 1
    if marked or not _looks_like_header(grid):
        return marked
    count = max((cell.row_span for cell in grid[0] if cell), default=1)
    is_grouped = any(cell is not None and 1 < cell.col_span < len(grid[0]) for cell in grid[0])
    count = max(count, 2 if is_grouped and _is_text(grid[1]) else 1)
    return min(count, _MAX_HEADER_ROWS, len(grid) - 1)


def _is_marked(row: Row) -> bool:
    cells = [cell for cell in row if cell and cell.text]
    return bool(cells) and all(cell.is_header for cell in cells)


def _looks_like_header(grid: Sequence[Row]) -> bool:
    used = [
        at for at in range(len(grid[0])) if any(_text(row[at]) for row in grid if at < len(row))
    ]
    texts = [_text(grid[0][at]) for at in used]
    named = texts[1:] if texts and not texts[0] else texts
    if len(named) < 2 or not all(named) or any(len(text) > _MAX_HEADER_CHARS for text in named):
        return False
    own = [_text(grid[0][at]) for at in used if _text(grid[0][at]) and _begins(grid[0], at)]
    if len(set(own)) < len(own) or any(text.endswith("。") for text in own):
        return False
    if any(is_number(text) and not _YEAR.fullmatch(text) for text in own[1:]):
        return False
    if len(texts) > 2:
        return True
    return any(is_number(_text(row[used[-1]])) for row in grid[1:] if len(row) > used[-1])


def _is_text(row: Row) -> bool:
    texts = [_text(cell) for cell in row]
    return any(texts) and not any(is_number(text) for text in texts)


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _begins(row: Row, at: int) -> bool:
    return at == 0 or row[at] is not row[at - 1]


def _text(cell: Cell | None) -> str:
    return cell.text if cell else ""


def column_labels(headers: Sequence[Row]) -> list[str]:
    """What each column is called, from above to below: 「2026年 4月」."""
    width = max(map(len, headers), default=0)
    labels = []
    for column in range(width):
        names = [_text(row[column]) if column < len(row) else "" for row in headers]
        labels.append(" ".join(dict.fromkeys(filter(None, names))))
    return labels


def header_line(row: Row) -> str:
    return _line(_text(cell) for at, cell in enumerate(row) if _begins(row, at))


def row_line(row: Row, labels: Sequence[str]) -> str:
    """「| 部署: 営業課 | 4月: 10件 | 5月: — |」; "" for a row without any text."""
    if not any(_text(cell) for cell in row):
        return ""
    if not any(labels):
        if len(row) == 2 and row[0] and row[0].is_header and _text(row[1]):
            return _line([f"{_text(row[0])}: {_text(row[1])}"])
        return _line(_text(cell) for at, cell in enumerate(row) if _begins(row, at))
    return _line(_labelled(row, labels))


def _labelled(row: Row, labels: Sequence[str]) -> Iterator[str]:
    width = max(len(row), len(labels))
    cells = [*row, *([None] * (width - len(row)))]
    names = [*labels, *([""] * (width - len(labels)))]
    shows_empty = sum(not cell or not cell.text for cell in cells) <= _MAX_DASHES
    at = 0
    last = ""
    while at < width:
        cell = cells[at]
        end = at + 1
        if cell is not None and cell.col_span > 1:
            while end < width and cells[end] is cell:
                end += 1
        name = names[at] if end == at + 1 else _joined(names[at:end])
        text = cell.text if cell else ""
        if text:
            yield f"{name}: {text}" if name and name != text else text
        elif name and name != last and shows_empty:
            yield f"{name}: {EMPTY}"
        at, last = end, name


def _joined(labels: Sequence[str]) -> str:
    names = list(dict.fromkeys(filter(None, labels)))
    return "・".join(names) if len(names) < 4 else f"{names[0]}〜{names[-1]}"


def _line(texts: Iterable[str]) -> str:
    """As a Markdown row: the splitter keeps those in one piece."""
    parts = [" ".join(text.split()).replace("|", "｜") for text in texts]
    while parts and not parts[-1]:
        parts.pop()
    return f"| {' | '.join(parts)} |" if any(parts) else ""
