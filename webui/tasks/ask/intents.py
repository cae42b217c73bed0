"""What somebody wants who writes into a conversation with documents: rules, Japanese and English.

Greetings, thanks and calls for help are no questions; neither are requests about the last answer.
What names something of its own is a question. A model is asked where the rules are UNSURE. Pure.
"""

import re
import tomllib
import unicodedata
from collections.abc import Sequence
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
    otherwise: Intent | None = None  # what it is if the documents do not speak of it


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
    lines = _PHRASES[part][name].replace("DOCUMENTS", _DOCUMENTS).split("\n")
    return "(?:" + "|".join(filter(None, lines)) + ")"


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
_FACES = re.compile(r"m?\([^\w\s]*[_^;∀ω´`]+[^\w\s]*\)m?|\borz\b")  # m(__)m, (^^)
_FILLERS = re.compile(
    rf"(?:{_MARKS}|えっと|えーと|あのう?|あ+っ?(?=[、。,])|じゃあ(?=[、,])|では(?=[、,])|それでは|ところで|ちなみに|さて"
    rf"|w+\b(?![a-z])|(?:please|so|and|then|well|oh|um)\b)+",
    re.IGNORECASE,
)


def _each_of(part: str) -> list[re.Pattern[str]]:
    """All lines of all its lists, and marks."""
    lines = [line for words in _PHRASES[part].values() for line in words.split("\n") if line]
    return [re.compile(line, re.IGNORECASE) for line in (*lines, f"{_MARKS}+")]


_FORM = re.compile(_any_of("rework", "forms"), re.IGNORECASE)
_TALK = {intent: re.compile(_any_of("talk", intent), re.IGNORECASE) for intent in _ORDER}
_TALK_WORDS, _REWORK_WORDS = _each_of("talk"), _each_of("rework")
_NAMES = re.compile("[一-龠々ァ-ヶa-z0-9]", re.IGNORECASE)
_SENTENCE_END = re.compile(
    r"[ぁ-ん](?<!こと)(?<!もの)(?<!とき)(?<!ころ)(?<![のはがをにでへと])[。．.!！…〜ー\s]*$"
)
_BARE_FORM = re.compile(r"(?:一覧|リスト|表|メール|\d+|list|table|e-?mail)\Z", re.IGNORECASE)
_WHERE = re.compile(_any_of("requests", "where"), re.IGNORECASE)
_LISTING = re.compile(_any_of("requests", "listing"), re.IGNORECASE)
_ASKS = re.compile(_any_of("sentence", "asks"), re.IGNORECASE)
_REMARK = re.compile(_any_of("sentence", "remark"), re.IGNORECASE)


def understood(text: str) -> Understood:
    """What `text` is, and what remains to be answered without the greeting before it."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'")
    plain = _FACES.sub(" ", plain).strip()
    if len(plain) > MAX_CHARS:
        return Understood(Intent.QUESTION, text.strip())
    if talk := _talk_alone(plain):
        return Understood(talk, "")
    kinds, at = _small_talk(plain)
    rest = plain[at:].strip()
    if not rest and kinds:
        return Understood(min(kinds, key=_ORDER.index), "")
    intent = _of_request(rest)
    if kinds and intent is Intent.UNSURE:  # ありがとうございました、解決しました
        return Understood(min(kinds, key=_ORDER.index), "")
    return Understood(intent, rest if kinds else text.strip(), _otherwise(plain))


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


def _otherwise(plain: str) -> Intent | None:
    """What does not ask, and ends as sentences do, and not nouns."""
    if len(plain) > MAX_REMARK_CHARS or _ASKS.search(plain) or not _SENTENCE_END.search(plain):
        return None
    return next((one for one in _ORDER if _TALK[one].search(plain)), Intent.UNSURE)


def _talk_alone(plain: str) -> Intent | None:
    """Where all of it is words of small talk: 夜分にすみません, いつもありがとうございます."""
    found = [intent for intent in _ORDER if _TALK[intent].search(plain)]
    return found[0] if found and _is_made_of(plain, _TALK_WORDS) else None


def _is_made_of(text: str, words: Sequence[re.Pattern[str]]) -> bool:
    """Whether it is words of these alone, one behind the other. Linear: every place is seen once,
    though many words begin alike."""
    ends = {0}
    for at in range(len(text)):
        if at in ends:
            ends |= {match.end() for word in words if (match := word.match(text, at))}
    return len(text) in ends and bool(text)


def _skipped(plain: str, at: int) -> int:
    match = _FILLERS.match(plain, at)
    return match.end() if match else at


def _of_request(plain: str) -> Intent:
    bare = re.sub(rf"{_MARKS}+$", "", plain[_skipped(plain, 0) :])
    if _WHERE.fullmatch(bare):
        return Intent.WHERE
    if _LISTING.fullmatch(bare):
        return Intent.LISTING
    if _is_made_of(bare, _REWORK_WORDS) and _FORM.search(bare) and not _BARE_FORM.match(bare):
        return Intent.REWORK
    is_remark = _REMARK.search(plain) or not _NAMES.search(plain)
    if is_remark and len(plain) <= MAX_REMARK_CHARS and not _ASKS.search(plain):
        return Intent.UNSURE
    return Intent.QUESTION
