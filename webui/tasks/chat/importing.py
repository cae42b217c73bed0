"""Conversations from a file of anybody's: what of it means something, and only that is kept.

The shape of the file is storage's (storage/archive.py). Here is what its values mean; each is read
by what reads it where it is typed or stored: settings as in the panel, evidence as in an answer.
"""

import math
from collections.abc import Mapping
from typing import Any

from webui.storage import InvalidExportError, Meanings, Storage
from webui.tasks.ask.result import answer_from
from webui.tasks.sampling import settings_of

# What an answer's numbers are called (tasks/chat/reply.py).
NUMBERS = frozenset(
    {"completion_tokens", "tokens_per_s", "prompt_tokens", "num_dropped_turns", "elapsed_s",
     "time_to_first_token_s", "cached_tokens", "queue_s"}
)  # fmt: skip
TEXTS = frozenset({"finish_reason", "error"})
MAX_TEXT_CHARS = 1_000
TOO_LONG = frozenset({"n_ctx", "num_over", "num_question", "num_system"})


def import_conversations(storage: Storage, owner: str, data: object) -> list[str]:
    """Adds all conversations of an export, or none; their new ids. Raises InvalidExportError."""
    return storage.import_conversations(owner, data, MEANINGS)


def stats_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The statistics that we show; others are left out. Raises InvalidExportError."""
    stats: dict[str, Any] = {}
    for name, value in values.items():
        if name in NUMBERS:
            stats[name] = None if value is None else _number(name, value)
        elif name in TEXTS:
            stats[name] = _text(name, value)
        elif name == "too_long":
            stats[name] = _too_long(value)
    return stats


def evidence_of(content: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer rests on, as we write it; nothing where it is not of our making."""
    answer = answer_from(content, values) if values else None
    return answer.evidence() if answer else {}


MEANINGS = Meanings(settings_of, stats_of, evidence_of)


def _number(name: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidExportError("value", name)
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
        raise InvalidExportError("value", name)
    return value


def _too_long(values: object) -> dict[str, int | float]:
    if not isinstance(values, Mapping) or not set(values) <= TOO_LONG:
        raise InvalidExportError("value", "too_long")
    return {name: _number(name, value) for name, value in values.items()}
