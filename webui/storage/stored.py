"""What the database holds, as the kind of value that it should be. Pure.

A row may come from an older version, a forged file, a damaged disk. Whatever it is, a conversation
must open: what cannot be used is read as nothing. Knows nothing about SQL.
"""

import json
import math
from enum import StrEnum
from typing import Any, TypeVar

MAX_TIME = 253_402_214_400.0  # the last day of the year 9999, for date functions

_Choice = TypeVar("_Choice", bound=StrEnum)


def stored_object(value: object) -> dict[str, Any]:
    """{} for what is no JSON object."""
    found = _json(value)
    return found if isinstance(found, dict) else {}


def stored_list(value: object) -> list[Any]:
    """[] for what is no JSON array."""
    found = _json(value)
    return found if isinstance(found, list) else []


def stored_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def stored_time(value: object) -> float:
    """Unix seconds that every date function takes; 0 for none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return min(max(0.0, float(value)), MAX_TIME)


def stored_choice(value: object, default: _Choice) -> _Choice:
    """The member of `default`'s kind; `default` for what is none."""
    kind = type(default)
    return kind(value) if isinstance(value, str) and value in set(kind) else default


def stored_texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str | bytes) else None
    except (ValueError, RecursionError):
        return None
