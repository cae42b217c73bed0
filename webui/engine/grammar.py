"""Grammar and Matcher: which text may follow in one sequence, and which text must.

Knows bytes and characters, nothing about tokens or the vocabulary: full masks are made by
llama.cpp's own sampler, and a piece is allowed here exactly when it is allowed there. As in
`llama-grammar.cpp`, a position is a set of stacks of rule positions; here equal sets are one
`_State` that remembers its transitions, so that a grammar becomes a DFA while it is used.
Not thread-safe: a grammar and its matchers belong to one thread.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from math import inf
from typing import Self

from webui.engine.closing import ShortestEnds
from webui.engine.gbnf import CharSet, GrammarError, Rules, parse_rules

__all__ = ["Grammar", "GrammarError", "Matcher"]

MAX_EXPANSION = 10_000  # ways to begin one rule: stacks that one step can open
MAX_EXPANSION_SUM = 4_000_000  # over all rules: llama.cpp's work when it loads the grammar
MAX_REFERENCE_DEPTH = 5000  # rules that begin with rules that begin with …: recursion there
MAX_STATE_SIZE = 100_000  # positions in all stacks of one state
MAX_CACHE_SIZE = 200_000  # remembered per grammar, in units of about 100 bytes

OPEN_CHAR_SLACK = 16  # tokens that the rest of an unfinished character may take, generously

_MAX_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)

_NUM_FOLLOWING = (0,) * 8 + (-1,) * 4 + (1, 1, 2, 3)  # continuation bytes by leading half byte

_Stack = tuple[int, ...]  # positions still to be matched, the next one last; () = the end


class _State:
    """A set of stacks whose tops are terminals. No stacks: nothing matches any more."""

    __slots__ = ("_choices", "can_end", "next", "stacks", "tops")

    def __init__(self, stacks: frozenset[_Stack], symbols: list[CharSet | int | None]) -> None:
        self.stacks = stacks
        self.can_end = () in stacks
        self.next: dict[int, _State] = {}  # by code point
        self.tops: dict[CharSet, list[_Stack]] = {}
        self._choices: set[int] | None = None
        for stack in stacks:
            if stack:
                top = symbols[stack[-1]]
                assert isinstance(top, CharSet)
                self.tops.setdefault(top, []).append(stack)

    @property
    def choices(self) -> set[int]:
        """No, one or several of the characters that may follow."""
        if self._choices is None:
            self._choices = set()
            for top in self.tops:
                self._choices |= top.examples()
                if len(self._choices) > 1:
                    break
        return self._choices


class Grammar:
    """A parsed grammar and the states reached in it so far; shared by its matchers."""

    def __init__(self, parsed: Rules) -> None:
        self._symbols: list[CharSet | int | None] = []  # None ends an alternative
        self._starts: list[list[int]] = []  # per rule, where its alternatives begin
        for rule in parsed.rules:
            self._starts.append([])
            for alternative in rule:
                self._starts[-1].append(len(self._symbols))
                self._symbols += [*alternative, None]
        self._states: dict[frozenset[_Stack], _State] = {}
        self._cache_size = 0
        self.start = self._state(self._expand(map(self._at, self._starts[parsed.root])))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read GBNF. Raises GrammarError; its limits hold for whatever a stranger may send."""
        parsed = parse_rules(text)
        _Expansion(parsed).check()
        return cls(parsed)

    @cached_property
    def ends(self) -> ShortestEnds:
        return ShortestEnds(self._symbols, self._starts)

    def step(self, state: _State, char: int) -> _State:
        """The state after one more character, which may be the dead one."""
        following = state.next.get(char)
        if following is None:
            matching = [stacks for top, stacks in state.tops.items() if top.matches(char)]
            after = map(self._after, chain.from_iterable(matching))
            following = state.next[char] = self._state(self._expand(after))
            self._cache_size += 1
        return following

    def without_end(self, state: _State) -> _State:
        """The same position once the first bytes of another character stand there."""
        return self._state(state.stacks - {()}) if state.can_end else state

    def _state(self, stacks: frozenset[_Stack]) -> _State:
        state = self._states.get(stacks)
        if state is None:
            if self._cache_size > MAX_CACHE_SIZE:
                self._forget()
            self._cache_size += sum(map(len, stacks)) + 10
            state = self._states[stacks] = _State(stacks, self._symbols)
        return state

    def _forget(self) -> None:
        for state in self._states.values():
            state.next.clear()
        self._states = {self.start.stacks: self.start}
        self._cache_size = sum(map(len, self.start.stacks))

    def _at(self, position: int, below: _Stack = ()) -> _Stack:
        return below if self._symbols[position] is None else (*below, position)

    def _after(self, stack: _Stack) -> _Stack:
        return self._at(stack[-1] + 1, stack[:-1])

    def _expand(self, stacks: Iterable[_Stack]) -> frozenset[_Stack]:
        """Follow rule references until a terminal, or nothing, is on top of every stack."""
        todo = list(stacks)
        seen = set(todo)
        expanded = []
        size = 0
        while todo:
            stack = todo.pop()
            symbol = self._symbols[stack[-1]] if stack else None
            if not isinstance(symbol, int):
                expanded.append(stack)
                continue
            below = self._after(stack)
            for start in self._starts[symbol]:
                deeper = self._at(start, below)
                if deeper not in seen:
                    seen.add(deeper)
                    todo.append(deeper)
                    size += len(deeper) + 1
                    _check_limit(size, MAX_STATE_SIZE, "ambiguity or nesting at this place")
        return frozenset(expanded)


class Matcher:
    """Where one sequence stands in a grammar."""

    __slots__ = ("_grammar", "_num_missing", "_state", "_value")

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._state = grammar.start
        self._value = 0  # bits of a character whose last bytes have not come yet
        self._num_missing = 0  # how many bytes that character lacks

    def allows(self, piece: bytes) -> bool:
        """Whether a token with these bytes may follow. The empty piece and NUL never may."""
        return self._after(piece) is not None

    def accept(self, piece: bytes) -> None:
        """Advance. Raises GrammarError, and stays, when the piece is not allowed."""
        after = self._after(piece)
        if after is None:
            raise GrammarError(f"the grammar does not allow {piece[:40]!r} here")
        self._state, self._value, self._num_missing = after

    @property
    def can_end(self) -> bool:
        """Whether the end of generation is allowed here."""
        return self._state.can_end

    @property
    def must_end(self) -> bool:
        """Whether nothing but the end of generation is allowed here."""
        return self._state.can_end and not self._state.choices

    def forced(self, max_chars: int = 512) -> str:
        """The longest text with which every continuation begins; "" inside a character."""
        state = self._state
        text: list[str] = []
        while len(text) < max_chars and not (state.can_end or self._num_missing):
            if len(state.choices) != 1:
                break
            (char,) = state.choices
            if char > _MAX_CODE_POINT or char in _SURROGATES:
                break
            text.append(chr(char))
            state = self._grammar.step(state, char)
        return "".join(text)

    @property
    def num_bytes_to_end(self) -> float:
        """Length of the shortest text that ends here; a bit more inside a character."""
        ends = self._grammar.ends
        if not self._num_missing:
            return min(map(ends.cost, self._state.stacks), default=inf)
        return OPEN_CHAR_SLACK + min(map(ends.cost, self._state.stacks), default=inf)

    def shortest_end(self) -> str:
        """That text. Not inside a character."""
        ends = self._grammar.ends
        return ends.text(min(self._state.stacks, key=ends.cost))

    def copy(self) -> "Matcher":
        """A second matcher at the same place, independent from here on."""
        twin = Matcher(self._grammar)
        twin._state, twin._value, twin._num_missing = self._state, self._value, self._num_missing
        return twin

    def _after(self, piece: bytes) -> tuple[_State, int, int] | None:
        decoded = _decode(piece, self._value, self._num_missing)
        if decoded is None:
            return None
        chars, value, num_missing = decoded
        state = self._state
        for char in chars:
            state = state.next.get(char) or self._grammar.step(state, char)
            if not state.stacks:
                return None
        if num_missing:
            if not any(top.matches_partial(value, num_missing) for top in state.tops):
                return None
            if not chars:
                state = self._grammar.without_end(state)
        return state, value, num_missing


def _decode(piece: bytes, value: int, num_missing: int) -> tuple[list[int], int, int] | None:
    """Code points, then bits and number of missing bytes of a last, unfinished character.

    None when llama.cpp refuses the piece. Like its `decode_utf8` this ends at NUL, and checks
    continuation bytes only of the character that an earlier piece began. Unlike it, it refuses
    an overlong NUL (0xE0, then 0x80 0x80): there the mask allows it and accepting it aborts.
    """
    piece = piece.partition(b"\0")[0]
    if not piece:
        return None
    if not num_missing and piece.isascii():
        return list(piece), 0, 0
    chars: list[int] = []
    is_continued = num_missing > 0
    for byte in piece:
        if num_missing:
            if is_continued and byte >> 6 != 0b10:
                return None
            value = value << 6 | byte & 0x3F
            num_missing -= 1
        else:
            is_continued = False
            num_missing = _NUM_FOLLOWING[byte >> 4]
            if num_missing < 0:
                return None
            value = byte & ((1 << (7 - num_missing)) - 1)
        if not num_missing:
            chars.append(value)
    return None if 0 in chars else (chars, value, num_missing)


class _Expansion:
    """In how many ways each rule can begin: the stacks that llama.cpp opens when it comes to it."""

    def __init__(self, parsed: Rules) -> None:
        self._parsed = parsed
        self._num_ways: dict[int, int] = {}
        self._nullable: set[int] = set()

    def check(self) -> None:
        """Raise GrammarError on left recursion and on more ways than llama.cpp can take."""
        for rule_id in range(len(self._parsed.rules)):
            if rule_id not in self._num_ways:
                self._walk(rule_id)
        _check_limit(sum(self._num_ways.values()), MAX_EXPANSION_SUM, "too many alternatives")

    def _walk(self, rule_id: int) -> None:
        """Depth first over "begins with"; rules may be deeper than Python can recurse."""
        path = {rule_id: self._measure(rule_id)}
        while path:
            current, measuring = next(reversed(path.items()))
            name = self._parsed.names[current][:40]
            needed = next(measuring, None)
            if needed is None:
                del path[current]
                _check_limit(self._num_ways[current], MAX_EXPANSION, f"ways to begin {name!r}")
            elif needed in path:
                raise GrammarError(f"left recursion: the rule {name!r} begins with itself")
            else:
                path[needed] = self._measure(needed)
                _check_limit(len(path), MAX_REFERENCE_DEPTH, f"depth of the rules below {name!r}")

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


def _check_limit(number: int, limit: int, what: str) -> None:
    if number > limit:
        raise GrammarError(f"too large: {what}: {number}, at most {limit}")
