"""Facts in a sentence: numbers with their unit, and proper names, with their places. Pure.

Numbers compare by value: 1.2億, 120 million and 120,000,000 are one; 9割 is 90 %; 令和6年 is 2024.
Rules, not understanding: what they cannot see is listed in the grounding's documentation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from webui.strings import Language

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # １ → 1, same length


@dataclass(frozen=True, slots=True)
class Number:
    """`unit` is "%", a currency, 年 月 日 時 分, or "" for anything else."""

    value: Decimal
    unit: str
    start: int
    end: int

    def is_stated_by(self, other: "Number") -> bool:
        """Whether `other`, in the source, says this number."""
        if self.value != other.value:
            return False
        if self.unit == "":
            return other.unit not in tuple("月日時分")
        return self.unit == other.unit or (other.unit == "" and self.unit != "%")


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    start: int
    end: int

    @property
    def key(self) -> str:
        """Without what people write differently: case, hyphens, spaces."""
        return squeezed(self.text)


def squeezed(text: str) -> str:
    return re.sub(r"[\s\-‐–・=＝.]", "", text.translate(_WIDE)).lower()


# --- numbers -------------------------------------------------------------------------------------

_DIGITS = dict(zip("〇一二三四五六七八九", range(10), strict=True))
_TENS = {"十": 10, "百": 100, "千": 1000}
_SCALES = {"万": 10**4, "億": 10**8, "兆": 10**12}
_WESTERN = {
    "thousand": 10**3, "k": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "m": 10**6, "bn": 10**9,
}  # fmt: skip
_CURRENCIES = {
    "円": "JPY", "yen": "JPY", "¥": "JPY", "jpy": "JPY", "$": "USD", "ドル": "USD", "usd": "USD",
    "dollars": "USD", "dollar": "USD", "€": "EUR", "ユーロ": "EUR", "euros": "EUR", "元": "CNY",
}  # fmt: skip
_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "大正": 1911, "明治": 1867}
_MONTHS = {
    name: number
    for number, names in enumerate(
        "january jan,february feb,march mar,april apr,may,june jun,july jul,august aug,"
        "september sept sep,october oct,november nov,december dec".split(","),
        1,
    )
    for name in names.split()
}
_WORDS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
     "ninety": 90, "half": 50, "twice": 2, "double": 2, "doubled": 2, "triple": 3}  # fmt: skip
_PLAIN = r"[0-9]+(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?"
_COUNTERS = "[つ人名個件社回倍割年月日時分秒度種点章条項本台円位番かヶカ歳%]"
_ARABIC = re.compile(
    rf"(?:(?P<before>[$¥€]|令和|平成|昭和|大正|明治)\s?)?(?P<number>{_PLAIN})"
    r"(?P<scale>(?:[千百]?[万億兆]|千)(?:(?P<rest>[0-9]{1,4})(?P<low>万)?)?"
    r"|\s?(?:thousand|million|billion|trillion|bn)\b|[kK](?![A-Za-z]))?"
    r"\s?(?P<unit>%|パーセント|ポイント|percent|per cent|割|円|ドル|ユーロ|元(?!年)"
    r"|yen\b|dollars?\b|euros?\b|USD|JPY|年(?!間)|月|日(?!間)|時(?!間)|分(?!の))?",
    re.IGNORECASE,
)
_KANJI = re.compile(
    rf"(?P<number>[〇一二三四五六七八九十百千]+)(?P<scale>[万億兆])?(?P<unit>{_COUNTERS})"
)
_ISO = re.compile(r"(?<![0-9])([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?![0-9])")
_ENGLISH_DATE = re.compile(
    rf"\b({'|'.join(_MONTHS)})\b\.?(?:\s+([0-9]{{1,2}})(?:st|nd|rd|th)?\b(?!%))?", re.IGNORECASE
)
_DAY_FIRST = re.compile(rf"\b([0-9]{{1,2}})\s+({'|'.join(_MONTHS)})\b", re.IGNORECASE)
_ENGLISH_WORD = re.compile(
    rf"\b({'|'.join(_WORDS)})\b(?:[- ](one|two|three|four|five|six|seven|eight|nine)\b)?"
    r"(?:\s(hundred|thousand|million|billion)\b)?(?:\s(percent|per cent)\b)?",
    re.IGNORECASE,
)


def numbers_in(text: str, *, spelled: bool = False) -> list[Number]:
    """The numbers of `text`. `spelled`: also English number words, as a source may write them."""
    plain = text.translate(_WIDE)
    found = [*_dates(plain)]
    for number in [*_arabic(plain), *_kanji(plain)]:
        if not any(other.start <= number.start < other.end for other in found):
            found.append(number)
    if spelled:
        found += _spelled(plain)
        halves = re.finditer("半分|半数", plain)
        found += [Number(Decimal(50), "%", *match.span()) for match in halves]
    return sorted(found, key=lambda number: number.start)


def _arabic(text: str) -> Iterator[Number]:
    for match in _ARABIC.finditer(text):
        start, end = match.span()
        before = text[start - 1 : start]
        if before.isascii() and before.isalpha():  # T5, GPT-4: part of a name
            continue
        if before == "-" and text[start - 2 : start - 1].isalpha():
            continue
        value, unit = _scaled(match), _unit(match["unit"] or "")
        if match["before"] in _ERAS and unit == "年":
            yield Number(value + _ERAS[match["before"]], "年", start, end)
        elif match["before"] in _CURRENCIES:
            yield Number(value, _CURRENCIES[match["before"]], start, end)
        elif (match["unit"] or "") == "割":
            yield Number(value * 10, "%", start, end)
        else:
            yield Number(value, unit, start, end)


def _scaled(match: re.Match[str]) -> Decimal:
    value = Decimal(match["number"].replace(",", ""))
    scale = (match["scale"] or "").strip().lower()
    if not scale:
        return value
    if scale in _WESTERN:
        return value * _WESTERN[scale]
    factor, total = 1, Decimal(0)
    for char in re.sub("[0-9].*", "", scale):
        factor *= _TENS.get(char) or _SCALES.get(char) or 1
    total = value * factor
    if match["rest"]:  # 3億5000万
        total += Decimal(match["rest"]) * (10**4 if match["low"] else 1)
    return total


def _unit(written: str) -> str:
    small = written.lower()
    if small in ("%", "パーセント", "ポイント", "percent", "per cent"):
        return "%"
    return _CURRENCIES.get(small, small if small in "年月日時分" else "")


def _kanji(text: str) -> Iterator[Number]:
    for match in _KANJI.finditer(text):
        value = Decimal(_kanji_value(match["number"]))
        value *= _SCALES.get(match["scale"] or "", 1)
        unit = match["unit"]
        if unit == "割":
            yield Number(value * 10, "%", *match.span())
        else:
            yield Number(value, _unit(unit), *match.span())


def _kanji_value(text: str) -> int:
    if not any(char in _TENS for char in text):
        return int("".join(str(_DIGITS[char]) for char in text))
    total, digit = 0, 0
    for char in text:
        if char in _TENS:
            total += max(digit, 1) * _TENS[char]
            digit = 0
        else:
            digit = _DIGITS[char]
    return total + digit


def _dates(text: str) -> Iterator[Number]:
    for match in _ISO.finditer(text):
        for group, unit in ((1, "年"), (2, "月"), (3, "日")):
            yield Number(Decimal(match[group]), unit, *match.span(group))
    for match in _ENGLISH_DATE.finditer(text):
        if match[1].lower() == "may" and not match[2]:
            continue
        yield Number(Decimal(_MONTHS[match[1].lower()]), "月", *match.span(1))
        if match[2]:
            yield Number(Decimal(match[2]), "日", *match.span(2))
    for match in _DAY_FIRST.finditer(text):
        yield Number(Decimal(match[1]), "日", *match.span(1))


def _spelled(text: str) -> Iterator[Number]:
    for match in _ENGLISH_WORD.finditer(text):
        value = Decimal(_WORDS[match[1].lower()] + (_WORDS[match[2].lower()] if match[2] else 0))
        scale = (match[3] or "").lower()
        value *= 100 if scale == "hundred" else _WESTERN.get(scale, 1)
        is_share = match[4] or match[1].lower() == "half"
        yield Number(value, "%" if is_share else "", *match.span())


# --- names ---------------------------------------------------------------------------------------

_SUFFIX = (
    "株式会社|有限会社|銀行|大学院|大学|研究所|省|庁|市|県|府|都|区|町|村|氏|さん|様|党|駅|島|社|"
    "部長|社長|会長|大臣|首相|知事|教授|協会|連合|条約"
)
_KANJI_NAME = re.compile(
    rf"株式会社[\u30a1-\u30ffー一-龠々A-Za-z]{{1,12}}|[一-龠々]{{1,6}}?(?:{_SUFFIX})(?![一-龠々])"
)
_GENERIC = frozenset(
    "同社 当社 本社 自社 他社 各社 両社 会社 同市 本市 当市 各市 "
    "同県 本県 当県 各県 同氏 両氏 各省 本省 同省 同大学 各大学 "
    "本大学 当大学 全社 子会社 親会社 商社 御社 貴社 弊社 出社 入社 "
    "退社 神社 公社 首都 皆様 同様 多様 仕様 模様 一様 異様 神様 "
    "客様 奥様 各町 市町村 都市 同区 地区 同町 同村 半島 諸島 列島 "
    "政党 与党 野党 同党 各党 新党 反省 帰省 都道府県 政府 同庁 "
    "官庁 省庁".split()
)
_KATAKANA_NAME = re.compile(r"[\u30a1-\u30fa][\u30a1-\u30faー・]{2,}")
_LATIN_PHRASE = re.compile(
    r"[A-Za-z][A-Za-z0-9+#&]*(?:[-.'][A-Za-z0-9+#]+)*(?: [A-Za-z][A-Za-z0-9+#-]*)*"
)
_TOPIC = re.compile(r"([一-龠々\u30a1-\u30faー]{2,10})(?=[はがも])")
_LETTER_NAME = re.compile(r"[A-Za-zＡ-Ｚ](?:社|氏|国|市|部|班|案|店)")
_UNITS = frozenset(
    "km kg cm mm gb mb kb tb mg ml hz khz mhz ghz kwh kw mw pm am vs and or the of".split()
)


def names_in(text: str, language: Language) -> list[Name]:
    """Proper names in a sentence of `language`, as rules can see them."""
    return sorted(
        _english_names(text) if language is Language.EN else _japanese_names(text),
        key=lambda name: name.start,
    )


def topics_in(text: str) -> list[Name]:
    """What a clause is about: words of kanji or katakana before は, が or も."""
    return [Name(match[1], *match.span(1)) for match in _TOPIC.finditer(text)]


def _japanese_names(text: str) -> Iterator[Name]:
    lettered = [match.span() for match in _LETTER_NAME.finditer(text)]
    for start, end in lettered:
        yield Name(text[start:end], start, end)
    for match in _LATIN_PHRASE.finditer(text):
        follows_digit = match.start() > 0 and text[match.start() - 1].isdigit()
        is_unit = follows_digit or match[0].lower() in _UNITS
        is_known = any(start <= match.start() < end for start, end in lettered)
        if len(match[0]) > 1 and not is_unit and not is_known:
            yield Name(match[0], *match.span())
    for match in _KATAKANA_NAME.finditer(text):
        yield Name(match[0], *match.span())
    for match in _KANJI_NAME.finditer(text):
        if match[0] not in _GENERIC:
            yield Name(match[0], *match.span())


def _english_names(text: str) -> Iterator[Name]:
    """Capitalised words inside a sentence, and words written in capitals, as runs."""
    run: list[re.Match[str]] = []
    for match in re.finditer(r"[A-Za-z](?:[A-Za-z0-9+#-]|'(?!s\b))*[A-Za-z0-9]|[A-Z]", text):
        begins = not text[: match.start()].rstrip() or text[: match.start()].rstrip()[-1] in ".!?:"
        is_name = sum(map(str.isupper, match[0])) > 1 or (match[0][0].isupper() and not begins)
        is_name = is_name and match[0].lower() not in _MONTHS
        if is_name and run and text[run[-1].end() : match.start()] == " ":
            run.append(match)
            continue
        if run:
            yield _name(text, run)
        run = [match] if is_name and match[0].lower() not in ("i", "the", "a") else []
    if run:
        yield _name(text, run)


def _name(text: str, run: list[re.Match[str]]) -> Name:
    start, end = run[0].start(), run[-1].end()
    return Name(text[start:end], start, end)
