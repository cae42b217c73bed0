"""A model's text → the answer as it is shown, its citations and its flags. Pure.

Marks such as [2] are kept only for passages that the model was given, and numbered anew from 1 as
they come. Every sentence is compared with the passages: what it cites is found there or not, and
what it does not cite may be.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from webui.tasks.ask.comparing import SentenceReader, Window
from webui.tasks.ask.result import NumberedPassage
from webui.text.grounding import Flag
from webui.text.splitter import sentence_ranges

MARK = re.compile(r"\s*\[\s*(\d{1,2}(?:\s*[,、]\s*\d{1,2})*)\s*\]")
_HALF_MARK = re.compile(r"\s*(?:\[[\s\d,、]{0,40})?\Z")
_STOPS = "。．.!！?？"
_QUOTES = "「」『』\"' 　\n。."
_NOTHING_SAID = re.compile(
    "(?:申し訳(?:あり|ござい)ませんが、?)?(?:提供された|与えられた|この|これらの|上記の)?"
    "(?:資料|文書|文章|テキスト|本文|データ|ファイル|書類|表|記事|内容)(?:の中|内)?(?:に|から|で)は?、?[^。\n]{0,60}?"
    "(?:書かれて|記載|記述|載って|言及|示されて|触れられて|見つか|見当た|述べられて|明記|答え|情報)"
    "[^。\n]{0,12}?(?:ません|いない|ない|なし)(?:でした)?"
    "|(?:申し訳(?:あり|ござい)ませんが、?)?(?:その)?(?:答え|回答|情報)は"
    "(?:わか|分か|見つか|見当た)りません(?:でした)?"
    r"|(?:i'?m )?(?:sorry, )?(?:but )?(?:the |these |this )?(?:provided |given )?"
    r"(?:documents?|passages?|texts?) (?:do|does|did)(?: not|n't) "
    r"(?:say|mention|answer|contain|provide|specify|state|include)[^.\n]{0,80}",
    re.IGNORECASE,
)
_LABELS = ("答え:", "答え：", "回答:", "回答：", "Answer:")
_LABEL = re.compile(rf"\A\s*(?:{'|'.join(_LABELS)})\s*")
MAX_CITATIONS = 200


@dataclass(frozen=True, slots=True)
class CitedText:
    """`passages` have the numbers of the text: the cited ones count from 1 as they come."""

    text: str
    sentences: tuple["CitedSentence", ...]
    passages: tuple[NumberedPassage, ...]  # in the order in which they were given


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """Characters [start, end) of the answer's text, with the marks behind them."""

    start: int
    end: int
    windows: tuple[tuple[Window, bool], ...]  # and whether the model marked it itself
    flags: tuple[Flag, ...]  # with places in the whole text


def shown_so_far(raw: str, num_passages: int, nothing: str) -> str:
    """What can be shown of a text that is being written: it only ever grows.

    Held back are half a mark, and what may become the sentence that there is no answer.
    """
    begun = raw.strip()
    if nothing.startswith(begun) or any(label.startswith(begun) for label in _LABELS):
        return ""
    whole = _HALF_MARK.sub("", without_label(raw), count=1)
    numbers = _Numbering()
    return MARK.sub(
        lambda match: "".join(numbers.mark(n) for n in _known(match[1], num_passages)), whole
    ).lstrip()


def without_label(raw: str) -> str:
    """Small models repeat 答え: before their answer."""
    return _LABEL.sub("", raw, count=1)


def is_empty(raw: str) -> bool:
    """Whether there is nothing but marks."""
    return not MARK.sub("", raw).strip(_QUOTES)


def says_nothing(raw: str, nothing: str) -> bool:
    """Whether the model answers that the passages do not say it, or nothing at all.

    In the words that it was given, or in its own, in either language.
    """
    said = MARK.sub("", raw).strip(_QUOTES)
    return is_empty(raw) or said == nothing.strip(_QUOTES) or bool(_NOTHING_SAID.fullmatch(said))


def cited(raw: str, passages: Sequence[NumberedPassage], question: str = "") -> CitedText:
    """The text with its marks, and what each of its sentences rests on.

    A sentence without a mark gets those of the passages in which its words are found; where one
    word stands in several, that of the passage that speaks of the question.
    """
    bare, marks = _without_marks(without_label(raw).strip(), len(passages))
    ranges = sentence_ranges(bare, is_wrapped=False)
    starts = [start for start, _ in ranges]
    marks_of: dict[int, list[_Mark]] = defaultdict(list)
    for mark in marks if ranges else ():
        placed = replace(mark, leads=mark.leads or mark.at <= starts[0])
        marks_of[_sentence_of(placed, starts)].append(placed)
    reader = SentenceReader(passages, question)
    text, numbers = _Inserted(bare), _Numbering()
    read = []
    for index, (start, end) in enumerate(ranges):
        own = marks_of[index]
        found = reader.read(bare[start:end], [mark.number for mark in own])
        read.append((start, end, found))
        body = bare[start:end].rstrip(_STOPS) or bare[start:end]
        behind = [mark for mark in own if not mark.leads]
        for mark in behind:
            text.insert(mark.at, numbers.mark(mark.number))
        rest = [mark.number for mark in own if mark.leads]
        rest += [window.passage.number for window, is_marked in found.windows if not is_marked]
        for number in dict.fromkeys(rest):
            text.insert(behind[-1].at if behind else start + len(body), numbers.mark(number))
    renumbered = {old.number: replace(old, number=numbers.of(old.number)) for old in passages}
    sentences = [
        CitedSentence(
            text.place(start),
            text.place(end),
            tuple(
                (replace(window, passage=renumbered[window.passage.number]), is_marked)
                for window, is_marked in found.windows
            ),
            text.moved(found.flags, start),
        )
        for start, end, found in read
    ]
    return CitedText(str(text), tuple(sentences), tuple(renumbered.values()))


class _Numbering:
    """Numbers for marks: 1 for the passage that is cited first, and so on."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def of(self, number: int) -> int:
        return self._numbers.setdefault(number, len(self._numbers) + 1)

    def mark(self, number: int) -> str:
        return f"[{self.of(number)}]"


@dataclass(frozen=True, slots=True)
class _Mark:
    at: int  # in the text without marks
    number: int  # of the passage
    leads: bool  # it stands at the beginning of a line, before its sentence


def _sentence_of(mark: _Mark, starts: Sequence[int]) -> int:
    """Between two sentences it belongs to the first, unless it leads the second."""
    if mark.leads:
        return min(bisect_left(starts, mark.at), len(starts) - 1)
    return max(0, bisect_left(starts, mark.at) - 1)


class _Inserted:
    """A text with marks put into it, and where its characters are then."""

    def __init__(self, bare: str) -> None:
        self._bare = bare
        self._at: list[int] = []
        self._shift: list[int] = [0]  # before each of them, and behind the last
        self._parts: list[str] = []
        self._position = 0

    def insert(self, at: int, mark: str) -> None:
        """Places never go back."""
        self._parts += [self._bare[self._position : at], mark]
        self._position = at
        self._at.append(at)
        self._shift.append(self._shift[-1] + len(mark))

    def place(self, at: int) -> int:
        """Behind the marks that stand there: they belong to what is before."""
        return at + self._shift[bisect_right(self._at, at)]

    def moved(self, flags: Sequence[Flag], offset: int) -> tuple[Flag, ...]:
        moved = []
        for flag in flags:
            start = self.place(offset + flag.start)
            last = self.place(offset + max(flag.start, flag.end - 1))
            moved.append(Flag(flag.kind, flag.text, start, last + (flag.end > flag.start)))
        return tuple(moved)

    def __str__(self) -> str:
        return "".join((*self._parts, self._bare[self._position :]))


def _without_marks(raw: str, num_passages: int) -> tuple[str, list[_Mark]]:
    """The text without marks, and those of passages that were given."""
    bare, marks = "", list[_Mark]()
    position, leads = 0, False
    for match in MARK.finditer(raw):
        bare += raw[position : match.start()]
        if position < match.start() or not position:
            space = raw[match.start() : match.start(1)].partition("[")[0]
            rest = raw[match.end() :].partition("\n")[0]
            leads = ("\n" in space or not match.start()) and bool(MARK.sub("", rest).strip())
            bare += space if leads else ""
        marks += [_Mark(len(bare), number, leads) for number in _known(match[1], num_passages)]
        position = match.end()
    return bare + raw[position:], marks


def _known(numbers: str, num_passages: int) -> list[int]:
    found = (int(number) for number in re.findall(r"\d+", numbers))
    return [number for number in found if 1 <= number <= num_passages]
