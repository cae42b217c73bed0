"""One sentence made shorter by leaving out, never by new words. Pure; asks no model."""

import re

_OPENER = re.compile(
    r"^(しかし|しかしながら|また|さらに|なお|そのため|このため|したがって|そして|そこで|ただし|一方|一方で|"
    r"例えば|たとえば|つまり|すなわち|ところが|それでも|だが|その後|加えて|特に|実際|ちなみに|さて|まず|次に|"
    r"最後に|よって|ゆえに|以上のように|このように|同様に|なかでも|中でも)、"
)
_BRACKETS = re.compile(r"[（(][^（()）]*[)）]")
_END = re.compile(r"[。．.！？!?]+$")


def condensed(sentence: str, limit: int, *, drop: bool = True) -> str | None:
    """The sentence as one bullet of at most `limit` characters: what can go has gone, no more.

    `drop`: clauses may go, too. None where that is not enough. Without its full stop.
    """
    text = _END.sub("", _OPENER.sub("", sentence.strip()))
    text = text.replace("。", "").lstrip("・-*■# 　")
    if len(text) > 0.6 * limit:
        text = _BRACKETS.sub("", text)
    parts = text.split("、")
    has_topic = len(parts[0]) < 30 and parts[0].endswith(("は", "では", "には", "も", "が"))
    while drop and len(text) > limit and len(parts) > (2 if has_topic else 1):
        parts.pop(1 if has_topic else 0)
        text = "、".join(parts)
    return text if 6 <= len(text) <= limit and text.isprintable() else None
