"""Numbers within bounds as GBNF: every text that it allows is such a number. Knows no schemas."""

import math
from decimal import Decimal

MAX_DIGITS = 15  # exact in a double
LIMIT = 10**MAX_DIGITS - 1
MAX_LISTED = 1000  # multiples that are written out
MAX_REMAINDERS = 64  # of a multiple that is followed digit by digit


class NumberError(ValueError):
    """No number lies within the bounds."""


def integers(low: int, high: int) -> str:
    """All integers from `low` to `high`, as alternatives."""
    low, high = max(low, -LIMIT), min(high, LIMIT)
    if low > high:
        raise NumberError("no integer lies between minimum and maximum")
    found = []
    if low < 0:
        found.append(f'"-" ({_naturals(max(1, -high), -low)})')
    if high >= 0:
        found.append(_naturals(max(0, low), high))
    return " | ".join(found)


def numbers(low: float, high: float, max_decimals: int = MAX_DIGITS) -> str:
    """Numbers within the bounds: all integers, and decimals that end in no zero."""
    first, last = math.ceil(max(low, -LIMIT)), math.floor(min(high, LIMIT))
    if first > last:
        return _between_integers(low, high, max_decimals)
    found = [integers(first, last)]
    if max_decimals < 1:
        return found[0]
    fraction = f'"." [0-9]{{0,{min(max_decimals, MAX_DIGITS) - 1}}} [1-9]'
    if last >= 1 and last - 1 >= max(0, first):
        found.append(f"({_naturals(max(0, first), last - 1)}) {fraction}")
    if first <= -1 and -first - 1 >= max(0, -last):
        found.append(f'"-" ({_naturals(max(0, -last), -first - 1)}) {fraction}')
    return " | ".join(found)


def multiples(step: int, low: float, high: float) -> str | None:
    """Integers that `step` divides, None where that would be too many rules to tell."""
    first, last = math.ceil(low / step), math.floor(high / step)
    if first > last:
        raise NumberError("no multiple lies between minimum and maximum")
    if last - first < MAX_LISTED:
        return " | ".join(f'"{number * step}"' for number in range(first, last + 1))
    return None


def _between_integers(low: float, high: float, max_decimals: int) -> str:
    """Decimals where no integer lies between the bounds, with as few digits as there must be."""
    least, most = Decimal(repr(low)), Decimal(repr(high))
    sign, whole = ("-", math.floor(-most)) if most < 0 else ("", math.floor(least))
    inner = sorted((abs(least) - whole, abs(most) - whole))
    for num_digits in range(1, max_decimals + 1):
        scale = 10**num_digits
        first, last = math.ceil(inner[0] * scale), math.floor(inner[1] * scale)
        if last - first >= min(9, scale // 20 + 1) or (first <= last and num_digits > 2):
            digits = (f"{number:0{num_digits}}" for number in (first, min(last, scale - 1)))
            return f'"{sign}{whole}." ({_same_length(*digits)})'
    raise NumberError("no number lies between minimum and maximum")


def _naturals(low: int, high: int) -> str:
    """Numbers from `low` to `high` (0 <= low <= high) without leading zeros."""
    found = []
    for num_digits in range(len(str(low)), len(str(high)) + 1):
        least = max(low, 10 ** (num_digits - 1) if num_digits > 1 else 0)
        most = min(high, 10**num_digits - 1)
        found.append(_same_length(str(least), str(most)))
    return " | ".join(found)


def _same_length(low: str, high: str) -> str:
    """Texts of digits from `low` to `high`, which have the same length."""
    if not low:
        return ""
    if low[0] == high[0]:
        return f'"{low[0]}" {_grouped(_same_length(low[1:], high[1:]))}'.strip()
    rest = len(low) - 1
    if rest == 0:
        return f"[{low}-{high}]"
    found = []
    first, last = int(low[0]), int(high[0])
    if low[1:] != "0" * rest:
        found.append(f'"{first}" {_grouped(_same_length(low[1:], "9" * rest))}')
        first += 1
    if high[1:] != "9" * rest:
        found.append(f'"{last}" {_grouped(_same_length("0" * rest, high[1:]))}')
        last -= 1
    if first <= last:
        found.append(f"[{first}-{last}] [0-9]{{{rest}}}")
    return " | ".join(found)


def _grouped(body: str) -> str:
    return f"({body})" if " | " in body else body
