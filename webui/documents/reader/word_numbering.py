"""Numbering: what Word prints in front of a numbered paragraph. Knows nothing about its text."""

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from webui.documents.reader.ooxml import attribute, child, children

_MAX_LEVELS = 9
_CIRCLED = "⓪①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳㉑㉒㉓㉔㉕㉖㉗㉘㉙㉚㉛㉜㉝㉞㉟㊱㊲㊳㊴㊵㊶㊷㊸㊹㊺㊻㊼㊽㊾㊿"
_AIUEO = (
    "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン"
)
_IROHA = (
    "イロハニホヘトチリヌルヲワカヨタレソツネナラム"
    "ウヰノオクヤマケフコエテアサキユメミシヱヒモセスン"
)
_KANJI = "〇一二三四五六七八九"
_LEGAL = "零壱弐参四五六七八九"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_BRANCHES = "子丑寅卯辰巳午未申酉戌亥"


@dataclass(frozen=True, slots=True)
class Level:
    start: int
    format: str
    text: str  # "第%1条"
    restart: int | None = None  # after which level (from 1); 0: never
    is_legal: bool = False


@dataclass(slots=True)
class _List:
    levels: dict[int, Level]
    abstract: str
    overrides: dict[int, int] = field(default_factory=dict)  # level -> start


class Numbering:
    """Counts while the paragraphs are read in order."""

    def __init__(self, root: Element | None) -> None:
        self._lists = _lists(root)
        self._counts: dict[str, dict[int, int]] = {}  # abstract -> level -> last number
        self._started: set[str] = set()  # lists whose overrides have been applied

    def mark(self, list_id: str, level: int) -> str:
        """「第3条」, 「①」, 「・」 for the next paragraph of that list and level; "" for none."""
        found = self._lists.get(list_id)
        if found is None or level not in found.levels:
            return ""
        counts = self._counts.setdefault(found.abstract, {})
        if list_id not in self._started:
            self._started.add(list_id)
            for at, start in found.overrides.items():
                counts[at] = start - 1
        own = found.levels[level]
        counts[level] = counts.get(level, own.start - 1) + 1
        for deeper in [at for at in counts if at > level]:
            restart = found.levels[deeper].restart if deeper in found.levels else None
            if restart is None or (restart and level < restart):
                del counts[deeper]
        if own.format == "bullet":
            return "・"
        return self._printed(found, level, counts)

    def _printed(self, found: _List, level: int, counts: dict[int, int]) -> str:
        own = found.levels[level]
        text = own.text
        for at in range(_MAX_LEVELS):
            if f"%{at + 1}" not in text:
                continue
            other = found.levels.get(at, own)
            number = counts.get(at, other.start)
            form = "decimal" if own.is_legal else other.format
            text = text.replace(f"%{at + 1}", formatted(number, form))
        return text.strip()


def _lists(root: Element | None) -> dict[str, _List]:
    abstract = {
        attribute(one, "abstractNumId"): {
            number: _level(level)
            for level in children(one, "lvl")
            if (number := _int(attribute(level, "ilvl"), -1)) in range(_MAX_LEVELS)
        }
        for one in children(root, "abstractNum")
    }
    lists = {}
    for one in children(root, "num"):
        id = attribute(child(one, "abstractNumId"), "val")
        found = _List(dict(abstract.get(id, {})), id)
        for override in children(one, "lvlOverride"):
            at = _int(attribute(override, "ilvl"), -1)
            level = child(override, "lvl")
            if level is not None:
                found.levels[at] = _level(level)
            start = child(override, "startOverride")
            if start is not None:
                found.overrides[at] = _int(attribute(start, "val"), 1)
        lists[attribute(one, "numId")] = found
    return lists


def _level(element: Element) -> Level:
    legal, restart = child(element, "isLgl"), child(element, "lvlRestart")
    return Level(
        _int(attribute(child(element, "start"), "val"), 1),
        attribute(child(element, "numFmt"), "val", "decimal"),
        attribute(child(element, "lvlText"), "val"),
        None if restart is None else _int(attribute(restart, "val"), 0),
        legal is not None and attribute(legal, "val", "1") not in ("0", "false"),
    )


def _int(value: str, default: int) -> int:
    try:
        return max(-1, min(int(value), 1_000_000))
    except ValueError:
        return default


def formatted(number: int, form: str) -> str:
    """A number as Word's numFmt has it; digits where the form is unknown."""
    if number < 0 or form == "none":
        return ""
    match form:
        case "upperRoman" | "lowerRoman":
            roman = _roman(number)
            return roman if form == "upperRoman" else roman.lower()
        case "upperLetter" | "lowerLetter":
            letter = chr(ord("A") + (number - 1) % 26) * ((number - 1) // 26 + 1)
            return letter[:50] if form == "upperLetter" else letter[:50].lower()
        case "decimalFullWidth" | "decimalFullWidth2":
            return str(number).translate(
                {ord(str(n)): "０１２３４５６７８９"[n] for n in range(10)}
            )
        case "decimalEnclosedCircle" | "decimalEnclosedCircleChinese":
            return _CIRCLED[number] if number < len(_CIRCLED) else str(number)
        case "decimalEnclosedParen":
            return f"({number})"
        case "decimalEnclosedFullstop":
            return f"{number}."
        case "decimalZero":
            return f"{number:02}"
        case "ordinal":
            return _ordinal(number)
        case _:
            return _japanese(number, form)


def _japanese(number: int, form: str) -> str:
    match form:
        case "aiueo" | "aiueoFullWidth":
            return _AIUEO[(number - 1) % len(_AIUEO)] if number else ""
        case "iroha" | "irohaFullWidth":
            return _IROHA[(number - 1) % len(_IROHA)] if number else ""
        case "japaneseCounting" | "chineseCountingThousand" | "japaneseLegal" | "chineseCounting":
            return _counting(number, _LEGAL if form == "japaneseLegal" else _KANJI)
        case "ideographDigital" | "japaneseDigitalTenThousand":
            return "".join(_KANJI[int(digit)] for digit in str(number))
        case "ideographTraditional":
            return _STEMS[(number - 1) % 10] if number else ""
        case "ideographZodiac":
            return _BRANCHES[(number - 1) % 12] if number else ""
        case _:
            return str(number)


def _roman(number: int) -> str:
    if not 0 < number < 4_000:
        return str(number)
    text = ""
    for value, letters in zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        "M CM D CD C XC L XL X IX V IV I".split(),
        strict=True,
    ):
        text += letters * (number // value)
        number %= value
    return text


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _counting(number: int, digits: str) -> str:
    """十二, 百三; with `digits` of its own: 拾弐."""
    if not 0 < number < 10_000:
        return digits[0] if number == 0 else str(number)
    units = ("", "拾", "百", "千") if digits == _LEGAL else ("", "十", "百", "千")
    text = ""
    for power in (3, 2, 1, 0):
        digit = number // 10**power % 10
        if digit:
            text += ("" if digit == 1 and power and digits != _LEGAL else digits[digit]) + units[
                power
            ]
    return text
