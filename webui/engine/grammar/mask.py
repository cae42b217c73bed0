"""PieceTable: which of all tokens a grammar allows at one place, found for all of them together.

Every piece of the vocabulary is kept as the code points that it spells. A grammar's states are
followed character by character for all pieces at once: pieces in the same state whose next
characters the grammar does not tell apart go on together. So equal work is done once, and the work
is counted by the grammar, which gives up on a text that is too ambiguous. (llama.cpp's own mask
follows every piece by itself, without merging equal stacks, which can take exponential time.)
"""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from webui.engine.grammar.matcher import Grammar, Matcher, State, decode_piece

MAX_REMEMBERED = 16  # masks of one grammar

Ids = np.ndarray


class PieceTable:
    """`pieces`: by token id; an empty one is never allowed."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._num_pieces = len(pieces)
        self._continuing = [(i, p) for i, p in enumerate(pieces) if p and p[0] >> 6 == 0b10]
        self._tails: dict[int, tuple[int, int]] = {}  # token: bits and number of missing bytes
        ids: list[int] = []
        texts: list[Ids] = []
        for token_id, piece in enumerate(pieces):
            if (text := self._text(token_id, piece)) is not None:
                ids.append(token_id)
                texts.append(text)
        self._ids: Ids = np.array(ids, np.int64)
        self._lengths: Ids = np.fromiter(map(len, texts), np.int64, len(texts))
        self._starts: Ids = np.cumsum(self._lengths) - self._lengths
        self._chars: Ids = np.concatenate([*texts, np.zeros(0, np.int32)]).astype(np.int64)

    def _text(self, token_id: int, piece: bytes) -> Ids | None:
        """Its whole characters; None when it is never allowed at the beginning of one."""
        if piece and 0 not in piece:
            with contextlib.suppress(UnicodeDecodeError):  # mostly this is all
                return np.frombuffer(piece.decode().encode("utf-32-le"), np.int32)
        decoded = decode_piece(piece, 0, 0)
        if decoded is None:
            return None
        chars, value, num_missing = decoded
        if num_missing:
            self._tails[token_id] = (value, num_missing)
        return np.array(chars, np.int32)

    def allowed(self, matcher: Matcher) -> np.ndarray:
        """bool[number of pieces]. Raises GrammarError when the grammar is too ambiguous here."""
        known = matcher.grammar.masks
        mask = known.get(matcher.place)
        if mask is None:
            if len(known) >= MAX_REMEMBERED:
                known.pop(next(iter(known)))
            mask = known[matcher.place] = self._find(matcher)
        return mask

    def _find(self, matcher: Matcher) -> np.ndarray:
        mask = np.zeros(self._num_pieces, bool)
        if matcher.place.num_missing:
            mask[[i for i, piece in self._continuing if matcher.allows(piece)]] = True
            return mask
        for state, rows in self._ends(matcher.grammar, matcher.place.state):
            ids = self._ids[rows]
            mask[ids] = True
            for token_id in self._tails.keys() & set(ids.tolist()):
                mask[token_id] = matcher.grammar.may_begin(state, *self._tails[token_id])
        return mask

    def _ends(self, grammar: Grammar, start: State) -> Iterator[tuple[State, Ids]]:
        """(state, rows of the pieces that lead there), without the dead state."""
        current: list[tuple[State, Ids]] = [(start, np.arange(len(self._ids)))]
        depth = 0
        while current:
            following: dict[State, list[Ids]] = {}
            for state, rows in current:
                is_over = self._lengths[rows] == depth
                if is_over.any():
                    yield state, rows[is_over]
                    rows = rows[~is_over]
                for after, some in self._step(grammar, state, rows, depth):
                    following.setdefault(after, []).append(some)
            current = [(state, np.concatenate(parts)) for state, parts in following.items()]
            depth += 1

    def _step(
        self, grammar: Grammar, state: State, rows: Ids, depth: int
    ) -> Iterator[tuple[State, Ids]]:
        """Where each of `rows` goes with its character number `depth`."""
        if not len(rows):
            return
        chars = self._chars[self._starts[rows] + depth]
        # Between two borders all characters are the same to this state.
        sections = np.searchsorted(state.borders, chars, side="right")
        order = np.argsort(sections, kind="stable")
        cuts = np.flatnonzero(np.diff(sections[order])) + 1
        for part in np.split(order, cuts):
            after = grammar.step(state, int(chars[part[0]]))
            if after.stacks:
                yield after, rows[part]
