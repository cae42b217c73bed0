"""Regular expressions → GBNF: ECMA-262's language as far as it is regular.

What a grammar cannot follow (looking around, back references, word borders) is a RegexError. Knows
nothing about schemas; inside a JSON string each character is written as JSON escapes it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_CHARS = 10_000
MAX_DEPTH = 50
MAX_REPEATS = 2000  # what GBNF takes
LAST = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]  # code points, ascending, disjoint
AddRule = Callable[[str], str]  # a rule's body → its name

DIGIT: Ranges = ((0x30, 0x39),)
WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Ranges = ((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x3000, 0x3000))
NEWLINES: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
PROPERTIES: dict[str, Ranges] = {  # some of each: a grammar may allow less
    "L": ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0xD6), (0xD8, 0xF6), (0x3041, 0x3096)),
    "Lu": ((0x41, 0x5A),),
    "Ll": ((0x61, 0x7A),),
    "N": DIGIT,
    "Nd": DIGIT,
}
ESCAPED = {"n": 0x0A, "r": 0x0D, "t": 0x09, "f": 0x0C, "v": 0x0B, "0": 0}
CLASSES = {"d": DIGIT, "w": WORD, "s": SPACE}
PLAIN_IN_JSON: Ranges = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7E), (0x80, 0xD7FF), (0xE000, LAST))
PLAIN: Ranges = ((0x09, 0x0A), (0x0D, 0x0D), (0x20, 0x7E), (0x80, 0xD7FF), (0xE000, LAST))
JSON_ESCAPES = {0x22: '"', 0x5C: "\\", 0x08: "b", 0x0C: "f", 0x0A: "n", 0x0D: "r", 0x09: "t"}
_BOUNDS = re.compile(r"\{(\d{1,6})(?:(,)(\d{1,6})?)?\}")


class RegexError(ValueError):
    """The expression is wrong, or no grammar can follow it; says what stands there."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    """One alternative, with the anchors at its ends."""

    items: tuple[str, ...]
    is_at_start: bool = False
    is_at_end: bool = False


def text_grammar(pattern: str) -> str:
    """The grammar of a text that `pattern` matches as a whole. Raises RegexError."""
    rules: list[str] = []

    def add(body: str) -> str:
        rules.append(body)
        return f"x{len(rules)}"

    root = _Parser(pattern, add, in_json=False).whole(is_search=False)
    lines = [f"x{number} ::= {body}" for number, body in enumerate(rules, 1)]
    return "\n".join([f"root ::= {root}", *lines]) + "\n"


def string_body(pattern: str, add: AddRule, any_char: str) -> str:
    """What may stand between the quotes of a JSON string in which `pattern` is found.

    `any_char` is the rule of any one character. Raises RegexError.
    """
    return _Parser(pattern, add, in_json=True).whole(is_search=True, any_char=any_char)


class _Parser:
    def __init__(self, pattern: str, add: AddRule, *, in_json: bool) -> None:
        if len(pattern) > MAX_CHARS:
            raise RegexError(f"more than {MAX_CHARS} characters")
        self._text = pattern
        self._at = 0
        self._add = add
        self._in_json = in_json

    def whole(self, *, is_search: bool, any_char: str = "") -> str:
        sequences = self._alternatives(0)
        if self._at < len(self._text):
            raise RegexError(f"an unexpected {self._text[self._at]!r}")
        found = []
        for sequence in sequences:
            before = [f"{any_char}*"] if is_search and not sequence.is_at_start else []
            after = [f"{any_char}*"] if is_search and not sequence.is_at_end else []
            found.append(" ".join([*before, *sequence.items, *after]) or '""')
        return self._add(" | ".join(found))

    def _alternatives(self, depth: int) -> list[_Sequence]:
        """Anchors count at the ends of what stands at the top, or in a group that is all of it."""
        if depth > MAX_DEPTH:
            raise RegexError(f"more than {MAX_DEPTH} groups inside each other")
        found = self._sequence(depth)
        while self._takes("|"):
            found += self._sequence(depth)
        return found

    def _sequence(self, depth: int) -> list[_Sequence]:
        items: list[str] = []
        is_at_start = is_at_end = False
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            if self._takes("^"):
                if items:
                    raise RegexError("^ inside")
                is_at_start = True
                continue
            if self._takes("$"):
                is_at_end = True
                continue
            if is_at_end:
                raise RegexError("$ inside")
            inner = self._group(depth) if self._text[self._at] == "(" else None
            is_all = not items and not is_at_start and self._is_over()
            if inner and is_all and any(one.is_at_start or one.is_at_end for one in inner):
                return inner
            items.append(self._repeated(self._joined(inner) if inner else self._atom()))
        return [_Sequence(tuple(items), is_at_start, is_at_end)]

    def _is_over(self) -> bool:
        return self._at == len(self._text) or self._text[self._at] in "|)"

    def _group(self, depth: int) -> list[_Sequence]:
        self._at += 1
        if self._takes("?"):
            name = re.compile(r":|P?<[A-Za-z_]\w*>").match(self._text, self._at)
            if not name:
                raise RegexError(f"(?{self._text[self._at : self._at + 2]}…)")
            self._at = name.end()
        inner = self._alternatives(depth + 1)
        if not self._takes(")"):
            raise RegexError("a group without its end")
        return inner

    def _joined(self, inner: list[_Sequence]) -> str:
        if any(one.is_at_start or one.is_at_end for one in inner):
            raise RegexError("^ or $ inside a group")
        return self._add(" | ".join(" ".join(one.items) or '""' for one in inner))

    def _repeated(self, item: str) -> str:
        bounds = ""
        if self._at < len(self._text):
            char = self._text[self._at]
            if char in "*+?":
                self._at, bounds = self._at + 1, char
            elif found := _BOUNDS.match(self._text, self._at):
                self._at = found.end()
                bounds = self._bounds(int(found[1]), found[2], found[3])
        if bounds:
            self._takes("?")  # lazy: the same texts
            if self._at < len(self._text) and self._text[self._at] in "*+":
                raise RegexError("two repetitions")
        return item + bounds

    @staticmethod
    def _bounds(low: int, comma: str | None, high: str | None) -> str:
        if low > MAX_REPEATS:
            raise RegexError(f"more than {MAX_REPEATS} repetitions")
        if not comma:
            return f"{{{low}}}"
        if high is None:
            return f"{{{low},}}"
        if int(high) < low:
            raise RegexError("a repetition whose bounds are the wrong way round")
        return f"{{{low},{min(int(high), MAX_REPEATS)}}}"

    def _atom(self) -> str:
        char = self._text[self._at]
        self._at += 1
        if char == "[":
            return self._emit(self._class())
        if char == ".":
            return self._emit(_complement(NEWLINES))
        if char == "\\":
            return self._emit(self._escape(in_class=False))
        if char in "*+?":
            raise RegexError(f"a {char} with nothing before it")
        return self._emit(((ord(char), ord(char)),))

    def _class(self) -> Ranges:
        is_negated = self._takes("^")
        found: list[tuple[int, int]] = []
        while not self._takes("]"):
            low = self._member()
            is_range = (
                self._text.startswith("-", self._at) and self._text[self._at + 1 :][:1] != "]"
            )
            if is_range and len(low) == 1 and low[0][0] == low[0][1]:
                self._at += 1
                high = self._member()
                if high[-1][1] < low[0][0]:
                    raise RegexError("a range whose ends are the wrong way round")
                found.append((low[0][0], high[-1][1]))
            else:
                found += low
        ranges = _sorted(found)
        return _complement(ranges) if is_negated else ranges

    def _member(self) -> Ranges:
        if self._at >= len(self._text):
            raise RegexError("a [ without its ]")
        char = self._text[self._at]
        self._at += 1
        return self._escape(in_class=True) if char == "\\" else ((ord(char), ord(char)),)

    def _escape(self, *, in_class: bool) -> Ranges:
        if self._at >= len(self._text):
            raise RegexError("a \\ at the end")
        char = self._text[self._at]
        self._at += 1
        if char.lower() in CLASSES:
            ranges = CLASSES[char.lower()]
            return ranges if char.islower() else _complement(ranges)
        if char in "pP":
            return self._property(is_negated=char == "P")
        if char in "xu":
            return self._code(char)
        if char in ESCAPED:
            return ((ESCAPED[char], ESCAPED[char]),)
        if char == "b" and in_class:
            return ((8, 8),)
        if char.isalnum():
            raise RegexError(f"\\{char}")
        return ((ord(char), ord(char)),)

    def _property(self, *, is_negated: bool) -> Ranges:
        name = re.compile(r"\{(\w+)\}").match(self._text, self._at)
        if not name or name[1] not in PROPERTIES or is_negated:
            raise RegexError("\\p of this kind")
        self._at = name.end()
        return PROPERTIES[name[1]]

    def _code(self, kind: str) -> Ranges:
        form = r"[0-9a-fA-F]{2}" if kind == "x" else r"[0-9a-fA-F]{4}|\{[0-9a-fA-F]{1,6}\}"
        code = re.compile(form).match(self._text, self._at)
        if not code:
            raise RegexError(f"\\{kind} without its code")
        self._at = code.end()
        value = int(code[0].strip("{}"), 16)
        return ((value, value),)

    def _takes(self, char: str) -> bool:
        if self._text.startswith(char, self._at):
            self._at += 1
            return True
        return False

    def _emit(self, ranges: Ranges) -> str:
        """The characters as GBNF. Raises RegexError when no text can have one of them."""
        allowed = _common(ranges, PLAIN_IN_JSON if self._in_json else PLAIN)
        found = [_written(allowed)] if allowed else []
        if self._in_json:
            escapes = [
                text for code, text in JSON_ESCAPES.items() if _common(ranges, ((code, code),))
            ]
            if escapes and (len(escapes) < len(JSON_ESCAPES) or not found):
                found += [_literal("\\" + text) for text in escapes]
        if not found:
            raise RegexError("a character that no text can have")
        return found[0] if len(found) == 1 else self._add(" | ".join(found))


def _written(ranges: Ranges) -> str:
    parts = (_code(low) + (f"-{_code(high)}" if high > low else "") for low, high in ranges)
    return f"[{''.join(parts)}]"


def _code(char: int) -> str:
    if char < 0x80 and chr(char).isalnum():
        return chr(char)
    return f"\\U{char:08X}" if char > 0xFFFF else f"\\u{char:04X}"


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _sorted(ranges: list[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _complement(ranges: Ranges) -> Ranges:
    found, start = [], 0
    for low, high in ranges:
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    return (*found, (start, LAST)) if start <= LAST else tuple(found)


def _common(first: Ranges, second: Ranges) -> Ranges:
    pairs = ((max(a, c), min(b, d)) for a, b in first for c, d in second)
    return _sorted([(low, high) for low, high in pairs if low <= high])
