"""What a sentence of an answer rests on among the passages, and which of its words none has. Pure.

A passage speaks with its text, and with the name of its file and its heading: whose number this is
may stand only there. Knows nothing about marks in a text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from webui.tasks.ask.result import NumberedPassage
from webui.text.facts import numbers_in
from webui.text.features import features, normal
from webui.text.grounding import Aligner, Flag, FlagKind
from webui.text.splitter import sentence_ranges

WRONG_MARK = 0.25  # by this much better than what it marked is what the sentence really rests on
MAX_SHORT_CHARS = 40  # an answer of a word or two is looked for as it stands
_NOT_SUPPORTED = {FlagKind.UNSUPPORTED, FlagKind.UNALIGNED}
_OF_NAMES = {FlagKind.NAME, FlagKind.ELSEWHERE, FlagKind.SUBJECT}
_COPULA = re.compile(
    r"(?:です|でした|である|であった|だ|だった|になります|となります)?[。．.!！]*$"
)
_QUOTES = "「」『』\"'“” \u3000"
_HIRAGANA = re.compile(r"[\u3041-\u309fー]+")


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
class Compared:
    windows: tuple[tuple[Window, bool], ...]  # and whether the model marked it itself
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A sentence of a passage; or its head, which shows the first sentence."""

    passage: NumberedPassage
    start: int
    end: int
    text: str

    def window(self, score: float) -> Window:
        return Window(self.passage, self.start, self.end, score)


class SentenceReader:
    """Compares sentences with the passages that were given for a question."""

    def __init__(self, passages: Sequence[NumberedPassage], question: str = "") -> None:
        self._passages = {passage.number: passage for passage in passages}
        self._places = [place for passage in passages for place in _places_of(passage)]
        self._aligner = Aligner([place.text for place in self._places])
        self._squeezed = [_plain(place.text) for place in self._places]
        self._question, self._asked = _plain(question), features(question)
        self._single: dict[int, tuple[Aligner, list[_Place]]] = {}

    def read(self, sentence: str, marked: Sequence[int]) -> Compared:
        """Its windows, and its flags with places in the sentence."""
        marked = list(dict.fromkeys(marked))
        word = self._as_it_stands(sentence, marked)
        if word is not None:
            is_marked = word.passage.number in marked
            others = [number for number in marked if number != word.passage.number]
            kept = [(self._in(number, sentence), True) for number in others]
            return Compared(((word, is_marked), *kept), ())
        if not features(sentence):  # はい。 says nothing that could be looked up
            return Compared(tuple((self._in(number, sentence), True) for number in marked), ())
        grounded = self._aligner.ground(sentence)
        windows = [(self._in(number, sentence), True) for number in marked]
        least = max((window.score + WRONG_MARK for window, _ in windows), default=0.0)
        if not _NOT_SUPPORTED & {flag.kind for flag in grounded.flags}:
            found = (self._places[s.index].window(s.score) for s in grounded.sources)
            windows += [
                (window, False)
                for window in found
                if window.score >= least and window.passage.number not in marked
                if _shares_words(sentence, window.quote + _head(window.passage))
            ]
        flags = (f for f in grounded.flags if not self._is_false(f, [w for w, _ in windows]))
        return Compared(tuple(windows), tuple(flags))

    def _as_it_stands(self, sentence: str, marked: Sequence[int]) -> Window | None:
        """Where a short answer stands word for word: the place that has most of the question.

        What the model marked is believed where it has the words, unless another place says clearly
        more of the question.
        """
        word = _plain(_COPULA.sub("", sentence.strip(_QUOTES)).strip(_QUOTES))
        if not word or len(word) > MAX_SHORT_CHARS or _is_grammar(word):
            return None
        pattern = _whole_number(word)
        homes = [i for i, said in enumerate(self._squeezed) if pattern.search(said)]
        if not homes:
            return None
        shares = {i: self._share_of_question(i) for i in homes}
        own = [i for i in homes if self._places[i].passage.number in marked]
        best = max(homes, key=lambda i: (shares[i], -i))
        if own:
            ours = max(own, key=lambda i: (shares[i], -i))
            best = best if shares[best] >= shares[ours] + WRONG_MARK else ours
        return self._places[best].window(1.0)

    def _share_of_question(self, index: int) -> float:
        """Of a place with its neighbours, which often name what it is about."""
        if not self._asked:
            return 0.0
        near = self._places[max(0, index - 1) : index + 2]
        whole = features(
            "\n".join(p.text for p in near if p.passage is self._places[index].passage)
        )
        own = features(self._places[index].text)
        return (len(self._asked & own) + len(self._asked & whole)) / (2 * len(self._asked))

    def _is_false(self, flag: Flag, windows: Sequence[Window]) -> bool:
        """Whether what is flagged stands in a passage that is cited, or is the question's word."""
        if flag.kind is FlagKind.UNALIGNED:
            return bool(windows)  # the model's own mark is all there is
        cited = ["\n".join((w.passage.file, _head(w.passage), w.passage.text)) for w in windows]
        if flag.kind in _OF_NAMES:
            word = _plain(flag.text)
            return word in self._question or any(word in _plain(text) for text in cited)
        if flag.kind is FlagKind.NUMBER:
            said = [number for text in cited for number in numbers_in(text, spelled=True)]
            own = numbers_in(flag.text, spelled=True)
            return bool(own) and all(any(n.is_stated_by(other) for other in said) for n in own)
        return False

    def _in(self, number: int, sentence: str) -> Window:
        """The best window of one passage; all of it, with 0, when nothing in it compares."""
        if number not in self._single:
            places = [place for place in self._places if place.passage.number == number]
            self._single[number] = (Aligner([place.text for place in places]), places)
        aligner, places = self._single[number]
        sources = aligner.ground(sentence).sources
        if not sources:
            passage = self._passages[number]
            return Window(passage, 0, len(passage.text), 0.0)
        return places[sources[0].index].window(sources[0].score)


def _places_of(passage: NumberedPassage) -> list[_Place]:
    ranges = sentence_ranges(passage.text, is_wrapped=False)
    places = [_Place(passage, start, end, passage.text[start:end]) for start, end in ranges]
    if places and (head := _head(passage)):
        places.append(_Place(passage, places[0].start, places[0].end, head))
    return places


def _head(passage: NumberedPassage) -> str:
    """The file's name without its kind, and the heading."""
    stem, dot, kind = passage.file.rpartition(".")
    name = stem if dot and len(kind) <= 8 else passage.file
    return f"{name} {passage.title}".strip()


def _shares_words(sentence: str, said: str) -> bool:
    """Numbers alone are no evidence: 一日 is not in 雨季の一種."""
    return bool({word for word in features(sentence) & features(said) if not word.isdigit()})


def _plain(text: str) -> str:
    """One width, one case, without spaces: 北野 みなと and 北野みなと are one name."""
    return "".join(normal(text).split())


def _is_grammar(word: str) -> bool:
    """Nothing that can be looked for: one kana, or a yes or no."""
    return word in ("はい", "いいえ", "yes", "no") or (
        len(word) < 2 and bool(_HIRAGANA.match(word))
    )


def _whole_number(word: str) -> re.Pattern[str]:
    """`word` where no digit goes on: 6 is not in 16."""
    before = r"(?<![0-9.,])" if word[0].isdigit() else ""
    after = r"(?![0-9]|[.,][0-9])" if word[-1].isdigit() else ""
    return re.compile(before + re.escape(word) + after)
