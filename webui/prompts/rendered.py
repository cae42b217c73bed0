"""RenderedPrompt: a prompt as text, with the ranges of it that came from messages.

Values only; knows nothing about how they were made or how they become tokens.
"""

from dataclasses import dataclass
from enum import StrEnum


class BosRule(StrEnum):
    """Whether a beginning-of-sequence token stands in front. Never more than one."""

    VOCABULARY = "vocabulary"  # as the model's vocabulary wants
    NEVER = "never"  # the model was trained without, whatever its file says


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of the rendered text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    text: str
    message_spans: tuple[Span, ...]  # sorted, disjoint: what came from messages
    bos: BosRule = BosRule.VOCABULARY
    tokens: tuple[str, ...] = ()  # structure that some vocabularies list among their plain words
