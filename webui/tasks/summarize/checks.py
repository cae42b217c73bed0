"""Checks of one bullet against its Span: what is wrong with it, if anything. Asks no model.

Everything that it says has to stand in one sentence of its Span and the one before it, so that no
two things are joined that the text does not join. Knows nothing about prompts or writing.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from itertools import pairwise

from webui.strings import Language
from webui.tasks.summarize.settings import BulletLimits
from webui.text.facts import names_in, numbers_in, topics_in
from webui.text.features import features, normal
from webui.text.grounding import Aligner, FlagKind
from webui.text.language import chinese_in, is_in, main_language
from webui.text.plain_form import is_polite

MIN_SUPPORT = 0.72  # of a bullet's words that a sentence of its Span must have
BEFORE = 0.5  # what a word counts that only the sentence before it has
MAX_FACTS = 5
BORDER_CHARS = 3  # of two sentences, which a bullet must not run together
DOUBLE = 0.5  # shared words of two bullets that say the same
DOUBLE_WITHIN = 0.75  # of the shorter one's

_CUT_JA = re.compile(
    r"(?:[、・をにがはへで「（(]|[^こもその]と|[^もそこな]の|という|による|ており|して)$"
)
_BEGUN_JA = re.compile("(?:という|といった|とともに|[、。）」を]|[はがにのでもと]、)")
_NOMINAL = re.compile(r"[一-龠々ァ-ヺーA-Za-z0-9%）)」』]$")
_HOLLOW = re.compile(
    "重要な役割|大きな影響|さまざまな|様々な|重要です|重要である|重要な(?:人物|存在|作品|都市|事件|文化)"
    "|として知られ|について(?:の文|述べ|説明|書かれ|まとめ)|この(?:文章|部分|記事|文)|要点"
)
_WORD = re.compile("[\u4e00-\u9fff々]{2,}|[\u30a1-\u30faー]{3,}|[a-z]{3,}|[0-9][0-9,.]*[0-9]")
_MARKS = re.compile(r"[\W_]")


class Fault(IntEnum):
    """The worse, the greater. From FACTS on a bullet is not shown."""

    NONE = 0
    STYLE = 1
    COPIED = 2
    NEGATION = 3
    MISSED = 4  # none of the numbers and names that carry the Span
    FACTS = 5  # a number, a name, or a tie between them that the Span does not have
    HOLLOW = 6  # says of every text what it says of this
    UNSUPPORTED = 7
    DOUBLE = 8
    CUT = 9
    CHINESE = 10
    LANGUAGE = 11


MAY_STAND = Fault.MISSED
_WORST_FLAGS = {
    FlagKind.NUMBER: Fault.FACTS,
    FlagKind.NAME: Fault.FACTS,
    FlagKind.ELSEWHERE: Fault.FACTS,
    FlagKind.SUBJECT: Fault.FACTS,
    FlagKind.UNSUPPORTED: Fault.UNSUPPORTED,
    FlagKind.NEGATION: Fault.NEGATION,
}


class SpanCheck:
    """`within`: the sentences of the Span; `others`: bullets that must not be said again; `facts`:
    numbers and names of which a bullet has one at least."""

    def __init__(
        self,
        aligner: Aligner,
        within: range,
        limits: BulletLimits,
        title: str = "",
        others: Sequence[str] = (),
        facts: Sequence[str] = (),
    ) -> None:
        self._aligner = aligner
        self._within = within
        self._limits = limits
        self._title_text = title
        self._title = features(title)
        self._others = others
        self._facts = [bare(fact) for fact in facts]
        self._texts = [aligner.text(index) for index in within]
        self._text = "\n".join(self._texts)
        self._bare = bare(self._text)
        self.is_foreign = main_language(self._text) is not limits.language
        self._bags = [features(text) for text in self._texts]

    def fault(self, bullet: str, *, is_whole: bool = True) -> Fault:
        """The worst that is wrong with it. `is_whole`: the model itself has ended it."""
        limits = self._limits
        if not is_in(limits.language, bullet):
            return Fault.LANGUAGE
        if limits.language is Language.JA and chinese_in(bullet, self._text):
            return Fault.CHINESE
        if not is_whole or self._is_cut(bullet):
            return Fault.CUT
        if any(is_double(bullet, other) for other in self._others):
            return Fault.DOUBLE
        return max(self._against_span(bullet), self._style(bullet))

    def _against_span(self, bullet: str) -> Fault:
        flags = self._aligner.ground(bullet, within=self._within).flags
        faults = [_WORST_FLAGS.get(flag.kind, Fault.NONE) for flag in flags]
        if any(hollow not in self._text for hollow in _HOLLOW.findall(bullet)):
            faults.append(Fault.HOLLOW)
        if self._misses(bullet):
            faults.append(Fault.MISSED)
        if not self.is_foreign:
            number, support = self.support(bullet)
            if support < MIN_SUPPORT:
                faults.append(Fault.UNSUPPORTED)
            elif self._is_tied_wrongly(bullet, number):
                faults.append(Fault.FACTS)
            if bare(bullet) in self._bare:
                faults.append(Fault.COPIED)
        return max(faults, default=Fault.NONE)

    def _misses(self, bullet: str) -> bool:
        """Whether no number came through, or no name where there are only names."""
        said = bare(bullet)
        numbers = [fact for fact in self._facts if fact[:1].isdigit()]
        return bool(self._facts) and not any(fact in said for fact in numbers or self._facts)

    def support(self, bullet: str) -> tuple[int, float]:
        """The sentence that has most of its words, and their share; the title has them too."""
        words = features(bullet) - self._title
        shares = [
            (len(words & bag) + BEFORE * len(words & before - bag)) / max(1, len(words))
            for before, bag in zip([set(), *self._bags], self._bags, strict=False)
        ]
        best = max(range(len(shares)), key=lambda index: shares[index])
        return best, shares[best]

    def _is_tied_wrongly(self, bullet: str, number: int) -> bool:
        """Whether it brings a word of another sentence of the Span into this one.

        A sentence without a subject takes it from the one before.
        """
        own = self._texts[number]
        first = number if topics_in(own) else max(0, number - 1)
        near = normal("".join(self._texts[first : number + 1]) + self._title_text)
        whole = normal(self._text)
        words = _WORD.findall(normal(bullet))
        return any(word not in near and word in whole for word in words)

    def _is_cut(self, bullet: str) -> bool:
        """Its end, its quotations or the border of two sentences got lost."""
        body = bullet.rstrip("。.")
        if any(body.count(a) != body.count(b) for a, b in ("「」", "（）", "『』", "()")):
            return True
        squeezed = bare(body)
        ends = [bare(text) for text in self._texts]
        borders = (a[-BORDER_CHARS:] + b[:BORDER_CHARS] for a, b in pairwise(ends))
        if any(len(border) == 2 * BORDER_CHARS and border in squeezed for border in borders):
            return True
        if self._limits.language is not Language.JA:
            return False
        return bool(_CUT_JA.search(body) or _BEGUN_JA.match(body))

    def _style(self, bullet: str) -> Fault:
        if self._limits.language is not Language.JA:
            return Fault.NONE
        is_odd = is_polite(bullet) or _NOMINAL.search(bullet.rstrip("。"))
        return Fault.STYLE if is_odd else Fault.NONE


def facts_of(sentence: str, language: Language) -> list[str]:
    """The numbers and names that a bullet about `sentence` is expected to keep, as written."""
    numbers = [sentence[n.start : n.end].strip() for n in numbers_in(sentence)]
    names = [name.text for name in names_in(sentence, language)]
    if language is Language.EN:
        names = [name for name in names if len(name) > 2]
    return list(dict.fromkeys([*numbers, *names]))[:MAX_FACTS]


def is_double(bullet: str, other: str) -> bool:
    """Whether two bullets say the same, by their words; other numbers are another thing."""
    ours, theirs = features(bullet), features(other)
    shared = len(ours & theirs)
    if not shared:
        return bullet == other
    numbers, others = ({n.value for n in numbers_in(text)} for text in (bullet, other))
    if not (numbers <= others or others <= numbers):
        return False
    smaller = min(len(ours), len(theirs))
    return shared >= DOUBLE * len(ours | theirs) or shared >= DOUBLE_WITHIN * smaller


def bare(text: str) -> str:
    """Letters and digits only: what a copy keeps."""
    return _MARKS.sub("", normal(text))
