"""Grammar and Matcher: which text may follow in one sequence, and which text must.

Knows bytes and characters, nothing about tokens or the vocabulary. A piece is allowed here exactly
when llama.cpp's own grammar sampler allows it. As in `llama-grammar.cpp`, a position is a set of
stacks of rule positions; here equal sets are one `State` that remembers its transitions, so that a
grammar becomes a DFA while it is used. Grammars come from strangers: their work is counted, and one
that needs too much of it ends with a GrammarError instead of holding up everybody else.
Not thread-safe: a grammar and its matchers belong to one thread.
"""

from collections.abc import Iterable
from functools import cached_property
from itertools import chain
from math import inf
from typing import NamedTuple, Self

import numpy as np

from webui.engine.grammar.closing import ShortestEnds
from webui.engine.grammar.gbnf import (
    CharSet,
    GrammarError,
    Rules,
    check_expansion,
    check_limit,
    parse_rules,
)

__all__ = ["Grammar", "GrammarError", "Matcher", "Place", "State", "decode_piece"]

MAX_STATE_SIZE = 100_000  # positions in all stacks of one state
MAX_CACHE_SIZE = 200_000  # remembered per grammar, in units of about 100 bytes
FREE_WORK = 4_000_000  # positions and terminals looked at: about two seconds …
WORK_PER_CHAR = 50_000  # … and for every character that the text grows by

OPEN_CHAR_SLACK = 16  # tokens that the rest of an unfinished character may take, generously

_MAX_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)

_NUM_FOLLOWING = (0,) * 8 + (-1,) * 4 + (1, 1, 2, 3)  # continuation bytes by leading half byte

_Stack = tuple[int, ...]  # positions still to be matched, the next one last; () = the end


class State:
    """A set of stacks whose tops are terminals. No stacks: nothing matches any more."""

    __slots__ = ("_borders", "_choices", "can_end", "next", "stacks", "tops")

    def __init__(self, stacks: frozenset[_Stack], symbols: list[CharSet | int | None]) -> None:
        self.stacks = stacks
        self.can_end = () in stacks
        self.next: dict[int, State] = {}  # by code point
        self.tops: dict[CharSet, list[_Stack]] = {}
        self._choices: set[int] | None = None
        self._borders: np.ndarray | None = None
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

    @property
    def borders(self) -> np.ndarray:
        """int64, ascending: characters between two of them are all the same to this state."""
        if self._borders is None:
            ranges = (bounds for top in self.tops for bounds in top.ranges)
            found = {border for low, high in ranges for border in (low, high + 1)}
            self._borders = np.array(sorted(found), np.int64)
        return self._borders


class Place(NamedTuple):
    """A place in a text: the state, and the bits of a character whose last bytes are missing."""

    state: State
    value: int = 0
    num_missing: int = 0


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
        self._states: dict[frozenset[_Stack], State] = {}
        self._cache_size = 0
        self.work_left = FREE_WORK
        self.masks: dict[Place, np.ndarray] = {}  # whatever mask.py wants to remember
        self.start = self._state(self._expand(map(self._at, self._starts[parsed.root])))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read GBNF. Raises GrammarError; its limits hold for whatever a stranger may send."""
        parsed = parse_rules(text)
        check_expansion(parsed)
        return cls(parsed)

    @cached_property
    def ends(self) -> ShortestEnds:
        return ShortestEnds(self._symbols, self._starts)

    def step(self, state: State, char: int) -> State:
        """The state after one more character, which may be the dead one."""
        following = state.next.get(char)
        if following is None:
            self.spend(sum(len(top.ranges) for top in state.tops))
            matching = [stacks for top, stacks in state.tops.items() if top.matches(char)]
            after = map(self._after, chain.from_iterable(matching))
            following = state.next[char] = self._state(self._expand(after))
            self._cache_size += 1
        return following

    def spend(self, work: int) -> None:
        """Raises GrammarError when the grammar has used up what it may. Negative: earn."""
        self.work_left -= work
        if self.work_left < 0:
            raise GrammarError("too ambiguous: following it takes too long")

    def may_begin(self, state: State, value: int, num_missing: int) -> bool:
        """Whether a character that begins with these bits may follow."""
        self.spend(len(state.tops))
        return any(top.matches_partial(value, num_missing) for top in state.tops)

    def without_end(self, state: State) -> State:
        """The same position once the first bytes of another character stand there."""
        return self._state(state.stacks - {()}) if state.can_end else state

    def _state(self, stacks: frozenset[_Stack]) -> State:
        state = self._states.get(stacks)
        if state is None:
            if self._cache_size > MAX_CACHE_SIZE:
                self._forget()
            self._cache_size += sum(map(len, stacks)) + 10
            state = self._states[stacks] = State(stacks, self._symbols)
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
            self.spend(len(self._starts[symbol]) * (len(below) + 2))
            for start in self._starts[symbol]:
                deeper = self._at(start, below)
                if deeper not in seen:
                    seen.add(deeper)
                    todo.append(deeper)
                    size += len(deeper) + 1
                    check_limit(size, MAX_STATE_SIZE, "ambiguity or nesting at this place")
        self.spend(len(seen))
        return frozenset(expanded)


class Matcher:
    """Where one sequence stands in a grammar."""

    __slots__ = ("grammar", "place")

    def __init__(self, grammar: Grammar, place: Place | None = None) -> None:
        self.grammar = grammar
        self.place = place or Place(grammar.start)

    def allows(self, piece: bytes) -> bool:
        """Whether a token with these bytes may follow. The empty piece and NUL never may."""
        return self._after(piece) is not None

    def accept(self, piece: bytes) -> None:
        """Advance. Raises GrammarError, and stays, when the piece is not allowed."""
        after = self._after(piece)
        if after is None:
            raise GrammarError(f"the grammar does not allow {piece[:40]!r} here")
        self.place = after
        self.grammar.spend(-WORK_PER_CHAR * len(piece))

    @property
    def can_end(self) -> bool:
        """Whether the end of generation is allowed here."""
        return self.place.state.can_end

    @property
    def must_end(self) -> bool:
        """Whether nothing but the end of generation is allowed here."""
        return self.place.state.can_end and not self.place.state.choices

    def forced(self, max_chars: int = 512) -> str:
        """The longest text with which every continuation begins; "" inside a character."""
        state = self.place.state
        text: list[str] = []
        while len(text) < max_chars and not (state.can_end or self.place.num_missing):
            if len(state.choices) != 1:
                break
            (char,) = state.choices
            if char > _MAX_CODE_POINT or char in _SURROGATES:
                break
            text.append(chr(char))
            state = self.grammar.step(state, char)
        return "".join(text)

    @property
    def num_bytes_to_end(self) -> float:
        """Length of the shortest text that ends here; a bit more inside a character."""
        ends = self.grammar.ends
        if not self.place.num_missing:
            return min(map(ends.cost, self.place.state.stacks), default=inf)
        return OPEN_CHAR_SLACK + min(map(ends.cost, self.place.state.stacks), default=inf)

    def shortest_end(self) -> str:
        """That text. Not inside a character."""
        ends = self.grammar.ends
        return ends.text(min(self.place.state.stacks, key=ends.cost))

    def copy(self) -> "Matcher":
        """A second matcher at the same place, independent from here on."""
        return Matcher(self.grammar, self.place)

    def _after(self, piece: bytes) -> Place | None:
        state, value, num_missing = self.place
        decoded = decode_piece(piece, value, num_missing)
        if decoded is None:
            return None
        chars, value, num_missing = decoded
        for char in chars:
            state = state.next.get(char) or self.grammar.step(state, char)
            if not state.stacks:
                return None
        if num_missing:
            if not self.grammar.may_begin(state, value, num_missing):
                return None
            if not chars:
                state = self.grammar.without_end(state)
        return Place(state, value, num_missing)


def decode_piece(piece: bytes, value: int, num_missing: int) -> tuple[list[int], int, int] | None:
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
