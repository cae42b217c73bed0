"""Answers in the passages' own words: which sentences answer a question, and the grammar of them.

For models too small to write an answer, or to look one up: the sentence that shares most of the
question's words is quoted. With three passages each, 600 questions of held-out articles: .75 get
the answering sentence, .82 of those without an answer get silence (docs/log.md). Knows no models.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from webui.strings import Language, text
from webui.tasks.ask.result import NumberedPassage
from webui.text.features import features
from webui.text.splitter import sentence_ranges

MIN_SHARE = 0.18  # of the question's words, rare ones counting more
SURE_SHARE = 0.55  # so much is said by its answer even where the model sees none
CARD_SHARE = 0.5
MAX_CARD_CHARS = 200
MAX_CHARS = 400
_WHO = re.compile(r"誰|だれ|どなた|どの(?:人|方|資料|ファイル)|\bwho\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quote:
    number: int  # of the passage
    sentence: str  # in one line
    share: float  # 0..1: how much of the question it has


def best_quotes(question: str, passages: Sequence[NumberedPassage], limit: int = 1) -> list[Quote]:
    """The sentences that have most of the question, best first; none where none has enough."""
    sentences = [
        (passage.number, line)
        for passage in passages
        for start, end in sentence_ranges(passage.text)
        if (line := _one_line(passage.text[start:end])).isprintable() and len(line) <= MAX_CHARS
    ]
    bags = [features(sentence) for _, sentence in sentences]
    counts = Counter(word for bag in bags for word in bag)
    asked = features(question)
    weight = {word: math.log(1 + len(bags) / (0.5 + counts[word])) for word in asked}
    total = sum(weight.values()) or 1.0
    quotes = [
        Quote(number, sentence, sum(weight[word] for word in asked & bag) / total)
        for (number, sentence), bag in zip(sentences, bags, strict=True)
    ]
    enough = [quote for quote in quotes if quote.share >= MIN_SHARE]
    return sorted(enough, key=lambda quote: -quote.share)[:limit]


def quoted_answer(question: str, passages: Sequence[NumberedPassage], language: Language) -> str:
    """The passages' own words, for where a model finds nothing; "" where that may be right.

    A sentence that has most of the question; or, asked who it is, a card: a short text whose file
    is called what it is about, which small models do not see.
    """
    quotes = best_quotes(question, passages)
    if quotes and quotes[0].share >= SURE_SHARE:
        sentence = quotes[0].sentence.rstrip("。．. ")
        return text("ask.quoted", language, quote=sentence, mark=f"[{quotes[0].number}]")
    card = max(passages, key=lambda passage: passage.relevance, default=None)
    if card is None or not _WHO.search(question) or len(card.text) > MAX_CARD_CHARS:
        return ""
    if card.relevance < CARD_SHARE or _num_like(card, passages) > 1:
        return ""
    return text(
        "ask.quoted_card",
        language,
        file=_one_line(card.file),
        quote=_one_line(card.text).rstrip("。．. "),
        mark=f"[{card.number}]",
    )


def _num_like(card: NumberedPassage, passages: Sequence[NumberedPassage]) -> int:
    return sum(passage.relevance == card.relevance for passage in passages)


def quotes_grammar(quotes: Sequence[Quote]) -> str:
    """One of the quotes with its number, as an answer that cites is written."""
    options = (f"{quote.sentence}[{quote.number}]" for quote in quotes)
    return "root ::= " + " | ".join(map(_literal, options))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
