"""Measurements as a picture: file size against writing speed and against perplexity, as an SVG.

Colours are the page's variables, with fallbacks for a file that stands alone. All text is escaped.
Knows nothing about how anything was measured.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from webui.models.labels import without_quantization
from webui.strings import Language, text
from webui.workshop.report import ReportRow

WIDTH, PANEL, LEFT, RIGHT, TOP, BOTTOM = 760, 290, 66, 92, 34, 34
LEGEND = 26
LABEL_GAP = 14
COLOURS = ("#3f5fb5", "#c2632f", "#2f8a63", "#8a57b8", "#a08a1c")
RATING_STEPS = (("minimum", 2.0), ("comfortable", 5.0), ("fast", 20.0), ("batch", 50.0))
STYLE = """
.bench-plot { background: var(--card, #fff); }
.bench-plot text { font: 12px system-ui, "Hiragino Sans", "Noto Sans JP", sans-serif;
  fill: var(--quiet, #5b6472); }
.bench-plot .title { font-size: 14px; font-weight: 600; fill: var(--ink, #1c2330); }
.bench-plot .label { font-weight: 600; fill: var(--ink, #1c2330); }
.bench-plot .grid { stroke: var(--line, #e3e6ec); }
.bench-plot .step { stroke: var(--quiet, #8a93a3); stroke-dasharray: 3 4; opacity: .7; }
.bench-plot .path { fill: none; stroke-width: 1.5; opacity: .45; }
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One file: how large, how good, one standard error, what to call it, whose colour."""

    size: float  # GB
    value: float
    error: float
    label: str
    group: str


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    points: Sequence[Point]
    low: float
    high: float
    digits: int
    steps: Sequence[tuple[str, float]] = ()  # lines with a name


def plot(rows: Sequence[ReportRow], language: Language) -> str:
    """The picture of what can be compared; "" with fewer than two files."""
    panels = [panel for panel in (_speeds(rows, language), _ratios(rows, language)) if panel]
    if not panels:
        return ""
    groups = list(dict.fromkeys(point.group for panel in panels for point in panel.points))
    most = 1.08 * max(point.size for panel in panels for point in panel.points)
    unit, scale = ("GB", 1.0) if most >= 1 else ("MB", 1000.0)
    top = LEGEND if len(groups) > 1 else 0
    height = top + PANEL * len(panels) + 24
    parts = [*_legend(groups)] if top else []
    for number, panel in enumerate(panels):
        parts += _drawn(panel, groups, (most, scale), top + number * PANEL)
    axis = text("bench_plot.size", language, unit=unit)
    parts.append(_text(WIDTH - RIGHT, height - 8, axis, anchor="end"))
    title = text("bench_plot.title", language)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'class="bench-plot" aria-label={quoteattr(title)}><style>{STYLE}</style>'
        + "".join(parts)
        + "</svg>"
    )


def _speeds(rows: Sequence[ReportRow], language: Language) -> Panel | None:
    groups = _groups(rows)
    points = [
        Point(
            row.size_bytes / 1e9, row.generated_per_s, 0.0, row.quantization, groups[row.model_id]
        )
        for row in rows
        if row.num_streams == 1
    ]
    if len(points) < 2:
        return None
    high = 1.15 * max(point.value for point in points)
    named = [(text(f"bench_plot.{name}", language), at) for name, at in RATING_STEPS if at < high]
    return Panel(text("bench_plot.speed", language), points, 0.0, high, 1, named)


def _ratios(rows: Sequence[ReportRow], language: Language) -> Panel | None:
    firsts = {row.model_id: row for row in reversed(rows) if row.perplexity_ratio > 0}
    groups = _groups(rows)
    points = [
        Point(row.size_bytes / 1e9, row.perplexity_ratio, row.perplexity_ratio_error,
              row.quantization, groups[row.model_id])
        for row in firsts.values()
    ]  # fmt: skip
    if len(points) < 2:
        return None
    low = min(point.value - point.error for point in points)
    high = max(point.value + point.error for point in points)
    margin = max(0.15 * (high - low), 1e-4)
    digits = min(5, max(2, 1 - math.floor(math.log10(high - low + 2 * margin))))
    title = text("bench_plot.ratio", language)
    return Panel(title, points, low - margin, high + margin, digits)


def _drawn(
    panel: Panel, groups: Sequence[str], sizes: tuple[float, float], offset: int
) -> Iterator[str]:
    """`sizes`: the largest (GB), and what to multiply it by to show it."""
    bottom, top = offset + PANEL - BOTTOM, offset + TOP
    most, scale = sizes

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * size / most

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - panel.low) / (panel.high - panel.low)

    yield _text(8, offset + 18, panel.title, kind="title")
    yield from _grid(panel, y)
    for part in range(5):
        shown = f"{most * scale * part / 4:.{1 if scale == 1 else 0}f}"
        yield _text(x(most * part / 4), bottom + 18, shown, anchor="middle")
    for group in dict.fromkeys(point.group for point in panel.points):
        colour = COLOURS[groups.index(group) % len(COLOURS)]
        own = sorted((p for p in panel.points if p.group == group), key=lambda p: p.size)
        path = " ".join(f"{x(p.size):.1f},{y(p.value):.1f}" for p in own)
        yield f'<polyline points="{path}" class="path" stroke="{colour}"/>'
        for point in own:
            yield from _marker(point, x(point.size), y, colour)
    yield from _labels(panel.points, x, y)


def _grid(panel: Panel, y: Callable[[float], float]) -> Iterator[str]:
    for part in range(5):
        value = panel.low + (panel.high - panel.low) * part / 4
        yield _line(LEFT, y(value), WIDTH - RIGHT, y(value), "grid")
        yield _text(LEFT - 8, y(value) + 4, f"{value:.{panel.digits}f}", anchor="end")
    for name, value in panel.steps:
        yield _line(LEFT, y(value), WIDTH - RIGHT, y(value), "step")
        yield _text(WIDTH - RIGHT + 6, y(value) + 4, name)


def _marker(point: Point, x: float, y: Callable[[float], float], colour: str) -> Iterator[str]:
    if point.error > 0:
        low, high = y(point.value - point.error), y(point.value + point.error)
        bar = f"M{x - 4:.1f} {low:.1f}h8m-4 0V{high:.1f}m-4 0h8"
        yield f'<path d="{bar}" stroke="{colour}" stroke-width="1.5" fill="none"/>'
    yield f'<circle cx="{x:.1f}" cy="{y(point.value):.1f}" r="5.5" fill="{colour}"/>'


def _labels(
    points: Sequence[Point], x: Callable[[float], float], y: Callable[[float], float]
) -> Iterator[str]:
    """Beside the points, moved down where they would cover one another."""
    placed: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: y(p.value)):
        left, height = x(point.size) + 10, y(point.value) + 4
        while any(abs(left - a) < 60 and abs(height - b) < LABEL_GAP for a, b in placed):
            height += 2
        placed.append((left, height))
        yield _text(left, height, point.label, kind="label")


def _groups(rows: Sequence[ReportRow]) -> dict[str, str]:
    """By model id: one name, and so one colour, for the quantisations of one model.

    They share the name, or their files' names; a catalogue may know only one of the files.
    """
    by_file: dict[str, str] = {}
    for row in rows:
        name = row.name.removesuffix(f" {row.quantization}")
        by_file.setdefault(without_quantization(row.model_id), name)
    return {row.model_id: by_file[without_quantization(row.model_id)] for row in rows}


def _legend(groups: Sequence[str]) -> Iterator[str]:
    left = LEFT
    for number, group in enumerate(groups[: len(COLOURS)]):
        shown = group if len(group) <= 24 else group[:23] + "…"
        yield f'<circle cx="{left}" cy="14" r="5.5" fill="{COLOURS[number]}"/>'
        yield _text(left + 11, 18, shown)
        left += 24 + sum(13 if ord(letter) > 0x2E80 else 7 for letter in shown)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1}" y1="{y1:.1f}" x2="{x2}" y2="{y2:.1f}" class="{kind}"/>'


def _text(x: float, y: float, content: str, *, anchor: str = "start", kind: str = "") -> str:
    shown = escape("".join(letter for letter in content if letter.isprintable()))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{shown}</text>'
