"""Numbers and dates as a spreadsheet shows them. Pure; knows nothing about files or cells."""

import re
from datetime import date, datetime, timedelta
from functools import cache

BUILTIN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"¥"#,##0', 6: '"¥"#,##0',
    7: '"¥"#,##0.00', 8: '"¥"#,##0.00', 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?",
    14: "yyyy/m/d", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy/m/d h:mm",
    27: "[$-411]ge.m.d", 28: '[$-411]ggge"年"m"月"d"日"', 29: '[$-411]ggge"年"m"月"d"日"',
    30: "m/d/yy", 31: 'yyyy"年"m"月"d"日"', 32: 'h"時"mm"分"', 33: 'h"時"mm"分"ss"秒"',
    34: 'yyyy"年"m"月"', 35: 'm"月"d"日"', 36: "[$-411]ge.m.d", 37: "#,##0", 38: "#,##0",
    39: "#,##0.00", 40: "#,##0.00", 41: "#,##0", 42: '"¥"#,##0', 43: "#,##0.00",
    44: '"¥"#,##0.00', 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    50: "[$-411]ge.m.d", 51: '[$-411]ggge"年"m"月"d"日"', 52: 'yyyy"年"m"月"', 53: 'm"月"d"日"',
    54: '[$-411]ggge"年"m"月"d"日"', 55: 'yyyy"年"m"月"', 56: 'm"月"d"日"', 57: "[$-411]ge.m.d",
    58: '[$-411]ggge"年"m"月"d"日"',
}  # fmt: skip
_ERAS = (
    (date(2019, 5, 1), "令和", "R"), (date(1989, 1, 8), "平成", "H"),
    (date(1926, 12, 25), "昭和", "S"), (date(1912, 7, 30), "大正", "T"),
    (date(1868, 1, 1), "明治", "M"),
)  # fmt: skip
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_LONG_MONTHS = (
    "January February March April May June July August September October November December".split()
)
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_QUOTED = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[\$([^\]-]*)[^\]]*\]|\[[^\]hHmMsS][^\]]*\]')
_DATE_PART = re.compile(
    r"\[h+\]|\[m+\]|\[s+\]|AM/PM|A/P|y+|g+|e+|m+|d+|a{3,4}|h+|s+(?:\.0+)?", re.I
)
_MAX_FORMAT_CHARS = 255


def shown(value: float, form: str, *, is_1904: bool = False) -> str:
    """`value` with the number format `form` (「#,##0"円"」, 「yyyy/m/d」)."""
    form = form[:_MAX_FORMAT_CHARS]
    if form in ("", "General", "@"):
        return plain(value)
    section = _section(form, value)
    if is_date(section):
        moment = moment_of(value, is_1904)
        return plain(value) if moment is None else _dated(section, moment, value)
    return _numbered(section, value, has_own_negative=";" in _unquoted(form))


def plain(value: float) -> str:
    """As a cell without a format shows it: at most 15 digits, no noise of binary fractions."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    text = f"{value:.11g}" if abs(value) < 1e11 else f"{value:.15g}"
    return text.replace("e+", "E+").replace("e-", "E-")


@cache
def is_date(form: str) -> bool:
    bare = _unquoted(form)
    return bool(re.search(r"[ymdhsg]|aaa", bare, re.I)) and not re.search(r"[#?]|General", bare)


@cache
def _unquoted(form: str) -> str:
    return _QUOTED.sub("", form)


def moment_of(value: float, is_1904: bool) -> datetime | None:
    """A serial number's date and time; 1900 has a 29th of February there."""
    start = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)
    if not 0 <= value < 2_958_466:
        return None
    if not is_1904 and value < 60:
        start += timedelta(days=1)
    seconds = round(value * 86_400, 3)
    return start + timedelta(seconds=seconds)


def _section(form: str, value: float) -> str:
    parts = re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', form)
    if value < 0 and len(parts) > 1:
        return parts[1]
    if value == 0 and len(parts) > 2:
        return parts[2]
    return parts[0]


# --- numbers -------------------------------------------------------------------------------------


def _numbered(section: str, value: float, has_own_negative: bool) -> str:
    pieces = _pieces(section)
    places = [index for index, (text, is_literal) in enumerate(pieces) if not is_literal and text]
    pattern = "".join(text for text, is_literal in pieces if not is_literal)
    if "General" in pattern:
        number = plain(abs(value) if has_own_negative else value)
        return "".join(number if not lit and text else text for text, lit in pieces)
    if not re.search("[0#?]", pattern):
        literal = "".join(text for text, _ in pieces)
        return literal.strip() if pattern.strip("-") == "" and literal else plain(value)
    number = _digits(pattern, abs(value))
    before = "".join(text for text, is_literal in pieces[: places[0]] if is_literal)
    after = "".join(text for text, is_literal in pieces[places[-1] + 1 :] if is_literal)
    rest = re.sub(r"[0#?.,/E]+[+]?[0#?]*", "\0", pattern, count=1)
    head, _, tail = rest.partition("\0")
    tail = re.sub(r"[0#?.,/]+", "", tail)
    sign = "-" if value < 0 and not has_own_negative else ""
    return f"{sign}{before}{head.strip()}{number}{tail.strip()}{after}".strip()


def _pieces(section: str) -> list[tuple[str, bool]]:
    """(text, is it literal?) in order."""
    found: list[tuple[str, bool]] = []
    position = 0
    for match in _QUOTED.finditer(section):
        found.append((section[position : match.start()], False))
        found.append((match[1] or match[2] or match[3] or "", True))
        position = match.end()
    found.append((section[position:], False))
    return found


def _digits(pattern: str, value: float) -> str:
    if "/" in pattern:
        return plain(value)
    value *= 100 ** pattern.count("%")
    whole, _, fraction = pattern.partition(".")
    decimals = re.match(r"[0#?]*", fraction)
    shape = decimals[0] if decimals else ""
    if "E" in pattern.upper():
        return f"{value:.{len(shape)}E}"
    scale = re.search(r"[0#?](,+)(?:$|[^0#?,])", whole) if not fraction else None
    trailing = len(scale[1]) if scale else 0
    value /= 1000**trailing
    text = f"{value + 0.0:,.{min(len(shape), 15)}f}" if abs(value) < 1e15 else plain(value)
    if value and not shape.strip("0"):
        text = f"{_half_up(value, len(shape)):,.{len(shape)}f}"
    while shape.endswith(("#", "?")) and text.endswith("0") and "." in text:
        text, shape = text[:-1], shape[:-1]
    text = text.removesuffix(".")
    if not re.search(r"[0#?],[0#?]", whole):
        text = text.replace(",", "")
    behind = len(text) - text.find(".") if "." in text else 0
    return text.zfill(whole.count("0") + behind)


def _half_up(value: float, decimals: int) -> float:
    """Excel rounds 0.5 up, and what is 0.5 but for its binary fraction."""
    scaled = value * 10**decimals
    return float(int(scaled + 0.5 + 1e-9 * max(1.0, abs(scaled) * 1e-3)) / 10**decimals)


# --- dates ---------------------------------------------------------------------------------------


def _dated(section: str, moment: datetime, value: float) -> str:
    pieces = _pieces(section)
    whole = "".join(text if not lit else "\0" * len(text) for text, lit in pieces)
    is_half_day = bool(re.search(r"AM/PM|A/P", whole, re.I))
    text = "".join(text for text, _ in pieces)
    result, position, last = "", 0, ""
    for match in _DATE_PART.finditer(whole):
        result += text[position : match.start()]
        part = match[0].lower()
        following = _DATE_PART.search(whole, match.end())
        is_minute = part.startswith("m") and (
            last.startswith(("h", "[h")) or (following is not None and following[0][0] in "sS")
        )
        result += _date_part(part, moment, value, is_minute and len(part) < 3, is_half_day)
        last, position = part, match.end()
    return (result + text[position:]).strip()


def _date_part(
    part: str, moment: datetime, value: float, is_minute: bool, is_half_day: bool
) -> str:
    kind, size = part[0], len(part)
    if kind == "[":
        unit = {"h": 24, "m": 1440, "s": 86_400}[part[1]]
        return f"{int(value * unit + 1e-6):0{size - 2}}"
    if part in ("am/pm", "a/p"):
        return "AM" if moment.hour < 12 else "PM"
    hour = (moment.hour - 1) % 12 + 1 if is_half_day else moment.hour
    if kind == "m" and is_minute:
        return f"{moment.minute:0{min(size, 2)}}"
    if kind == "h":
        return f"{hour:0{min(size, 2)}}"
    if kind == "s":
        return f"{moment.second:0{min(size, 2)}}"
    return _day_part(kind, size, moment)


def _day_part(kind: str, size: int, moment: datetime) -> str:
    match kind:
        case "y":
            return f"{moment.year:04}" if size > 2 else f"{moment.year % 100:02}"
        case "g" | "e":
            return _era(moment.date(), kind, size)
        case "m":
            names = {3: _MONTHS[moment.month - 1], 4: _LONG_MONTHS[moment.month - 1]}
            return names.get(size) or f"{moment.month:0{min(size, 2)}}"
        case "d" if size > 2:
            name = _DAYS[moment.weekday()]
            return name if size > 3 else name[:3]
        case "d":
            return f"{moment.day:0{size}}"
        case _:
            return "月火水木金土日"[moment.weekday()] + ("曜日" if size > 3 else "")


def _era(day: date, kind: str, size: int) -> str:
    for start, name, letter in _ERAS:
        if day >= start:
            if kind == "e":
                return f"{day.year - start.year + 1:0{size}}"
            return name if size >= 3 else name[0] if size == 2 else letter
    return str(day.year) if kind == "e" else ""
