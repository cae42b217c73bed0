"""What somebody wants who writes into a conversation with documents: rules, Japanese and English.

Greetings, thanks and calls for help are no questions; neither are requests about the last answer.
What names something of its own is a question. A model is asked where the rules are UNSURE. Pure.
"""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Intent(StrEnum):
    QUESTION = "question"
    GREETING = "greeting"
    THANKS = "thanks"
    FAREWELL = "farewell"
    HELP = "help"
    AGREEMENT = "agreement"
    APOLOGY = "apology"
    COMPLAINT = "complaint"
    REWORK = "rework"  # the last answer: shorter, in English, as a list
    WHERE = "where"  # its place: file and page
    LISTING = "listing"  # which documents there are
    UNSURE = "unsure"  # a remark, or a question put as one


@dataclass(frozen=True, slots=True)
class Understood:
    intent: Intent
    rest: str  # without the greeting before a question


SMALL_TALK = frozenset(
    (
        Intent.GREETING,
        Intent.THANKS,
        Intent.FAREWELL,
        Intent.HELP,
        Intent.AGREEMENT,
        Intent.APOLOGY,
        Intent.COMPLAINT,
    )
)
MAX_CHARS = 200  # more is never small talk, and no request about an answer
MAX_REMARK_CHARS = 60

_DOCUMENTS = "(?:資料|ファイル|文書|ドキュメント|書類|文献|データ)"
_END = r"(?:です|でした|ます|ました|ございます|ございました)?(?:よ|ね|な|わ|よね|ねえ|ー|〜)*"
_PHRASES = tomllib.loads((Path(__file__).parent / "phrases.toml").read_text(encoding="utf-8"))


def _any_of(part: str, name: str) -> str:
    """Its lines as one expression."""
    lines = _PHRASES[part][name].replace("DOCUMENTS", _DOCUMENTS).strip().splitlines()
    return "(?:" + "|".join(lines) + ")"


_SMALL_TALK = [
    (
        Intent(name),
        re.compile(rf"{_any_of('small_talk', name)}{_END}(?![a-z0-9一-龠ァ-ヶ])", re.IGNORECASE),
    )
    for name in _PHRASES["small_talk"]
]
_ORDER = (
    Intent.HELP,
    Intent.COMPLAINT,
    Intent.THANKS,
    Intent.FAREWELL,
    Intent.GREETING,
    Intent.APOLOGY,
    Intent.AGREEMENT,
)
_MARKS = r"[\s、。，．,.!?…・~〜ー♪☆★()（）;:\-\U0001f300-\U0001faff\u2600-\u27bf\u200d\ufe0f笑]"
_FILLERS = re.compile(
    rf"(?:{_MARKS}|えっと|えーと|あのう?|あ+っ?(?=[、。,])|じゃあ(?=[、,])|では(?=[、,])|それでは|ところで|ちなみに|さて"
    rf"|w+\b(?![a-z])|(?:please|so|and|then|well|oh|um)\b)+",
    re.IGNORECASE,
)

_FORM = re.compile(_any_of("rework", "forms"), re.IGNORECASE)
# Atomic: with so many short words that begin alike, going back would take exponential time.
_REWORK = re.compile(
    "(?>"
    + "|".join([*(_any_of("rework", name) for name in ("forms", "pointers", "polite")), _MARKS])
    + ")++",
    re.IGNORECASE,
)
_BARE_FORM = re.compile(r"(?:一覧|リスト|表|メール|\d+|list|table|e-?mail)\Z", re.IGNORECASE)
_WHERE = re.compile(_any_of("requests", "where"), re.IGNORECASE)
_LISTING = re.compile(_any_of("requests", "listing"), re.IGNORECASE)
_ASKS = re.compile(_any_of("sentence", "asks"), re.IGNORECASE)
_REMARK = re.compile(_any_of("sentence", "remark"), re.IGNORECASE)


def understood(text: str) -> Understood:
    """What `text` is, and what remains to be answered without the greeting before it."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").strip()
    if len(plain) > MAX_CHARS:
        return Understood(Intent.QUESTION, text.strip())
    kinds, at = _small_talk(plain)
    rest = plain[at:].strip()
    if not rest and kinds:
        return Understood(min(kinds, key=_ORDER.index), "")
    whole = rest if kinds else text.strip()
    return Understood(_of_request(rest), whole)


def _small_talk(plain: str) -> tuple[list[Intent], int]:
    """The kinds of small talk that it begins with, and where that ends."""
    kinds: list[Intent] = []
    at = _skipped(plain, 0)
    while at < len(plain):
        found = [(m.end(), intent) for intent, form in _SMALL_TALK if (m := form.match(plain, at))]
        if not found:
            break
        end, intent = max(found, key=lambda one: one[0])
        after = _skipped(plain, end)
        if after == end < len(plain) and not plain[end - 1 : end + 1].isascii():
            break  # はいつ, いいえき: a longer word begins like one of ours
        kinds.append(intent)
        at = after
    return (kinds, at) if kinds else ([], 0)


def _skipped(plain: str, at: int) -> int:
    match = _FILLERS.match(plain, at)
    return match.end() if match else at


def _of_request(plain: str) -> Intent:
    bare = re.sub(rf"{_MARKS}+$", "", plain[_skipped(plain, 0) :])
    if _LISTING.fullmatch(bare):
        return Intent.LISTING
    if _WHERE.fullmatch(bare):
        return Intent.WHERE
    if _REWORK.fullmatch(bare) and _FORM.search(bare) and not _BARE_FORM.match(bare):
        return Intent.REWORK
    is_remark = len(plain) <= MAX_REMARK_CHARS and _REMARK.search(plain)
    return Intent.UNSURE if is_remark and not _ASKS.search(plain) else Intent.QUESTION
