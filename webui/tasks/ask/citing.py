"""A model's text → the answer as it is shown, its citations and its flags. Pure.

Marks such as [2] are kept only for passages that the model was given. Every sentence is compared
with the passages: what it cites is found there or not, and what it does not cite may be.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from webui.tasks.ask.result import NumberedPassage
from webui.text.features import features
from webui.text.grounding import Aligner, Flag, FlagKind
from webui.text.splitter import sentence_ranges

MARK = re.compile(r"\s*\[\s*(\d{1,2}(?:\s*[,、]\s*\d{1,2})*)\s*\]")
_HALF_MARK = re.compile(r"\s*(?:\[[\s\d,、]{0,40})?\Z")
_STOPS = "。．.!！?？"
_QUOTES = "「」『』\"' 　\n。."
_NOT_SUPPORTED = {FlagKind.UNSUPPORTED, FlagKind.UNALIGNED}
WRONG_MARK = 0.25  # by this much better than what it marked is what the sentence really rests on
MAX_CITATIONS = 200


@dataclass(frozen=True, slots=True)
class Window:
    """Characters [start, end) of a passage that a sentence of the answer rests on."""

    passage: NumberedPassage
    start: int
    end: int
    score: float

    @property
    def quote(self) -> str:
        return self.passage.text[self.start : self.end]


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
    if nothing.startswith(raw.strip()):
        return ""
    whole = _HALF_MARK.sub("", raw, count=1)
    return MARK.sub(lambda match: _marks(_known(match[1], num_passages)), whole).lstrip()


def is_empty(raw: str) -> bool:
    """Whether there is nothing but marks."""
    return not MARK.sub("", raw).strip(_QUOTES)


def says_nothing(raw: str, nothing: str) -> bool:
    """Whether the model answers that the passages do not say it, or nothing at all."""
    return is_empty(raw) or MARK.sub("", raw).strip(_QUOTES) == nothing.strip(_QUOTES)


def cited(raw: str, passages: Sequence[NumberedPassage]) -> tuple[str, list[CitedSentence]]:
    """The text with its marks, and what each of its sentences rests on.

    A sentence without a mark gets those of the passages in which its words are found.
    """
    bare, marks = _without_marks(raw.strip(), len(passages))
    ranges = sentence_ranges(bare, is_wrapped=False)
    starts = [start for start, _ in ranges]
    marks_of: dict[int, list[_Mark]] = defaultdict(list)
    for mark in marks if ranges else ():
        placed = replace(mark, leads=mark.leads or mark.at <= starts[0])
        marks_of[_sentence_of(placed, starts)].append(placed)
    reader = _Reader(passages)
    text = _Inserted(bare)
    read = []
    for index, (start, end) in enumerate(ranges):
        windows, flags = reader.read(bare[start:end], [mark.number for mark in marks_of[index]])
        read.append((start, end, windows, flags))
        body = bare[start:end].rstrip(_STOPS) or bare[start:end]
        behind = [mark for mark in marks_of[index] if not mark.leads]
        for mark in behind:
            text.insert(mark.at, f"[{mark.number}]")
        numbers = [mark.number for mark in marks_of[index] if mark.leads]
        numbers += [window.passage.number for window, is_marked in windows if not is_marked]
        for number in dict.fromkeys(numbers):
            text.insert(behind[-1].at if behind else start + len(body), f"[{number}]")
    sentences = [
        CitedSentence(text.place(start), text.place(end), windows, text.moved(flags, start))
        for start, end, windows, flags in read
    ]
    return str(text), sentences


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


class _Reader:
    """Compares sentences with the passages."""

    def __init__(self, passages: Sequence[NumberedPassage]) -> None:
        self._passages = {passage.number: passage for passage in passages}
        self._places = [
            (passage, start, end)
            for passage in passages
            for start, end in sentence_ranges(passage.text, is_wrapped=False)
        ]
        self._aligner = Aligner([p.text[start:end] for p, start, end in self._places])
        self._single: dict[int, tuple[Aligner, list[tuple[NumberedPassage, int, int]]]] = {}

    def read(
        self, sentence: str, marked: Sequence[int]
    ) -> tuple[tuple[tuple[Window, bool], ...], tuple[Flag, ...]]:
        """Its windows, each with whether the model marked it, and its flags."""
        if not features(sentence):  # はい。 says nothing that could be looked up
            return tuple((self._in(number, sentence), True) for number in marked), ()
        grounded = self._aligner.ground(sentence)
        windows = [(self._in(number, sentence), True) for number in dict.fromkeys(marked)]
        least = max((window.score + WRONG_MARK for window, _ in windows), default=0.0)
        if not _NOT_SUPPORTED & {flag.kind for flag in grounded.flags}:
            found = (Window(*self._places[s.index], s.score) for s in grounded.sources)
            windows += [
                (window, False)
                for window in found
                if window.score >= least and window.passage.number not in marked
            ]
        return tuple(windows), grounded.flags

    def _in(self, number: int, sentence: str) -> Window:
        """The best window of one passage; all of it, with 0, when nothing in it compares."""
        if number not in self._single:
            places = [place for place in self._places if place[0].number == number]
            self._single[number] = (Aligner([p.text[a:b] for p, a, b in places]), places)
        aligner, places = self._single[number]
        sources = aligner.ground(sentence).sources
        if not sources:
            passage = self._passages[number]
            return Window(passage, 0, len(passage.text), 0.0)
        return Window(*places[sources[0].index], sources[0].score)


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


def _marks(numbers: Sequence[int]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def _known(numbers: str, num_passages: int) -> list[int]:
    found = (int(number) for number in re.findall(r"\d+", numbers))
    return [number for number in found if 1 <= number <= num_passages]
