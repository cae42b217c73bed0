"""Single characters as PDFs deliver them and as people type them. Pure; knows nothing about lines.

For showing, only what is certainly wrong is repaired: NFKC would turn ① into 1 and ㈱ into (株).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

from webui.normal_form import normalized

# How an item of a list begins.
BULLET = re.compile(
    r"\s*(?:[・●○◎■□◆◇▶▷※＊*•]|[-–—]\s|"
    r"[（(][0-9０-９a-zA-Z一二三四五六七八九十]{1,3}[)）]|"
    r"[0-9０-９a-zA-Z一二三四五六七八九十]{1,3}[)）.．、](?![0-9０-９])|[①-⑳㈠-㈩]|"
    r"第[0-9０-９一二三四五六七八九十百千]+[章節条項部編])"
)
# CJK Radicals Supplement → the ideograph that was meant; NFKC does not know them.
# From Unicode's EquivalentUnifiedIdeograph.txt, which has no entry for U+2E9A.
_RADICALS = dict(
    zip(
        "⺀⺁⺂⺃⺄⺅⺆⺇⺈⺉⺋⺌⺍⺎⺏⺐⺑⺒⺓⺔⺕⺖⺗⺘⺙⺛⺜⺝⺞⺟⺠⺡⺢⺣⺤⺥⺦⺧⺨⺩⺪⺫⺬⺭⺮⺯⺰⺱⺲⺳⺴⺵⺶⺷⺸⺹⺺⺻⺼⺽⺾⺿"
        "⻀⻁⻂⻃⻄⻅⻆⻇⻈⻉⻊⻋⻌⻍⻎⻏⻐⻑⻒⻓⻔⻕⻖⻗⻘⻙⻚⻛⻜⻝⻞⻟⻠⻡⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲⻳",
        "冫厂乛乚乙亻冂几刀刂㔾小小兀尣尢尣巳幺彑彐忄心扌攵旡日月歺母民氵氺灬爫爪丬牛犭王疋罒示礻竹糸纟罓罒罓罒罓羊羊羊老肀聿肉臼艹艹"
        "艹虎衤西西见角角讠贝足車辶辶辶邑钅長镸长门阜阝雨青韦页风飞食食食飠饣马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龟亀龟",
        strict=True,
    )
)
_UPRIGHT_OF_VERTICAL = {
    ",": "、", "!": "！", "?": "？", ":": "：", ";": "；", "...": "…", "..": "‥",
    "(": "（", ")": "）", "{": "｛", "}": "｝", "[": "［", "]": "］",
}  # fmt: skip
_INVISIBLE = (0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, *range(0x202A, 0x202F), 0x2066, 0x2069)
LINE_END_HYPHENS = "\x02\ufffe"  # what pdfium makes of a hyphen at a line's end
KANA_MARKS = "\u3099\u309a"


def is_cjk(char: str) -> bool:
    """A character of Japanese text: no space stands beside it."""
    code = ord(char)
    return (
        0x3001 <= code <= 0x30FF
        or 0x3400 <= code <= 0x9FFF
        or 0xFF01 <= code <= 0xFF5E
        or 0xF900 <= code <= 0xFAFF
        or 0x31F0 <= code <= 0x31FF
        or 0x20000 <= code <= 0x3FFFF
    )


def is_kana(char: str) -> bool:
    return "\u3041" <= char <= "\u309f" or "\u30a1" <= char <= "\u30ff"


def width(char: str) -> float:
    """In em: 1 for a full-width character, else a half."""
    return 1.0 if unicodedata.east_asian_width(char) in "FWA" else 0.5


@cache
def _table() -> dict[int, str]:
    table = {ord(radical): meant for radical, meant in _RADICALS.items()}
    kangxi = range(0x2F00, 0x2FD6)
    compatibility = (*range(0xF900, 0xFB00), *range(0x2F800, 0x2FA20))
    ligatures = range(0xFB00, 0xFB07)
    halfwidth = range(0xFF61, 0xFFA0)
    for code in (*kangxi, *compatibility, *ligatures, *halfwidth):
        table[code] = unicodedata.normalize("NFKC", chr(code))
    for code in (*range(0xFE10, 0xFE1A), *range(0xFE30, 0xFE45)):
        plain = unicodedata.normalize("NFKC", chr(code))
        table[code] = _UPRIGHT_OF_VERTICAL.get(plain, plain)
    for code in (*range(0x20), *range(0x7F, 0xA0), *_INVISIBLE):
        table[code] = ""
    for hyphen in LINE_END_HYPHENS:
        table[ord(hyphen)] = "-"
    return table | {0x09: " ", 0xA0: " ", 0x2011: "-"}


def repaired(char: str) -> str:
    """What `char` was meant to be: none, one or more characters."""
    return _table().get(ord(char), char)


def repaired_text(text: str) -> str:
    """`text` with every character repaired and kana composed; line breaks stay."""
    lines = (normalized(line.translate(_table()), "NFC") for line in text.splitlines())
    return "\n".join(lines)


def is_garbled(text: str) -> bool:
    """Whether a page's text is unreadable: a font without a character map.

    Measured: readable files 0.00-0.01 foreign, unreadable ones 0.07-1.0. A name in letters that
    no font had does not make a page unreadable.
    """
    letters = [char for char in text if not char.isspace()]
    num_foreign = num_foreign_of(letters)
    share = num_foreign / max(len(letters), 1)
    return share > 0.25 or (share > 0.04 and num_foreign >= 50)


def num_foreign_of(letters: Iterable[str]) -> int:
    """How many of them no readable page would have.

    Garbage is spread over many scripts; a page in Korean or Hindi has one beside the usual ones.
    """
    foreign = [char for char in letters if _is_foreign(char)]
    scripts = Counter(script for char in foreign if (script := _script(char)))
    most = scripts.most_common(1)[0][1] if scripts else 0
    return len(foreign) - most if most > 0.8 * len(foreign) else len(foreign)


def _script(char: str) -> str:
    """The name of the script of a living language that uses its own letters, else ""."""
    code = ord(char)
    if 0xAC00 <= code < 0xD7B0 or 0x1100 <= code < 0x1200 or 0x3130 <= code < 0x3190:
        return "hangul"
    return f"{code & ~0x7F:x}" if 0x0900 <= code < 0x0E80 else ""


def _is_foreign(char: str) -> bool:
    if char in LINE_END_HYPHENS:
        return False
    code = ord(char)
    return not (
        0x20 <= code < 0x7F
        or 0xA0 <= code < 0x180
        or 0x370 <= code < 0x530  # Greek, Cyrillic
        or 0x2000 <= code < 0x2C00  # punctuation, symbols
        or 0x2E80 <= code < 0x3400
        or 0x4E00 <= code < 0xA000
        or 0xF900 <= code < 0xFB07
        or 0xFE10 <= code < 0xFE50
        or 0xFF00 <= code < 0xFFF0
        or code >= 0x1F000
        or unicodedata.combining(char)
    )
