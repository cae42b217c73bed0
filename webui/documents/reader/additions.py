"""Filled fields and notes → characters at their places among those of the page.

Knows nothing about PDF files, and nothing about lines and paragraphs.
"""

import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from webui.documents.reader.layout import Glyph
from webui.text.characters import width
from webui.text.pages import Box

NOTE = "注釈"
_MAX_LOOKS = 10_000_000  # each value looks at all characters of the page
_LARGE = 14.0  # points; a larger box holds several lines
_USUAL = 10.0


@dataclass(frozen=True, slots=True)
class Addition:
    """A field's value or a note, and its box in points from the top left."""

    text: str
    box: Box
    is_note: bool = False
    author: str = ""


def with_additions(glyphs: Sequence[Glyph], additions: Sequence[Addition]) -> list[Glyph]:
    """The page's characters with values beside what they belong to, and notes at the end."""
    values = [addition for addition in additions if not addition.is_note]
    values = values[: max(_MAX_LOOKS // max(len(glyphs), 1), 10)]
    notes = [addition for addition in additions if addition.is_note]
    behind: dict[int, list[Glyph]] = defaultdict(list)  # index of a character → what follows it
    solid = [
        (index, glyph)
        for index, glyph in enumerate(glyphs)
        if not glyph.is_generated and not glyph.char.isspace()
    ]
    least = 0.7 * statistics.median(glyph.size for _, glyph in solid) if solid else _USUAL
    for value in sorted(values, key=lambda value: (value.box[1], value.box[0])):
        index, label = _label(solid, value.box)
        while index + 1 < len(glyphs) and _is_space(glyphs[index + 1]):
            index += 1
        behind[index] += [_line_end(value.box), *_set(value, label, least), _line_end(value.box)]
    found = behind[-1]
    for index, glyph in enumerate(glyphs):
        found.append(glyph)
        found += behind.get(index, ())
    for note in notes:
        found += _note(note)
    return found


def _label(solid: list[tuple[int, Glyph]], box: Box) -> tuple[int, Glyph | None]:
    """The last character before the box in its row; else where the line above it ends.

    The character is None, and its index -1 for the page's beginning, where it is not in the row.
    """
    beside = [item for item in solid if _is_beside(item[1], box) and item[1].left <= box[0]]
    if beside:
        return max(beside, key=lambda item: item[1].right)
    above = [item for item in solid if item[1].bottom <= box[1] + 0.5 * item[1].size]
    if not above:
        return -1, None
    lowest = max(glyph.bottom for _, glyph in above)
    row = [item for item in above if item[1].bottom > lowest - 0.5 * item[1].size]
    return max(row, key=lambda item: item[1].right)[0], None


def _is_space(glyph: Glyph) -> bool:
    return glyph.is_generated and glyph.char == " "


def _is_beside(glyph: Glyph, box: Box) -> bool:
    middle = (glyph.top + glyph.bottom) / 2
    return box[1] - 0.3 * glyph.size < middle < box[3] + 0.3 * glyph.size


def _set(value: Addition, label: Glyph | None, least: float) -> Iterator[Glyph]:
    """Its lines in its box; a single one at the height of its label, whose row it is."""
    left, top, right, bottom = value.box
    lines = re.split(r"\n+", value.text)
    step = (bottom - top) / len(lines)
    size = max(least, min(label.size if label else _USUAL, _LARGE))
    for index, line in enumerate(lines):
        if index:
            yield _line_end(value.box)
        extent = top + index * step, top + (index + 1) * step
        if label and len(lines) == 1:
            extent = label.top, label.bottom
        end = min(right, left + size * sum(map(width, line)))
        yield from _spread(line, left, end, *extent, size)


def _note(note: Addition) -> Iterator[Glyph]:
    """A note on a line of its own, marked as one."""
    said = " ".join(note.text.split())
    by = f"（{note.author}）" if note.author else ""
    left, top, right, bottom = note.box
    yield _line_end(note.box)
    yield from _spread(f"〔{NOTE}{by}: {said}〕", left, right, top, bottom, _USUAL)
    yield _line_end(note.box)


def _spread(
    text: str, left: float, right: float, top: float, bottom: float, size: float
) -> Iterator[Glyph]:
    step = (right - left) / max(len(text), 1)
    for index, char in enumerate(text):
        yield Glyph(char, left + index * step, top, left + (index + 1) * step, bottom, size)


def _line_end(box: Box) -> Glyph:
    return Glyph("\n", box[0], box[1], box[0], box[3], _USUAL, is_generated=True)
