"""CSV and TSV → one line for each row, with its header. Knows nothing about encodings."""

import csv
from collections import Counter
from collections.abc import Callable

from webui.documents.errors import DocumentError
from webui.documents.reader.page_text import PageText
from webui.documents.reader.sheet_rows import SheetRows
from webui.text.pages import Page

_DELIMITERS = ",\t;|"
_SAMPLE_CHARS = 50_000
_REPORT_ROWS = 2_000


def read_delimited(
    text: str, on_rows: Callable[[int, int], None] = lambda rows, chars: None
) -> list[Page]:
    page = PageText()
    rows = SheetRows(page, "")
    csv.field_size_limit(10_000_000)
    try:
        reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter_of(text))
        for number, values in enumerate(reader):
            rows.add(number, dict(enumerate(value.strip() for value in values)), {})
            if number % _REPORT_ROWS == _REPORT_ROWS - 1:
                on_rows(number, page.num_chars)
    except csv.Error as error:
        raise DocumentError("documents.damaged") from error
    rows.finish()
    return page.finished()


def delimiter_of(text: str) -> str:
    """The one that cuts most lines into the same number of fields, more than one."""
    lines = text[:_SAMPLE_CHARS].splitlines()[:200]
    return max(_DELIMITERS, key=lambda one: _evenness(lines, one))


def is_delimited(text: str, delimiter: str = "\t") -> bool:
    """Whether every line of a text without such a name has the same fields."""
    lines = [line for line in text[:_SAMPLE_CHARS].splitlines()[:200] if line.strip()]
    counts = {line.count(delimiter) for line in lines}
    return len(lines) >= 3 and len(counts) == 1 and counts.pop() >= 1


def _evenness(lines: list[str], delimiter: str) -> float:
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return 0.0
    wide = Counter(width for width in widths if width > 1)
    if not wide:
        return 0.0
    width, count = wide.most_common(1)[0]
    return count / len(widths) + min(width, 50) / 1000
