"""Polite Japanese (です・ます) → plain (だ・である), at the end of one sentence. Pure.

So that all bullets of a summary speak alike, whatever the source or the model prefers. Rules of
conjugation and a list of the verbs that they cannot tell; what they do not know stays as it is.
"""

import re
from collections.abc import Callable

_A_ROW = str.maketrans("いきぎしちにびみり", "わかがさたなばまら")
_U_ROW = str.maketrans("いきぎしちにびみり", "うくぐすつぬぶむる")
_ONE_STEP = re.compile(
    "(?:[えけげせぜてでねべめれへ]|じ|[てで]い|[にがはもと]い|用い|率い|報い|見|着|似|煮|起き|生き|尽き|でき"
    "|出来|降り|下り|借り|足り|過ぎ|すぎ|落ち|満ち|朽ち|伸び|延び|帯び|浴び|滅び|試み|省み|顧み)$"
)
_SURU = re.compile(
    "(?:[一-龠々ァ-ヺー]{2}|[ァ-ヺーA-Za-z]|[をにとはもがで]|く|っと)し(?<!目指し)(?<!見出し)$"
)
_KURU = re.compile("(?:^|[てでにがはも])来$|[てで]き$")
_POLITE = re.compile(
    "(?P<stem>.*?)(?P<end>ませんでした|ましょう|ました|ません|ます|でしょう|でした|です)$",
    re.DOTALL,
)
_COPULA = (
    ("(?<=[でに])はありませんでした$", "はなかった"), ("(?<=[でに])はありません$", "はない"),
    ("ありませんでした$", "なかった"), ("ありません$", "ない"),
    ("(?<=[いた])でしょう$", "だろう"), ("でしょう$", "だろう"),
    ("んです$", "のである"), ("(?<=[かくさたなまりわし]ない|[しきりよるす]たい)です$", ""),
    ("(?<=[ぁ-ん][いた])です$|(?<=[高低多長短強弱広狭深浅良悪早遅近遠新古安重軽]い)です$", ""),
    ("(?<!ません)でした$", "であった"), ("です$", "である"), ("ください(?:ませ)?$", "ほしい"),
)  # fmt: skip


def plain_form(sentence: str) -> str:
    """The sentence with a plain end; its full stop stays."""
    body = sentence.rstrip("。")
    return _plain(body) + sentence[len(body) :]


def is_polite(sentence: str) -> bool:
    return bool(_POLITE.search(sentence.rstrip("。")))


def _plain(body: str) -> str:
    for pattern, replacement in _COPULA:
        if re.search(pattern, body):
            return re.sub(pattern, replacement, body)
    match = _POLITE.fullmatch(body)
    if not match:
        return body
    return match["stem"][:-1] + _ENDS[match["end"]](match["stem"]) if match["stem"] else body


def _present(stem: str) -> str:
    if _SURU.search(stem):
        return "する"
    if _KURU.search(stem):
        return stem[-1].replace("き", "く") + ("る" if stem[-1] in "来き" else "")
    return stem[-1] + "る" if _ONE_STEP.search(stem) else stem[-1].translate(_U_ROW)


def _past(stem: str) -> str:
    last = stem[-1]
    if _SURU.search(stem) or _KURU.search(stem) or _ONE_STEP.search(stem) or last == "し":
        return last + "た"
    if last == "き":
        return "った" if stem.endswith("行き") else "いた"
    if last in "いちり":
        return "った"
    return "いだ" if last == "ぎ" else "んだ"


def _negative(stem: str) -> str:
    if _SURU.search(stem):
        return "しない"
    if _ONE_STEP.search(stem) or _KURU.search(stem):
        return stem[-1] + "ない"
    return stem[-1].translate(_A_ROW) + "ない"


_ENDS: dict[str, Callable[[str], str]] = {
    "ます": _present,
    "ました": _past,
    "ません": _negative,
    "ませんでした": lambda stem: _negative(stem)[:-1] + "かった",
    "ましょう": _present,
}
