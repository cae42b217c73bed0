"""Marker strings in a stream of text: which is complete first, and what might still become one.

Stop strings and reasoning tags both arrive in pieces; neither may be half shown.
"""

from collections.abc import Iterable

# What opens and closes reasoning in an answer, by family of models. First the ones that only one
# family has: a template may speak of <think> to take it out of other models' answers.
REASONING_MARKS = (
    ("<|channel>thought\n", "<channel|>"),  # Gemma 4; what its template writes is <|channel>
    ("[THINK]", "[/THINK]"),  # Mistral
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Cohere
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<mm:think>", "</mm:think>"),  # MiniMax M3
    ("<think>", "</think>"),
)
CHANNEL_MARKS = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>")


def first_marker(text: str, markers: Iterable[str]) -> tuple[int, str] | None:
    """Position and string of the marker whose last character comes first; None without any.

    First by its end, not by its start: so the answer does not depend on how the text was cut.
    Of markers that end together the longest one counts.
    """
    found = [(at, marker) for marker in markers if (at := text.find(marker)) >= 0]
    return min(found, key=lambda hit: (hit[0] + len(hit[1]), hit[0]), default=None)


def num_held(text: str, markers: Iterable[str]) -> int:
    """Length of the longest end of `text` with which some marker begins, but is not complete."""
    longest = 0
    for marker in markers:
        for count in range(min(len(marker) - 1, len(text)), longest, -1):
            if text.endswith(marker[:count]):
                longest = count
                break
    return longest
