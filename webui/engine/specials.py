"""Special tokens: where a prompt's text is cut into them and into stretches of plain text.

llama.cpp's own partition, with one rule more: a token of structure counts only where no character
of it came from a message. Knows nothing about llama.cpp's library or how text becomes ids.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from webui.prompts.rendered import Span

C_SPACES = " \t\n\v\f\r"  # C's isspace, which llama.cpp strips beside some special tokens
# Tokens that look like these are structure, even where the vocabulary calls them plain words
# ("user defined": gpt-oss's <|start|>, Gemma 4's <|channel>, Qwen's <think>).
STRUCTURE = re.compile(r"[<\[{｜].+[>\]}｜]", re.DOTALL)
HTML_TAGS = frozenset(
    "a b blockquote body br caption code dd del div dl dt em h1 h2 h3 h4 h5 h6 head hr html i img"
    " kbd li ol p pre span strike strong sub sup table tbody td tfoot th thead title tr tt u"
    " ul var".split()
)  # Gemma has these as words of their own; they are content. Not <s>: it begins texts


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token that llama.cpp looks for in the text before it splits the rest into words."""

    id: int
    text: str
    is_guarded: bool  # structure: recognised only where no character came from a message
    strips_left: bool
    strips_right: bool


@dataclass(frozen=True, slots=True)
class Raw:
    """Characters [start, end) of the prompt, not yet tokens."""

    start: int
    end: int


def partition(text: str, specials: Iterable[SpecialToken], born: "Ranges") -> list[Raw | int]:
    """`text` cut at `specials`, which come longest first: llama.cpp's tokenizer_st_partition."""
    of_template = "\0".join(text[start:end] for start, end in born.gaps(len(text)))
    parts: list[Raw | int] = [Raw(0, len(text))] if text else []
    for special in specials:
        if special.text in (of_template if special.is_guarded else text):
            parts = [piece for part in parts for piece in _cut(special, text, part, born)]
    return parts


class Ranges:
    """Message-born ranges of a text, for quick questions."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._starts = [span.start for span in spans]
        self._ends = [span.end for span in spans]

    def touch(self, start: int, end: int) -> bool:
        """Whether any character of [start, end) came from a message."""
        before = bisect_right(self._starts, end - 1)
        return before > 0 and self._ends[before - 1] > start

    def gaps(self, length: int) -> Iterable[tuple[int, int]]:
        """The template-born ranges of a text of `length` characters."""
        return zip([0, *self._ends], [*self._starts, length], strict=True)


def _cut(special: SpecialToken, text: str, part: Raw | int, born: Ranges) -> list[Raw | int]:
    """`part` cut at every occurrence of `special`, with the white space it eats left out."""
    if isinstance(part, int):
        return [part]
    pieces: list[Raw | int] = []
    start = search = part.start
    while (at := text.find(special.text, search, part.end)) >= 0:
        end = at + len(special.text)
        if special.is_guarded and born.touch(at, end):
            search = at + 1
            continue
        before = text[start:at]
        if special.strips_left:
            before = before.rstrip(C_SPACES)
        if before:
            pieces.append(Raw(start, start + len(before)))
        pieces.append(special.id)
        if special.strips_right:
            end = part.end - len(text[end : part.end].lstrip(C_SPACES))
        start = search = end
    if start < part.end:
        pieces.append(Raw(start, part.end))
    return pieces


def is_structure(text: str) -> bool:
    """Whether a token written like this marks structure rather than content."""
    tag = text.strip("</>").lower()
    return bool(STRUCTURE.fullmatch(text)) and not (text.startswith("<") and tag in HTML_TAGS)


MAX_RUN = 1000  # no word, and hardly any paragraph, is longer than this between two breaks
BREAKS = ".,!?…。，、"  # beside white space, what every one of those expressions stops at
LONG_RUN = re.compile(
    rf"[^\s{BREAKS}]{{{MAX_RUN + 1},}}|\s{{{MAX_RUN + 1},}}|[{BREAKS}]{{{MAX_RUN + 1},}}"
)
# Values of tokenizer.ggml.pre whose words llama.cpp splits by hand: 300,000 characters pass.
UNLIMITED = frozenset(
    "a.x-4.0 chameleon chatglm-bpe codeshell command-r dbrx exaone gemma4 gpt-2 granite-docling"
    " hunyuan jais kimi-k2 lfm2 llama-bpe megrez minerva-7b modern-bert mpt olmo qwen2 qwen35"
    " refact roberta-bpe smaug-bpe smollm solar-open stablelm2 starcoder trillion".split()
)


def cuts_in_long_runs(text: str) -> list[int]:
    """Positions that leave no run longer than MAX_RUN; where its kind of character changes, if it
    does, because there the words end anyway. [] for nearly every text."""
    cuts = []
    for run in LONG_RUN.finditer(text):
        start = run.start()
        while run.end() - start > MAX_RUN:
            start = _last_change(text, start, start + MAX_RUN)
            cuts.append(start)
    return cuts


def _last_change(text: str, start: int, limit: int) -> int:
    """The last place in (start, limit] between characters of two kinds; `limit` without any."""
    for at in range(limit, start, -1):
        if _kind(text[at - 1]) != _kind(text[at]):
            return at
    return limit


def _kind(char: str) -> str:
    category = unicodedata.category(char)[0]
    return "L" if category == "M" else category  # a mark belongs to its letter
