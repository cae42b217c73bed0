"""Salience: how much of a text's point each of its sentences carries. Pure; asks no model.

Centrality (words that the rest of the text shares, weighted by how rare they are), and signs that
a writer leaves: conclusions, decisions, negations and numbers count more, greetings and procedure
less. Known limit: signs are words, so irony and quoted speech are taken as they stand.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

from webui.text.facts import names_in, numbers_in
from webui.text.features import features
from webui.text.language import main_language

_CONCLUSION = re.compile(
    "結論|結果|要するに|つまり|したがって|よって|以上(?:から|より)|明らかにな|判明|示唆|示した|示され"
    "|最も|最大|最多|初めて|初の|唯一|原因|理由|ため、|によって|目的|特徴|に至った|となった"
    r"|\b(?:conclu|therefore|thus|result|find|found|show|outperform|propose|because|first|most)\w*",
    re.IGNORECASE,
)
_DECISION = re.compile(
    "決定|決議|決ま|決めた|承認|可決|否決|了承|合意|採用|中止|延期|廃止|義務|禁止|期限|までに|担当"
    "|することとする|することにな|ことにした|見直|変更"
    r"|\b(?:decid|decision|agreed|approv|reject|deadline|due|must|shall)\w*",
    re.IGNORECASE,
)
_DECIDED = re.compile(  # what was decided, said as such: no date or number weighs more
    "ことに(?:決定|決め|決ま)|(?:決定|可決|否決|決議|議決|承認|了承|採択)(?:する|した|します|しました|された)"
    r"|\b(?:decided|resolved|approved|rejected|adopted|agreed) (?:to|that|by|on)\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"ない|なかった|ず、|せず|禁じ|不可|失敗|\b(?:not|no|never|cannot|fail\w*)\b"
)
_PROCEDURE = re.compile(
    "お願い(?:し|いた|申)|ありがとう|お疲れ|おはよう|こんにちは|お忙しい|それでは|開会|閉会|司会|定刻"
    "|説明をお願い|以下(?:に|の通り)|次(?:に|の)(?:通り|議題)|参照|後述|前述|例えば|たとえば"
    r"|\b(?:thank|welcome|hello|please see|see also|for example|as follows)\b",
    re.IGNORECASE,
)
_LEANING = re.compile("^(?:これ|それ|この|その|そこ|ここ|彼|また、|なお、|ただし|一方)")
_DANGLING = re.compile("[「（(]$|[：:]$")
NUMBER, NAME, SIGN, NEGATION, PROCEDURE, LEANING = 0.16, 0.06, 0.14, 0.07, -0.3, -0.08
DECIDED = 0.3
FULL_CHARS = 24  # a shorter sentence says less


def saliences(sentences: Sequence[str]) -> list[float]:
    """For each sentence about 0 (says nothing) to 2: comparable within one text."""
    bags = [features(sentence) for sentence in sentences]
    frequency = Counter(word for bag in bags for word in bag)
    total = len(sentences) + 1
    weight = {
        word: math.log(1 + count) * math.log(1 + total / count) for word, count in frequency.items()
    }
    raw = [sum(weight[word] for word in bag) / math.sqrt(len(bag) + 8) for bag in bags]
    most = max(raw, default=0.0) or 1.0
    return [
        max(0.0, value / most + _signs(sentence)) * min(1.0, len(sentence) / FULL_CHARS)
        for value, sentence in zip(raw, sentences, strict=True)
    ]


def _signs(sentence: str) -> float:
    language = main_language(sentence)
    score = min(3, len(numbers_in(sentence))) * NUMBER
    score += min(3, len(names_in(sentence, language))) * NAME
    score += SIGN * (bool(_CONCLUSION.search(sentence)) + 2 * bool(_DECISION.search(sentence)))
    score += DECIDED * bool(_DECIDED.search(sentence))
    score += NEGATION * bool(_NEGATION.search(sentence))
    score += PROCEDURE * bool(_PROCEDURE.search(sentence) or _DANGLING.search(sentence))
    return score + LEANING * bool(_LEANING.search(sentence))
