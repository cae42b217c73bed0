"""One sentence made shorter by leaving out, never by new words. Pure; asks no model."""

import re

_OPENER = re.compile(
    r"^(しかし|しかしながら|また|さらに|なお|そのため|このため|したがって|そして|そこで|ただし|一方|一方で|"
    r"例えば|たとえば|つまり|すなわち|ところが|それでも|だが|その後|加えて|特に|実際|ちなみに|さて|まず|次に|"
    r"最後に|よって|ゆえに|以上のように|このように|同様に|なかでも|中でも)、"
)
_BRACKETS = re.compile(r"[（(][^（()）]*[)）]")
_CONDITION = re.compile("(?:ば|たら|なら|場合|場合は|とき|時は|限り|まで|除き|ず|なければ|以外)$")
_END = re.compile(r"[。．.！？!?]+$")


def condensed(sentence: str, limit: int, *, drop: bool = True) -> str | None:
    """The sentence as one bullet of at most `limit` characters: what can go has gone, no more.

    `drop`: clauses may go, too, but no condition. None where that is not enough. It has no full
    stop.
    """
    text = _END.sub("", _OPENER.sub("", sentence.strip()))
    text = text.replace("。", "").lstrip("・-*■# 　")
    if len(text) > 0.6 * limit:
        text = _BRACKETS.sub("", text)
    parts = text.split("、")
    has_topic = len(parts[0]) < 30 and parts[0].endswith(("は", "では", "には", "も", "が"))
    while drop and len(text) > limit:
        first = 1 if has_topic else 0
        may_go = [at for at in range(first, len(parts) - 1) if not _CONDITION.search(parts[at])]
        if not may_go:
            break
        parts.pop(may_go[0])
        text = "、".join(parts)
    return text if 6 <= len(text) <= limit and text.isprintable() else None
