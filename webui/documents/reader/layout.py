"""Characters with their boxes → printed lines. Knows nothing about paragraphs or pypdf.

A line's own axis runs along it: left to right, or top to bottom for vertical text, where the
second axis counts columns from right to left. So everything after this is written once.
"""

import math
import re
import statistics
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from webui.text.characters import KANA_MARKS, LINE_END_HYPHENS, is_cjk, is_kana, repaired

RUBY_SHARE = 0.68  # furigana are at most this part of the text's size
_CELL_GAP = 1.5  # em between two pieces that stand in one row


@dataclass(slots=True)
class Line:
    """One printed line. `text[i]` reaches from `edges[2i]` to `edges[2i + 1]` along the line."""

    text: str
    edges: "array[float]"
    near: float  # across the line, growing in reading order
    far: float
    size: float
    is_vertical: bool = False
    is_row: bool = False  # cells of a table: never joined with its neighbours
    turn: int = 0  # see Glyph; the axes are those of the page turned upright
    generated: frozenset[int] = frozenset()  # spaces the reader put in itself
    is_placed: bool = True  # False where the reader knows no places: edges are mere widths
    begin: float = field(init=False)  # along the line
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.begin, self.end = min(self.edges), max(self.edges)

    @property
    def middle(self) -> float:
        return (self.near + self.far) / 2


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character as a reader found it; the box is in points from the top left of the page."""

    char: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    is_generated: bool = False  # a space or line end that the reader has put in
    turn: int = 0  # quarter turns to the left: 1 runs up the page, 3 down


@dataclass(frozen=True, slots=True)
class Style:
    """What a page has in common: the size of its text and whether it is set in columns."""

    body: float
    is_vertical: bool


def style_of(glyphs: Sequence[Glyph]) -> Style:
    pieces = split_at_line_ends(glyphs)
    return Style(_body_size(pieces), _mostly_vertical(pieces))


def lines_of(glyphs: Sequence[Glyph], style: Style | None = None) -> list[Line]:
    """The page's lines in the order of its content, furigana left out."""
    pieces = split_at_line_ends(glyphs)
    style = style or Style(_body_size(pieces), _mostly_vertical(pieces))
    lines = []
    for piece in pieces:
        kept = _without_ruby(piece, style.body)
        if any(not glyph.char.isspace() for glyph in kept):
            lines.append(_line(kept, _direction(piece, style.is_vertical)))
    lines = [line for line in lines if line.text]
    return _joined_rows(_in_columns(lines) if style.is_vertical else lines)


def split_at_line_ends(glyphs: Sequence[Glyph]) -> list[list[Glyph]]:
    pieces: list[list[Glyph]] = [[]]
    for glyph in glyphs:
        if glyph.char in "\r\n":
            if pieces[-1]:
                pieces.append([])
        else:
            pieces[-1].append(glyph)
            if glyph.char in LINE_END_HYPHENS:  # pdfium gives no line end after these
                pieces.append([])
    return [piece for piece in pieces if piece]


def _direction(piece: list[Glyph], otherwise: bool) -> bool:
    """Whether the piece is vertical; a single character goes the way of its page."""
    real = [glyph for glyph in piece if not glyph.is_generated]
    if len(real) < 2:
        return otherwise
    first, last = real[0], real[-1]
    along = abs((last.left + last.right) - (first.left + first.right))
    down = (last.top + last.bottom) - (first.top + first.bottom)
    return down > along


def _mostly_vertical(pieces: list[list[Glyph]]) -> bool:
    long = [piece for piece in pieces if len(piece) > 1]
    num_vertical = sum(len(piece) for piece in long if _direction(piece, False))
    return num_vertical * 2 > sum(map(len, long))


def _body_size(pieces: list[list[Glyph]]) -> float:
    """The size in which most characters are set."""
    counts: Counter[float] = Counter()
    for piece in pieces:
        counts.update(round(glyph.size * 2) / 2 for glyph in piece if not glyph.is_generated)
    return counts.most_common(1)[0][0] if counts else 0.0


def _without_ruby(piece: list[Glyph], body: float) -> list[Glyph]:
    """The piece without its small runs that are kana only; a small note keeps its kana."""
    kept: list[Glyph] = []
    small: list[Glyph] = []
    for glyph in piece:
        if not glyph.is_generated and glyph.size > RUBY_SHARE * body:
            kept += _unless_ruby(small)
            small = []
            kept.append(glyph)
        else:
            small.append(glyph)
    return kept + _unless_ruby(small)


def _unless_ruby(small: list[Glyph]) -> list[Glyph]:
    letters = [glyph for glyph in small if not glyph.char.isspace()]
    return [] if letters and all(is_kana(glyph.char) for glyph in letters) else small


def _line(glyphs: list[Glyph], is_vertical: bool) -> Line:
    """`glyphs` as a Line, every character repaired, marks composed with what they stand on."""
    real = [glyph for glyph in glyphs if not glyph.is_generated]
    size = statistics.median(glyph.size for glyph in real)
    chars: list[str] = []
    edges = array("f")
    generated: set[int] = set()
    for glyph in glyphs:
        begin, end = (glyph.top, glyph.bottom) if is_vertical else (glyph.left, glyph.right)
        for char in repaired(glyph.char):
            if _compose(chars, char):
                continue
            if glyph.is_generated and char == " ":
                generated.add(len(chars))
            chars.append(char)
            edges.extend((begin, end))
    near, far = _extent(real, is_vertical)
    return Line("".join(chars), edges, near, far, size, is_vertical, generated=frozenset(generated))


def _compose(chars: list[str], mark: str) -> bool:
    """Put a combining mark onto the last character, where the two are one in Unicode."""
    if not chars or not (mark in KANA_MARKS or unicodedata.combining(mark)):
        return False
    composed = unicodedata.normalize("NFC", chars[-1] + mark)
    if len(composed) != 1:
        return False
    chars[-1] = composed
    return True


def _extent(glyphs: list[Glyph], is_vertical: bool) -> tuple[float, float]:
    """Across the line, growing in reading order: vertical columns go from right to left."""
    if is_vertical:
        return -max(g.right for g in glyphs), -min(g.left for g in glyphs)
    return min(g.top for g in glyphs), max(g.bottom for g in glyphs)


def _in_columns(lines: list[Line]) -> list[Line]:
    """Lines of a vertical page in reading order: tier by tier, in each from right to left.

    pdfium gives the columns of such pages in the order of their lengths, sometimes.
    """
    ordered: list[Line] = []
    for tier in _tiers([line for line in lines if line.is_vertical]):
        columns: list[list[Line]] = []
        for line in sorted(tier, key=lambda line: line.middle):
            if columns and _is_in_column(line, columns[-1]):
                columns[-1].append(line)
            else:
                columns.append([line])
        for column in columns:
            ordered += sorted(column, key=lambda line: line.begin)
    return ordered + [line for line in lines if not line.is_vertical]


def _tiers(lines: list[Line]) -> list[list[Line]]:
    """Cut where no line stands: newspapers and gazettes set several tiers of columns."""
    tiers: list[list[Line]] = []
    reach = -math.inf
    for line in sorted(lines, key=lambda line: line.begin):
        if not tiers or line.begin > reach + 0.5 * line.size:
            tiers.append([])
        tiers[-1].append(line)
        reach = max(reach, line.end)
    return tiers


def _is_in_column(line: Line, column: list[Line]) -> bool:
    return abs(line.middle - column[0].middle) < 0.6 * max(line.size, column[0].size)


def _joined_rows(lines: list[Line]) -> list[Line]:
    """Pieces that stand behind each other in one row are one line: ruby cut it, or cells did."""
    joined: list[Line] = []
    for line in lines:
        if joined and _goes_on(joined[-1], line):
            _append(joined[-1], line)
        else:
            joined.append(line)
    return joined


def _goes_on(line: Line, following: Line) -> bool:
    size = max(line.size, following.size)
    return (
        line.is_vertical == following.is_vertical
        and abs(line.middle - following.middle) < 0.5 * size
        and following.begin > line.end - 0.6 * size
    )


def _append(line: Line, following: Line) -> None:
    gap = following.begin - line.end
    if gap > _CELL_GAP * line.size:
        line.is_row = True
    between = " " if gap > 0.2 * line.size and not line.text.endswith(" ") else ""
    if between:
        line.generated |= {len(line.text)}
        line.edges.extend((line.end, following.begin))
    offset = len(line.text) + len(between)
    line.generated |= {offset + index for index in following.generated}
    line.text += between + following.text
    line.edges += following.edges
    line.near, line.far = min(line.near, following.near), max(line.far, following.far)
    line.begin, line.end = min(line.begin, following.begin), max(line.end, following.end)
    line.is_row |= following.is_row


def without_needless_spaces(line: Line) -> tuple[str, list[float]]:
    """The line without spaces at its ends, and without the typesetter's beside Japanese.

    Those that the author wrote stay, and so do ideographic ones.
    """
    text = line.text
    kept = [
        index
        for index, char in enumerate(text)
        if char != " " or index not in line.generated or line.is_row or _is_needed(text, index)
    ]
    while kept and text[kept[-1]] == " ":
        kept.pop()
    while kept and text[kept[0]] == " ":
        kept.pop(0)
    edges = [edge for index in kept for edge in line.edges[2 * index : 2 * index + 2]]
    shown = "".join(text[index] for index in kept)
    return _middle_dots(shown), edges


def _is_needed(text: str, index: int) -> bool:
    """A space between Western words; beside a Japanese character it is the typesetter's."""
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    return not (before and is_cjk(before)) and not (after and is_cjk(after)) and before != " "


def _middle_dots(text: str) -> str:
    """Chromium writes the katakana middle dot as U+2027."""
    if "\u2027" not in text:
        return text
    return re.sub(r"(?<=[\u3040-\u9fff])\u2027(?=[\u3040-\u9fff])", "・", text)


def widths_only(text: str, near: float, widths: Iterable[float]) -> Line:
    """A line of a reader that knows no places, with what the characters' widths say."""
    edges = array("f")
    position = 0.0
    for char_width in widths:
        edges.extend((position, position + char_width))
        position += char_width
    return Line(text, edges, near, near + 1.0, 1.0, is_placed=False)
