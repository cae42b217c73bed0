"""A question that leans on the conversation → one that makes sense alone and can be searched for.

Rules say whether it leans at all; most do not, and then nothing is called. Large models rewrite it
in one short call; for small ones, and where the rewriting is no good, the last question is put in
front of it (measured in docs/decisions/0060). Knows no engine.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from webui.prompts.task_prompts import task_prompt
from webui.strings import Language
from webui.tasks.ask.searching import QuestionWords

MIN_PARAMS = 1_500_000_000  # smaller models lose the question more often than they mend it
MAX_TURNS = 3
MAX_CHARS = 300  # of each old answer, and of a question that was put together
MAX_TOKENS = 120
EARLY, FEW = 6, 7  # characters; things named
LONG_RUN = 5  # so many kanji name more than one thing

_POINTS_BACK = re.compile(
    "それ(?!ぞれ)|その(?!他|うち|まま)|そこ(?!そこ)|そちら|そう(?:です|いう|した|なる|すると)|そんな"
    "|これ(?!から|まで)|ここ(?!ろ)|こちら|あれ|あの|あそこ|彼女|彼(?=[はがのをにらも])|前者|後者"
    "|(?<!ど)この(?!資料|文書|文章|契約|ファイル|PDF|本|論文|規程|規則|規約|報告|会社|製品|法律|ほか|他)"
    "|上記|先ほど|さっき|ほかに|他に|もっと|さらに|続きを|詳しく|具体的に|例えば|たとえば"
    "|^(?:では|じゃあ?|なら|また|あと|そして)"
    r"|\b(?:it|its|they|them|their|that|those|these|he|she|him|his|her|former|latter|same|else)\b"
    r"|^(?:and|then|so|but|what about|how about)\b",
    re.IGNORECASE,
)
_CONTENT_RUN = re.compile(r"[一-龠々〆ヶ]+|[\u30a1-\u30faー]{2,}|[A-Za-z][A-Za-z0-9.+#'-]*|[0-9]+")
_EMPTY_WORDS = frozenset("場合 時 方 人 物 事 何 例 件 話 点 一 年 月 日".split())
_QUESTION_END = re.compile(r"[?？。．.!！\s]+$")


@dataclass(frozen=True, slots=True)
class PastTurn:
    """`question` as it was searched for, so that a chain of them keeps its subject."""

    question: str
    answer: str = ""


def leans_on_history(question: str, history: Sequence[PastTurn]) -> bool:
    """Whether the question cannot be understood without what was said before."""
    if not history:
        return False
    plain = question.strip()
    num_subjects = _num_subjects(plain)
    pointer = _POINTS_BACK.search(plain)
    # Far into a long question it mostly points to what the question itself has named.
    points_back = pointer is not None and (pointer.start() < EARLY or num_subjects <= FEW)
    return points_back or num_subjects <= 1


def joined(question: str, history: Sequence[PastTurn]) -> str:
    """The question behind the one before it: its words are searched for, too."""
    previous = history[-1].question.strip()
    room = max(0, MAX_CHARS - len(question))
    return f"{previous[-room:]} {question.strip()}" if room else question


def rewriting_messages(
    question: str, history: Sequence[PastTurn], language: Language, family: str
) -> list[dict[str, str]]:
    """What a model is asked in order to make the question stand alone."""
    wording = task_prompt("followup", language).for_family(family)
    turns = [
        wording.phrase("turn", question=turn.question, answer=turn.answer[:MAX_CHARS])
        for turn in history[-MAX_TURNS:]
    ]
    return wording.messages(conversation="".join(turns), question=" ".join(question.split()))


def is_good_rewriting(written: str, question: str, history: Sequence[PastTurn]) -> bool:
    """Whether a model's rewriting can be searched for in place of the question.

    It is one line, keeps what the question names, and brings nothing that nobody has said.
    """
    line = written.strip()
    if not 4 <= len(line) <= MAX_CHARS or "\n" in line or _POINTS_BACK.search(line):
        return False
    own = QuestionWords(question)
    if not own.is_empty and own.share_in(line) < 0.6:
        return False
    said = "\n".join(f"{turn.question}\n{turn.answer}" for turn in (*history, PastTurn(question)))
    return QuestionWords(line).share_in(said) >= 0.7


def _num_subjects(question: str) -> int:
    """How many things it names."""
    runs = _CONTENT_RUN.findall(_QUESTION_END.sub("", question))
    named = (r for r in runs if r not in _EMPTY_WORDS and not QuestionWords(r).is_empty)
    return sum(2 if len(run) >= LONG_RUN and "一" <= run[0] <= "龠" else 1 for run in named)
