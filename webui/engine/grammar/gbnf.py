"""GBNF, llama.cpp's grammar language: its text becomes rules. Knows nothing about matching.

Language and rewriting are those of llama.cpp (`src/llama-grammar.cpp`), quirks included, because
its sampler reads the same text. Grammars come from strangers: what would make llama.cpp hang, run
out of memory or abort while reading is a GrammarError here, as is everything that it refuses.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_CHARS = 200_000
MAX_ELEMENTS = 250_000  # characters, ranges and references, with repetitions written out
MAX_REPETITIONS = 2000  # llama.cpp's MAX_REPETITION_THRESHOLD
MAX_GROUP_DEPTH = 50
MAX_ALTERNATIVES = 10_000  # of one rule or group

_NAME = re.compile(r"[a-zA-Z0-9-]+")
_NUMBER = re.compile(r"[0-9]+")
_PLAIN = re.compile(r'[^"\\\0]+')
_HEX = re.compile(r"[0-9a-fA-F]+")
_BLANKS = re.compile(r"(?:[ \t]+|#[^\r\n\0]*)*+")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]+|#[^\r\n\0]*)*+")
_OPERATORS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"} | {char: char for char in '\\"[]-'}


class GrammarError(ValueError):
    """The grammar cannot be used, or the text does not follow it; says where and why."""


@dataclass(frozen=True, slots=True, eq=False)
class CharSet:
    """One terminal: the code points it matches, ranges as written (`[z-a]` matches nothing).

    Compared by identity, which is what makes a set of stacks quick to hash.
    """

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False

    def matches(self, char: int) -> bool:
        for low, high in self.ranges:
            if low <= char <= high:
                return not self.negated
        return self.negated

    def matches_partial(self, value: int, num_missing: int) -> bool:
        """Whether a character may begin so, by llama.cpp's rule: `[^あ]` refuses all of U+3000…"""
        if num_missing == 1 and value < 2:
            return False  # an ASCII character in two bytes
        low = value << (num_missing * 6)
        high = low | ((1 << (num_missing * 6)) - 1)
        if low == 0:
            low = {2: 1 << 11, 3: 1 << 16}[num_missing]
        for first, last in self.ranges:
            if first <= high and low <= last:
                return not self.negated
        return self.negated

    def examples(self) -> set[int]:
        """Enough of the characters to tell none, one and several apart. NUL is never generated."""
        if self.negated:
            return {1, 2}
        found: set[int] = set()
        for low, high in self.ranges:
            if max(low, 1) <= high:
                found |= {max(low, 1), high}
            if len(found) > 1:
                break
        return found


_ANY = CharSet(((0, 0xFFFFFFFF),))

Symbol = CharSet | int  # a terminal or the index of a rule
Rule = list[list[Symbol]]  # alternatives; one that matches the empty text is []


@dataclass(frozen=True, slots=True)
class Rules:
    """A grammar: repetitions and groups have become rules, named after the rule they stand in."""

    rules: list[Rule]
    names: list[str]
    root: int  # index of the rule `root`


def parse_rules(text: str) -> Rules:
    """Read a grammar. Raises GrammarError; left recursion is not looked for here."""
    if len(text) > MAX_CHARS:
        raise GrammarError(f"too large: {len(text)} characters, at most {MAX_CHARS}")
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise GrammarError("the grammar contains NUL or half of a surrogate pair")
    return _Parser(text).parse()


class _Parser:
    """Recursive descent over the text, in the order and with the rewriting of llama.cpp."""

    def __init__(self, text: str) -> None:
        self._text = text + "\0"
        self._at = 0
        self._ids: dict[str, int] = {}
        self._rules: list[Rule | None] = []  # None: referred to, not (yet) defined
        self._names: list[str] = []
        self._name = ""  # the rule being read
        self._num_elements = 0
        self._characters: dict[str, CharSet] = {}

    def parse(self) -> Rules:
        self._skip(_BLANK_LINES)
        while not self._sees("\0"):
            self._rule()
        for name, rule_id in self._ids.items():
            if self._rules[rule_id] is None:
                raise GrammarError(f"the rule {name[:40]!r} is used but not defined")
        if "root" not in self._ids:
            raise GrammarError("there is no rule 'root'")
        rules = [rule for rule in self._rules if rule is not None]
        return Rules(rules, self._names, self._ids["root"])

    def _rule(self) -> None:
        self._name = self._expect(_NAME, "a rule name")
        rule_id = self._rule_id(self._name)
        self._skip(_BLANKS)
        if not self._text.startswith("::=", self._at):
            raise self._error("expecting '::='")
        self._at += 3
        self._skip(_BLANK_LINES)
        self._rules[rule_id] = self._alternatives(0)  # a second definition replaces the first
        if not self._sees("\r", "\n", "\0"):
            raise self._error("expecting the end of the line")
        self._skip(_BLANK_LINES)

    def _alternatives(self, depth: int) -> Rule:
        rule = [self._sequence(depth)]
        while self._takes("|"):
            self._skip(_BLANK_LINES)
            rule.append(self._sequence(depth))
            if len(rule) > MAX_ALTERNATIVES:
                raise self._error(f"more than {MAX_ALTERNATIVES} alternatives")
        return rule

    def _sequence(self, depth: int) -> list[Symbol]:
        """`start` is where the last item begins, `weight` llama.cpp's measure of its repetition."""
        space = _BLANK_LINES if depth else _BLANKS
        sequence: list[Symbol] = []
        start, weight = 0, 1
        while True:
            num_rules_before = len(self._rules)
            is_group = self._sees("(")
            if (item := self._item(depth)) is not None:
                start = len(sequence)
                weight = len(self._rules) - num_rules_before if is_group else 1
                sequence += item
            elif (bounds := self._bounds(space)) is not None:
                weight = self._repeat(sequence, start, weight, *bounds)
            else:
                self._spend(len(sequence) + 1)
                return sequence
            self._skip(space)

    def _item(self, depth: int) -> list[Symbol] | None:
        if self._takes('"'):
            return self._literal()
        if self._takes("["):
            return self._char_class()
        if self._takes("("):
            return self._group(depth + 1)
        if self._takes("."):
            return [_ANY]
        if self._sees("<", "!"):
            raise self._error("token elements like <token> or <[id]> are not supported")
        if name := _NAME.match(self._text, self._at):
            self._at = name.end()
            return [self._rule_id(name.group())]
        return None

    def _literal(self) -> list[Symbol]:
        literal: list[Symbol] = []
        while not self._takes('"'):
            if plain := _PLAIN.match(self._text, self._at):
                self._at = plain.end()
                literal += map(self._character, plain.group())
            else:
                char = self._char()
                literal.append(CharSet(((char, char),)))
        return literal

    def _char_class(self) -> list[Symbol]:
        negated = self._takes("^")
        ranges = []
        while not self._takes("]"):
            low = high = self._char()
            if self._sees("-") and self._text[self._at + 1] != "]":
                self._at += 1
                high = self._char()
            ranges.append((low, high))
        self._spend(len(ranges))
        return [CharSet(tuple(ranges), negated)] if ranges else []  # `[]` is the empty text

    def _group(self, depth: int) -> list[Symbol]:
        if depth > MAX_GROUP_DEPTH:
            raise self._error(f"more than {MAX_GROUP_DEPTH} groups inside each other")
        self._skip(_BLANK_LINES)
        rule_id = self._new_rule(self._name)
        self._rules[rule_id] = self._alternatives(depth)
        if not self._takes(")"):
            raise self._error("expecting ')'")
        return [rule_id]

    def _bounds(self, space: re.Pattern[str]) -> tuple[int, int | None] | None:
        """The repetition that stands here, as least and greatest number of times."""
        if not self._sees("*", "+", "?", "{"):
            return None
        operator = self._text[self._at]
        self._at += 1
        if operator != "{":
            return _OPERATORS[operator]
        self._skip(space)
        low = self._number()
        high: int | None = low
        self._skip(space)
        if self._takes(","):
            self._skip(space)
            high = None if self._sees("}") else self._number()
            self._skip(space)
        if not self._takes("}"):
            raise self._error("expecting '}'")
        if low > MAX_REPETITIONS:
            raise self._error(f"more than {MAX_REPETITIONS} repetitions")
        if high is not None and high < low:  # llama.cpp would never come back
            raise self._error(f"{{{low},{high}}} repeats less than its least number of times")
        return low, high if high is None or high <= MAX_REPETITIONS else None

    def _repeat(
        self, sequence: list[Symbol], start: int, weight: int, low: int, high: int | None
    ) -> int:
        """Rewrite the last item S: S{m,n} -> S … S S', S' ::= S S'' | , … S* -> S' ::= S S' | ."""
        item = sequence[start:]
        if not item:
            raise self._error("nothing stands before the repetition")
        weight *= high or low or 1
        if weight > MAX_REPETITIONS:
            raise self._error(f"more than {MAX_REPETITIONS} repetitions inside each other")
        num_optional = 1 if high is None else high - low
        size = sum(1 if isinstance(symbol, int) else len(symbol.ranges) for symbol in item)
        self._spend(low * size + num_optional * (size + 3))
        sequence[start:] = item * low
        rest: list[Symbol] = []
        for _ in range(num_optional):
            rule_id = self._new_rule(self._name)
            self._rules[rule_id] = [[*item, *([rule_id] if high is None else rest)], []]
            rest = [rule_id]
        sequence += rest
        return weight

    def _char(self) -> int:
        """One character of a literal or a class, escapes resolved."""
        char = self._text[self._at]
        if char == "\0":
            raise self._error('unexpected end of the grammar inside " or [')
        self._at += 1
        if char != "\\":
            return ord(char)
        escape = self._text[self._at]
        self._at += 1
        if (num_digits := _HEX_ESCAPES.get(escape)) is not None:
            digits = _HEX.match(self._text, self._at, self._at + num_digits)
            if digits is None or len(digits.group()) < num_digits:
                raise self._error(f"\\{escape} needs {num_digits} hexadecimal digits")
            self._at = digits.end()
            return int(digits.group(), 16)
        if escape not in _ESCAPES:
            raise self._error("unknown escape after \\")
        return ord(_ESCAPES[escape])

    def _character(self, char: str) -> CharSet:
        if char not in self._characters:
            self._characters[char] = CharSet(((ord(char), ord(char)),))
        return self._characters[char]

    def _number(self) -> int:
        digits = self._expect(_NUMBER, "a number")
        if len(digits) > 18:  # llama.cpp reads it into 64 bits
            raise self._error("this number of repetitions is too large")
        return int(digits)

    def _rule_id(self, name: str) -> int:
        if name not in self._ids:
            self._ids[name] = self._new_rule(name)
        return self._ids[name]

    def _new_rule(self, name: str) -> int:
        self._rules.append(None)
        self._names.append(name)
        return len(self._rules) - 1

    def _spend(self, num_elements: int) -> None:
        self._num_elements += num_elements
        if self._num_elements > MAX_ELEMENTS:
            raise self._error(f"too large: more than {MAX_ELEMENTS} elements up to here")

    def _sees(self, *chars: str) -> bool:
        return self._text[self._at] in chars

    def _takes(self, char: str) -> bool:
        found = self._text[self._at] == char
        self._at += found
        return found

    def _skip(self, space: re.Pattern[str]) -> None:
        if found := space.match(self._text, self._at):
            self._at = found.end()

    def _expect(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._error(f"expecting {what}")
        self._at = found.end()
        return found.group()

    def _error(self, what: str) -> GrammarError:
        line = self._text.count("\n", 0, self._at) + 1
        return GrammarError(f"line {line}: {what}, at {self._text[self._at : self._at + 20]!r}")


MAX_EXPANSION = 10_000  # ways to begin one rule: stacks that one step can open
MAX_EXPANSION_SUM = 4_000_000  # over all rules
MAX_REFERENCE_DEPTH = 5000  # rules that begin with rules that begin with …


def check_expansion(parsed: Rules) -> None:
    """Raise GrammarError on left recursion and on more ways than can be followed."""
    _Expansion(parsed).check()


def check_limit(number: int, limit: int, what: str) -> None:
    """Raise GrammarError when `number` of `what` is more than `limit`."""
    if number > limit:
        raise GrammarError(f"too large: {what}: {number}, at most {limit}")


class _Expansion:
    """The stacks that are opened when a rule is come to."""

    def __init__(self, parsed: Rules) -> None:
        self._parsed = parsed
        self._num_ways: dict[int, int] = {}
        self._nullable: set[int] = set()

    def check(self) -> None:
        for rule_id in range(len(self._parsed.rules)):
            if rule_id not in self._num_ways:
                self._walk(rule_id)
        check_limit(sum(self._num_ways.values()), MAX_EXPANSION_SUM, "too many alternatives")

    def _walk(self, rule_id: int) -> None:
        """Depth first over "begins with"; rules may be deeper than Python can recurse."""
        path = {rule_id: self._measure(rule_id)}
        while path:
            current, measuring = next(reversed(path.items()))
            name = self._parsed.names[current][:40]
            needed = next(measuring, None)
            if needed is None:
                del path[current]
                check_limit(self._num_ways[current], MAX_EXPANSION, f"ways to begin {name!r}")
            elif needed in path:
                raise GrammarError(f"left recursion: the rule {name!r} begins with itself")
            else:
                path[needed] = self._measure(needed)
                check_limit(len(path), MAX_REFERENCE_DEPTH, f"depth of the rules below {name!r}")

    def _measure(self, rule_id: int) -> Iterator[int]:
        """Count the ways to begin a rule; yields each rule that must be measured before it."""
        total = 1
        for alternative in self._parsed.rules[rule_id]:
            for symbol in alternative:
                if not isinstance(symbol, int):
                    total += 1
                    break
                if symbol not in self._num_ways:
                    yield symbol
                total += self._num_ways[symbol]
                if symbol not in self._nullable:
                    break
            else:
                total += 1
                self._nullable.add(rule_id)
        self._num_ways[rule_id] = total
