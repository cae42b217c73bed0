"""What was measured as one table: speed of each number of streams, and perplexity of each model.

Writes Markdown and CSV. Knows nothing about engines and the page.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace

from webui.workshop.bench import BenchRow
from webui.workshop.perplexity import PerplexityRow, Ratio


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A model at a number of streams; perplexity stands with its first row. 0 = not measured."""

    model_id: str
    name: str
    quantization: str
    size_bytes: int
    num_streams: int = 0
    prompt_per_s: float = 0.0
    generated_per_s: float = 0.0
    first_token_s: float = 0.0
    memory_bytes: int = 0
    n_threads: int = 0
    machine: str = ""
    rating: str = ""
    perplexity: float = 0.0
    perplexity_error: float = 0.0
    perplexity_ratio: float = 0.0  # to the best that can be compared
    perplexity_ratio_error: float = 0.0


def report(
    speeds: Iterable[BenchRow],
    perplexities: Iterable[PerplexityRow],
    ratios: Mapping[str, Ratio],
) -> list[ReportRow]:
    """By name, largest file first, then by streams."""
    speeds, left = list(speeds), {row.model_id: row for row in perplexities}
    both: list[BenchRow | PerplexityRow] = [*speeds, *left.values()]
    both.sort(key=lambda row: row.measured_at)
    newest = {row.model_id: row.name for row in both}  # names change when others come
    rows = []
    for speed in sorted(speeds, key=lambda row: (row.model_id, row.num_streams)):
        first = left.pop(speed.model_id, None)
        rows.append(_with_perplexity(_of_speed(speed), first, ratios))
    rows += [_with_perplexity(_nothing(row), row, ratios) for row in left.values()]
    rows = [replace(row, name=newest[row.model_id]) for row in rows]
    return sorted(rows, key=lambda r: (r.name, -r.size_bytes, r.model_id, r.num_streams))


def _nothing(row: PerplexityRow) -> ReportRow:
    return ReportRow(row.model_id, row.name, row.quantization, row.size_bytes)


def _of_speed(speed: BenchRow) -> ReportRow:
    shared = {item.name for item in fields(ReportRow)} & {item.name for item in fields(BenchRow)}
    return ReportRow(**{name: getattr(speed, name) for name in shared}, rating=speed.rating)


def _with_perplexity(
    row: ReportRow, measured: PerplexityRow | None, ratios: Mapping[str, Ratio]
) -> ReportRow:
    if measured is None:
        return row
    ratio = ratios.get(measured.model_id, Ratio(0.0, 0.0))
    return replace(
        row,
        perplexity=measured.value,
        perplexity_error=measured.error,
        perplexity_ratio=ratio.value,
        perplexity_ratio_error=ratio.error,
    )


def to_csv(rows: Iterable[ReportRow]) -> str:
    out = io.StringIO()
    names = [item.name for item in fields(ReportRow)]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _unformula(value) for key, value in asdict(row).items()} for row in rows)
    return out.getvalue()


def to_markdown(rows: Iterable[ReportRow]) -> str:
    head = ("model", "quantization", "GB", "streams", "prompt t/s", "t/s", "first s", "memory GB",
            "perplexity", "ratio to the best")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: ReportRow) -> tuple[str, ...]:
    is_timed, has_perplexity = row.num_streams > 0, row.perplexity > 0
    return (
        " ".join(row.name.replace("|", "\\|").split()),
        row.quantization,
        f"{row.size_bytes / 1e9:.2f}",
        str(row.num_streams) if is_timed else "",
        f"{row.prompt_per_s:.1f}" if is_timed else "",
        f"{row.generated_per_s:.2f}" if is_timed else "",
        f"{row.first_token_s:.2f}" if is_timed else "",
        f"{row.memory_bytes / 1e9:.2f}" if is_timed else "",
        f"{row.perplexity:.3f} ± {row.perplexity_error:.3f}" if has_perplexity else "",
        f"{row.perplexity_ratio:.5f} ± {row.perplexity_ratio_error:.5f}" if has_perplexity else "",
    )


def _unformula(value: object) -> object:
    """A name that begins like a formula must not become one in a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value
