"""In how many ways the rules of a grammar can begin; too many are refused before it is followed.

Knows nothing about matching.
"""

from collections.abc import Iterator

from webui.engine.grammar.gbnf import GrammarError, Rules

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
