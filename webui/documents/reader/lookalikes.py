"""Characters that a recogniser takes for each other → the one that the neighbours ask for.

Pure. Only what was seen to go wrong on pages with known text, and is certain from its neighbours.
"""

import re

_KANJI = "\u4e00-\u9fff々"
_HIRAGANA = "\u3041-\u309f"
_KATAKANA = "\u30a1-\u30ff"
_JAPANESE = _KANJI + _HIRAGANA + _KATAKANA + "、。「」"
_COUNTED = "所月国年条箇"  # 三カ国

_RULES = (
    # 一 between kanji, or before one behind hiragana: 統一, 置かれて一元的に. らーめん stays.
    (re.compile(f"(?<![{_KATAKANA}{_HIRAGANA}])ー(?=[{_KANJI}{_HIRAGANA}])"), "一"),
    (re.compile(f"(?<=[{_HIRAGANA}])ー(?=[{_KANJI}])"), "一"),
    # 力 before or behind a kanji: 力学, 能力. カ国 stays, and so does what is katakana.
    (re.compile(f"(?<![{_KATAKANA}0-9０-９数何])カ(?=[{_KANJI}])(?![{_COUNTED}])"), "力"),
    (re.compile(f"(?<=[{_KANJI}])(?<![数何])カ(?![{_KATAKANA}{_COUNTED}])"), "力"),
    # Brackets of Japanese text are as wide as its letters.
    (re.compile(f"\\((?=[{_JAPANESE}])|(?<=[{_JAPANESE}])\\("), "（"),
    (re.compile(f"(?<=[{_JAPANESE}])\\)|\\)(?=[{_JAPANESE}])"), "）"),
)


def corrected(text: str) -> str:
    """A recognised line with its look-alikes put right."""
    for rule, meant in _RULES:
        text = rule.sub(meant, text)
    return text
