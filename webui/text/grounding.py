"""Grounding: which source sentences support a statement, and what in it they do not say.

By alignment of words, numbers and names, not by asking a model; what is found by meaning comes
from outside. It shows where a statement could come from and flags what is not there; it can never
show that a statement is true. Known limits: a flipped negation is only hinted at, a wrong verb is
not seen, roles are told only by particles.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from webui.strings import Language
from webui.text.facts import Name, Number, names_in, numbers_in, squeezed, topics_in
from webui.text.features import features
from webui.text.language import has_kanji, main_language

MAX_SOURCES = 3
MIN_GAIN = 0.15  # of the statement's weight that a further sentence must add
MIN_SHARE = 0.4  # of the statement's words that its sources must have
MIN_SOURCE_SCORE = 0.1
FACT_WEIGHT = 2.5  # of a number or a Latin name against a pair of characters
NEIGHBOURS = 1  # sentences around a source in which a name may stand
RARE_SHARE = 0.34  # of the sentences: a name in more of them is a topic
_NEGATION = re.compile("ない|なかっ|なく|ず、|ぬ。|なし|ません|不可|禁止")
_CLAUSE_END = re.compile("[、，。；;]|,(?![0-9])")
_PASSIVE = re.compile("れる|れた|れて|れま")


class FlagKind(StrEnum):
    NUMBER = "number"  # not in the supporting sentences
    NAME = "name"  # nowhere in the source
    ELSEWHERE = "elsewhere"  # in the source, but not where the support is
    SUBJECT = "subject"  # the source says it of another one
    NEGATION = "negation"  # a hint only
    UNSUPPORTED = "unsupported"  # few of its words are in any sentence
    UNALIGNED = "unaligned"  # another language and nothing to compare by
    SHORTENED = "shortened"  # a sentence of the source, made shorter: no doubt, but no summary


@dataclass(frozen=True, slots=True)
class Flag:
    """Characters [start, end) of the statement."""

    kind: FlagKind
    text: str
    start: int
    end: int


By = Literal["words", "meaning", "given"]  # given: the bullet was written of it


@dataclass(frozen=True, slots=True)
class Support:
    index: int  # of the sentence
    score: float  # share of the statement found there, or how far it stands out; 0..1, 0: unknown
    by: By = "words"


@dataclass(frozen=True, slots=True)
class Grounding:
    sources: tuple[Support, ...]  # the best first
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class _Sentence:
    features: frozenset[str]
    numbers: tuple[Number, ...]
    names: tuple[Name, ...]
    squeezed: str


class Aligner:
    """The sentences of one source, ready for any number of statements."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self._texts = list(sentences)
        self.language = main_language("\n".join(sentences))
        self._sentences = [_read(text, self.language) for text in sentences]
        self._whole = squeezed("".join(self._texts))
        self._index: dict[str, list[int]] = defaultdict(list)
        for number, sentence in enumerate(self._sentences):
            for feature in sentence.features:
                self._index[feature].append(number)

    def text(self, index: int) -> str:
        """One of the sentences."""
        return self._texts[index]

    def is_quotation(self, statement: str) -> bool:
        return statement in self._texts

    def ground(
        self, statement: str, near: Sequence[Support] = (), within: range | None = None
    ) -> Grounding:
        """The sentences that support `statement`, and what they do not say.

        `near`: those that support it otherwise. They come first, and no word of them is missed.
        `within`: the sentences that it can only be of.
        """
        language = self._language_of(statement)
        among = range(len(self._texts)) if within is None else within
        exact = next((i for i in among if self._texts[i] == statement), None)
        if exact is not None:
            return Grounding((Support(exact, 1.0),), ())
        weights = self._weights(statement, language)
        by_words, share = self._support(weights, among)
        known = {support.index for support in near}
        more = [support for support in by_words if support.index not in known]
        sources = [*near, *more][:MAX_SOURCES]
        if not sources:
            kind = FlagKind.UNSUPPORTED if language is self.language else FlagKind.UNALIGNED
            return Grounding((), (*self._flags(statement, language, []), _whole(kind, statement)))
        flags = self._flags(statement, language, [source.index for source in sources])
        if share < MIN_SHARE and language is self.language and not near:
            flags.append(_whole(FlagKind.UNSUPPORTED, statement))
        return Grounding(tuple(sources), tuple(sorted(flags, key=lambda flag: flag.start)))

    def _language_of(self, statement: str) -> Language:
        """A short answer of kanji alone, such as 薬剤師, is Japanese where its source is."""
        has_latin = any(char.isascii() and char.isalpha() for char in statement)
        if self.language is Language.JA and has_kanji(statement) and not has_latin:
            return Language.JA
        return main_language(statement)

    # --- support ---------------------------------------------------------------------------------

    def _weights(self, statement: str, language: Language) -> dict[str, float]:
        """What the statement is made of. Across languages only numbers and Latin words compare."""
        read = _read(statement, language)
        total = len(self._texts) + 1
        weights = {}
        for feature in read.features:
            if language is not self.language and not feature.isascii():
                continue
            rarity = math.log(total / (len(self._index.get(feature, ())) + 0.5))
            is_fact = feature.isascii() and (language is Language.JA or feature[0] == "#")
            weights[feature] = max(0.2, rarity) * (FACT_WEIGHT if is_fact else 1.0)
        return weights

    def _support(self, weights: dict[str, float], among: range) -> tuple[list[Support], float]:
        """Greedy: the sentence that says most, then those that add something.

        And their share of the words; missing numbers have flags of their own.
        """
        total = sum(weights.values())
        candidates: Counter[int] = Counter()
        for feature, weight in weights.items():
            for number in filter(among.__contains__, self._index.get(feature, ())):
                candidates[number] += weight  # type: ignore[assignment]  # weights are floats
        chosen: list[int] = []
        covered: set[str] = set()
        while len(chosen) < MAX_SOURCES and candidates:
            best, gain = -1, 0.0
            for number, most in candidates.most_common(200):
                if number in chosen or most <= gain:
                    continue
                new = self._sentences[number].features - covered
                value = sum(weights[f] for f in new if f in weights)
                value *= 1.02 if any(abs(number - other) == 1 for other in chosen) else 1.0
                if value > gain + 1e-9:
                    best, gain = number, value
            if best < 0 or gain < (MIN_GAIN if chosen else MIN_SOURCE_SCORE) * total:
                break
            chosen.append(best)
            covered |= self._sentences[best].features
        words = {f: w for f, w in weights.items() if not f.startswith("#") or f in covered}
        share = sum(weight for feature, weight in words.items() if feature in covered)
        scores = [(number, candidates[number] / total) for number in chosen]
        sources = [Support(number, round(min(1.0, score), 3)) for number, score in scores]
        return sources, share / sum(words.values()) if words else 1.0

    # --- flags -----------------------------------------------------------------------------------

    def _flags(self, statement: str, language: Language, sources: list[int]) -> list[Flag]:
        read = _read(statement, language)
        said = [number for index in sources for number in self._sentences[index].numbers]
        flags = [
            _flag(FlagKind.NUMBER, statement, number)
            for number in read.numbers
            if not any(number.is_stated_by(other) for other in said)
        ]
        names = self._checkable(read.names, language)
        flags += self._name_flags(statement, names, sources)
        flagged = {flag.start for flag in flags}
        for name in self._misattributed(statement, read, names, sources):
            if name.start not in flagged:
                flagged.add(name.start)
                flags.append(_flag(FlagKind.SUBJECT, statement, name))
        if language is self.language is Language.JA and sources:
            flags += self._negation_hint(statement, sources[0])
        return flags

    def _checkable(self, names: Sequence[Name], language: Language) -> list[Name]:
        """Across languages a name can be compared only where it stays as it is written."""
        if language is self.language:
            return list(names)
        return [name for name in names if name.text.isascii()]

    def _name_flags(
        self, statement: str, names: Sequence[Name], sources: Sequence[int]
    ) -> list[Flag]:
        near = {n for s in sources for n in range(s - NEIGHBOURS, s + NEIGHBOURS + 1)}
        flags = []
        for name in names:
            homes = self._homes(name)
            if not homes and not self._is_anywhere(name):
                flags.append(_flag(FlagKind.NAME, statement, name))
            elif homes and not homes & near and self._is_rare(name, homes):
                flags.append(_flag(FlagKind.ELSEWHERE, statement, name))
        return flags

    def _is_rare(self, name: Name, homes: set[int]) -> bool:
        """Katakana are mostly common words; a name in many sentences is a topic."""
        is_katakana = "\u30a1" <= name.text[0] <= "\u30fa"
        return not is_katakana and len(homes) <= RARE_SHARE * len(self._texts) + 1

    def _homes(self, name: Name) -> set[int]:
        """The sentences that have all words of the name."""
        words = [squeezed(word) for word in name.text.split()]
        return {
            number
            for number, sentence in enumerate(self._sentences)
            if name.key in sentence.squeezed or all(word in sentence.squeezed for word in words)
        }

    def _is_anywhere(self, name: Name) -> bool:
        return all(squeezed(word) in self._whole for word in name.text.split())

    def _misattributed(
        self, statement: str, read: _Sentence, names: list[Name], sources: list[int]
    ) -> list[Name]:
        """Names that the statement binds to a number or a role which is another one's."""
        topics = topics_in(statement)
        found = []
        for number in read.numbers:
            owner, topic = _owner(statement, number, names), _owner(statement, number, topics)
            if owner and self._is_anothers(owner, number, is_proper=True):
                found.append(owner)
            elif topic and self._is_anothers(topic, number, is_proper=False):
                found.append(topic)
        if self.language is Language.JA:
            found += [n for n in names if self._has_other_role(statement, n, names, sources)]
        return found

    def _is_anothers(self, name: Name, number: Number, *, is_proper: bool) -> bool:
        """Every sentence with this number gives it to somebody else."""
        homes = [
            index
            for index, sentence in enumerate(self._sentences)
            if any(number.is_stated_by(other) for other in sentence.numbers)
        ]
        name_homes = self._homes(name)
        if not homes or not name_homes:
            return False
        if not is_proper and not all(index in name_homes for index in homes):
            return False  # a common word may be left out of a sentence
        return all(
            self._gives_to_other(index, name, number, is_proper=is_proper)
            if index in name_homes
            else bool(self._sentences[index].names) or index - 1 not in name_homes
            for index in homes
        )

    def _gives_to_other(self, index: int, name: Name, number: Number, *, is_proper: bool) -> bool:
        """In a sentence that has both: the number is another's, and `name` has its own."""
        sentence, text = self._sentences[index], self._texts[index]
        candidates = sentence.names if is_proper else topics_in(text)
        owners = {
            (other.value, other.unit): owner.key
            for other in sentence.numbers
            if (owner := _owner(text, other, candidates))
        }
        own = next(o for o in sentence.numbers if number.is_stated_by(o))
        actual = owners.pop((own.value, own.unit), None)
        is_anothers = actual is not None and not _alike(actual, name.key)
        return is_anothers and any(_alike(key, name.key) for key in owners.values())

    def _has_other_role(
        self, statement: str, name: Name, names: Sequence[Name], sources: Sequence[int]
    ) -> bool:
        """Subject here and object there, while the subject there is an object here."""
        if not sources or _role(statement, name) != "subject" or _PASSIVE.search(statement):
            return False
        best = self._texts[sources[0]]
        if _PASSIVE.search(best):
            return False
        roles = {other.key: _role(best, other) for other in self._sentences[sources[0]].names}
        if roles.get(name.key) != "object":
            return False
        return any(
            roles.get(other.key) == "subject" and _role(statement, other) == "object"
            for other in names
        )

    def _negation_hint(self, statement: str, source: int) -> list[Flag]:
        found = list(_NEGATION.finditer(statement))
        num_there = len(_NEGATION.findall(self._texts[source]))
        if len(found) % 2 == num_there % 2:
            return []
        if not found:
            return [_whole(FlagKind.NEGATION, statement)]
        return [Flag(FlagKind.NEGATION, found[-1][0], *found[-1].span())]


def _read(text: str, language: Language) -> _Sentence:
    numbers = tuple(numbers_in(text, spelled=True))
    names = tuple(names_in(text, language))
    facts = {f"#{number.value.normalize():f}" for number in numbers}
    words = {feature for feature in features(text) if not feature.isdigit()}
    return _Sentence(frozenset(words | facts), numbers, names, squeezed(text))


def _owner(text: str, number: Number, names: Sequence[Name]) -> Name | None:
    """Whose number this is: the last name before it in its clause, else before it, else after."""
    clause = max((m.end() for m in _CLAUSE_END.finditer(text, 0, number.start)), default=0)
    names = sorted(names, key=lambda name: (name.start, name.end))
    before = [name for name in names if name.end <= number.start]
    inside = [name for name in before if name.start >= clause]
    after = [name for name in names if name.start >= number.end]
    return next(iter([*inside[-1:], *before[-1:], *after[:1]]), None)


def _role(text: str, name: Name) -> str:
    particle = text[name.end : name.end + 1]
    if particle in ("は", "が", "も"):
        return "subject"
    return "object" if particle in ("を", "に", "へ") else ""


def _alike(key: str, other: str) -> bool:
    return key == other or key in other or other in key


def _flag(kind: FlagKind, statement: str, fact: Number | Name) -> Flag:
    return Flag(kind, statement[fact.start : fact.end].strip(), fact.start, fact.end)


def _whole(kind: FlagKind, statement: str) -> Flag:
    return Flag(kind, statement, 0, len(statement))
