"""Pictures of vertical lines → pictures that a recogniser of horizontal ones reads whole.

The models read a vertical line that is laid on its side, but leave out 、。ー（） and small kana.
So each line is read twice: on its side, and as a row of its characters set upright; `merged` takes
the words of the first and the marks of the second. Knows nothing about models and pages.
"""

import difflib
from typing import Any

import numpy as np
import numpy.typing as npt

from webui.text.characters import is_kana

Picture = npt.NDArray[np.uint8]  # shades of grey, rows first
Mask = npt.NDArray[np.bool_]

_LEAST, _MOST = 0.75, 1.3  # em between the cuts
_EARLIER = 0.55  # em
_STIFFNESS = 8.0  # how dear it is to leave the usual distance, in rows of ink
_MARKS = frozenset("、。・「」『』（）()〔〕【】！？!?")
_DROPPED = _MARKS | frozenset("ー…―ッっャュョァィゥェォゃゅょぁぃぅぇぉ〈〉《》々：；")
_SMALL = dict(
    zip("つやゆよあいうえおツヤユヨアイウエオ", "っゃゅょぁぃぅぇぉッャュョァィゥェォ", strict=True)
)


def upright_row(column: Picture) -> Picture | None:
    """The characters of a vertical line side by side, marks as horizontal text has them.

    None where there is no ink.
    """
    dark = _threshold(column)
    ink = column < dark
    across, down = _extent(ink.sum(0), 0.04), _extent(ink.sum(1), 0.0)
    if across is None or down is None:
        return None
    em = 1.05 * (across[1] - across[0])
    size = max(round(em), 4)
    # A bracket at the beginning fills only the lower half of its cell.
    before = round(_EARLIER * em)
    profile = ink[down[0] : down[1], across[0] : across[1]].sum(1).astype(float)
    profile = np.concatenate([np.zeros(before), profile])
    paper = int(np.median(column[~ink])) if not ink.all() else 255
    margin = 2 * size
    padded = np.pad(column, margin, constant_values=paper)
    left = margin + round((across[0] + across[1] - size) / 2)
    cells = []
    cuts = [cut - before for cut in _cuts(profile, em, before)]
    for begin, end in zip(cuts, cuts[1:], strict=False):
        top = round((begin + end - size) / 2) + down[0]
        cell = padded[margin + top : margin + top + size, left : left + size].copy()
        cell[: max(0, down[0] + begin - top)] = paper  # its neighbours' ink
        cell[max(0, down[0] + end - top) :] = paper
        cells.append(_upright(cell, dark, paper))
    row = np.concatenate(cells, axis=1)
    edge = size // 8
    return np.pad(row, ((edge, edge), (2 * edge, 2 * edge)), constant_values=paper)


def ink_extent(picture: Picture, axis: int) -> tuple[int, int] | None:
    """The first and the last place that have ink, summed along `axis`; None where there is none."""
    return _extent((picture < _threshold(picture)).sum(axis), 0.02)


def merged(words: str, marks: str) -> str:
    """What was read on its side, with the marks that only the upright reading has."""
    found = []
    for tag, a, b, c, d in difflib.SequenceMatcher(
        None, words, marks, autojunk=False
    ).get_opcodes():
        if tag == "insert":
            found.append("".join(char for char in marks[c:d] if _was_dropped(char)))
        elif tag == "replace":
            found.append(_replaced(words[a:b], marks[c:d]))
        else:
            found.append(words[a:b])
    return "".join(found)


def _was_dropped(char: str) -> bool:
    """Whether the model leaves it out where it lies on its side: marks, and や among the kana."""
    return char in _DROPPED or is_kana(char)


def _replaced(words: str, marks: str) -> str:
    """Where the two differ: the words, between the marks at the other one's ends."""
    if len(words) == len(marks):
        both = zip(words, marks, strict=True)
        return "".join(mark if _SMALL.get(word) == mark else word for word, mark in both)
    is_longer = len(marks) > len(words)
    addable = _DROPPED if is_longer else _MARKS
    begin = end = ""
    while marks and marks[0] in addable and words[:1] not in addable:
        begin, marks = begin + marks[0], marks[1:]
    while marks and marks[-1] in addable and words[-1:] not in addable:
        end, marks = marks[-1] + end, marks[:-1]
    return begin + words + end


# --- cells ---------------------------------------------------------------------------------------


def _threshold(picture: Picture) -> int:
    """Darker than this is ink."""
    return min(200, (int(picture.min()) + int(np.median(picture))) // 2 + 20)


def _extent(counts: Any, share: float) -> tuple[int, int] | None:
    filled = np.nonzero(counts > share * counts.max())[0]
    return (int(filled[0]), int(filled[-1]) + 1) if len(filled) else None


def _cuts(profile: npt.NDArray[np.float64], em: float, last_start: int) -> list[int]:
    """Where one character ends and the next begins: through little ink, about an em apart.

    Dynamic programming over the rows. The first character begins at `last_start` at the latest, and
    the last one may be shorter than its cell.
    """
    length, least, most = len(profile), max(2, int(em * _LEAST)), max(3, int(em * _MOST))
    ink = np.concatenate([profile, np.zeros(most + 1)])
    steps = np.arange(least, most + 1)
    dear = ((steps - em) / em * _STIFFNESS) ** 2
    cost = np.full(length + most + 1, np.inf)
    came_from = np.zeros(length + most + 1, dtype=np.int64)
    cost[: last_start + 1] = 0.0
    for row in range(last_start + 1, length + most + 1):
        usable = steps[: max(0, min(len(steps), row - least + 1))]
        if not len(usable):
            continue
        ways = cost[row - usable] + dear[: len(usable)]
        best = int(ways.argmin())
        cost[row], came_from[row] = ways[best] + ink[row], row - usable[best]
    ends = range(length, length + most + 1)
    end = min(ends, key=lambda row: cost[row] + 0.05 * (row - length))
    cuts = [end]
    while cuts[-1] > last_start:
        cuts.append(int(came_from[cuts[-1]]))
    return cuts[::-1]


def _upright(cell: Picture, dark: int, paper: int) -> Picture:
    """A cell as horizontal text has it: 、。 at the lower left, ー lying, brackets standing."""
    size = len(cell)
    ink = cell < dark
    down, across = _extent(ink.sum(1), 0.0), _extent(ink.sum(0), 0.0)
    if down is None or across is None:
        return cell
    width, height = (across[1] - across[0]) / size, (down[1] - down[0]) / size
    x, y = sum(across) / 2 / size, sum(down) / 2 / size
    if width < 0.5 and height < 0.5 and x > 0.5 and y < 0.55:  # 、。
        moved = np.full_like(cell, paper)
        mark = cell[down[0] : down[1], across[0] : across[1]]
        top, left = int(0.93 * size) - len(mark), int(0.07 * size)
        moved[max(top, 0) :, left:][: len(mark), : mark.shape[1]] = mark
        return moved
    is_bar = width < 0.32 and height > 0.55 and 0.3 < x < 0.7  # ー
    is_one = width > 0.75 and height < 0.2  # 一
    is_bracket = height < 0.5 and width > 0.3 and not is_one and not 0.4 <= y <= 0.6
    return np.rot90(cell) if is_bar or is_bracket else cell
