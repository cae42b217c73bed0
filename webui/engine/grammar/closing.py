"""ShortestEnds: the least text that ends a grammar from any of its positions. Knows no tokens.

Knuth's generalisation of Dijkstra's algorithm (1977): a rule costs as much as its cheapest
alternative, and rules are settled in the order of their cost.
"""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from math import inf

from webui.engine.grammar.gbnf import CharSet

PREFERRED = (0x20, 0x30, 0x61, 0x22)  # space, 0, a, quote: if they may stand here, they do
MAX_CHAR = 0x10FFFF

Symbol = CharSet | int | None  # a terminal, the index of a rule, the end of an alternative


class ShortestEnds:
    """`starts[rule]`: where in `symbols` its alternatives begin. Each ends with None."""

    def __init__(self, symbols: Sequence[Symbol], starts: Sequence[Sequence[int]]) -> None:
        self._symbols = symbols
        self._best: dict[int, int] = {}  # by rule: where its cheapest alternative begins
        self._chars: dict[CharSet, str] = {}
        costs = self._settle(starts)
        self._rest: list[float] = [0.0] * (len(symbols) + 1)
        for position in range(len(symbols) - 1, -1, -1):
            symbol = symbols[position]
            if symbol is not None:
                own = costs.get(symbol, inf) if isinstance(symbol, int) else self._cost(symbol)
                self._rest[position] = own + self._rest[position + 1]

    def cost(self, stack: Sequence[int]) -> float:
        """Bytes of the shortest text that matches all that is still to be matched."""
        return sum(self._rest[position] for position in stack)

    def text(self, stack: Sequence[int]) -> str:
        """That text. Only for a stack of finite cost."""
        found: list[str] = []
        todo = list(stack)
        while todo:
            position = todo.pop()
            symbol = self._symbols[position]
            if symbol is None:
                continue
            todo.append(position + 1)
            if isinstance(symbol, int):
                todo.append(self._best[symbol])
            else:
                found.append(self._char(symbol))
        return "".join(found)

    def _settle(self, starts: Sequence[Sequence[int]]) -> dict[int, float]:
        """The cost of every rule that can end at all."""
        waiting: dict[int, list[int]] = defaultdict(list)  # rule: alternatives that need it
        missing: dict[int, int] = {}  # alternative: rules not settled yet
        sums: dict[int, float] = {}
        owner = {start: rule for rule, alternatives in enumerate(starts) for start in alternatives}
        heap: list[tuple[float, int, int]] = []
        for start, rule in owner.items():
            needed, sums[start] = self._of_alternative(start)
            missing[start] = len(needed)
            for other in needed:
                waiting[other].append(start)
            if not needed:
                heapq.heappush(heap, (sums[start], rule, start))
        costs: dict[int, float] = {}
        while heap:
            cost, rule, start = heapq.heappop(heap)
            if rule in costs:
                continue
            costs[rule], self._best[rule] = cost, start
            for alternative in waiting[rule]:
                missing[alternative] -= 1
                sums[alternative] += cost
                if not missing[alternative]:
                    heapq.heappush(heap, (sums[alternative], owner[alternative], alternative))
        return costs

    def _of_alternative(self, start: int) -> tuple[list[int], float]:
        """The rules it needs, each as often as it stands there, and the bytes of its terminals."""
        needed: list[int] = []
        cost = 0.0
        position = start
        while (symbol := self._symbols[position]) is not None:
            if isinstance(symbol, int):
                needed.append(symbol)
            else:
                cost += self._cost(symbol)
            position += 1
        return needed, cost

    def _cost(self, chars: CharSet) -> float:
        char = self._char(chars)
        return len(char.encode()) if char else inf

    def _char(self, chars: CharSet) -> str:
        """One character of the set, plain if possible; "" when no text can have one."""
        if chars not in self._chars:
            lows = (max(low, 1) for low, _ in chars.ranges)
            highs = (high + 1 for _, high in chars.ranges)
            candidates = (*PREFERRED, *(highs if chars.negated else lows), 1)
            self._chars[chars] = next(
                (chr(c) for c in candidates if _is_text(c) and chars.matches(c)), ""
            )
        return self._chars[chars]


def _is_text(char: int) -> bool:
    return 0 < char <= MAX_CHAR and not 0xD800 <= char < 0xE000
