"""Traced: a str that remembers which of its characters came from a message.

Knows nothing about templates or tokens. Every operation gives what str gives; where the origin of
a result's characters is not exactly known (upper, format, …) the whole result counts as
message-born, so that nothing a user wrote can ever pass for a template's own text.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, SupportsIndex

Spans = tuple[tuple[int, int], ...]  # sorted, disjoint, never empty: [start, end) in characters


class Traced(str):
    """A string with the ranges of it that are message-born; without `spans`, all of it."""

    __slots__ = ("_spans",)
    _spans: Spans

    def __new__(cls, text: str, spans: Spans | None = None) -> Self:
        traced = super().__new__(cls, text)
        traced._spans = _whole(traced) if spans is None else spans
        return traced

    def __str__(self) -> str:
        return self

    # --- results whose characters keep their places ---------------------------------------------

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        text = str.__getitem__(self, key)
        if not isinstance(key, slice):
            start = key.__index__() % len(self)
        elif key.step in (None, 1):
            start = key.indices(len(self))[0]
        else:
            return derived(text, self)
        return Traced(text, _cut(self._spans, start, start + len(text)))

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def __add__(self, other: str) -> str:
        return concat((self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> str:
        return concat((other, self)) if isinstance(other, str) else NotImplemented

    def strip(self, chars: str | None = None, /) -> str:
        start = len(self) - len(str.lstrip(self, chars))
        return self[start : max(start, len(str.rstrip(self, chars)))]

    def lstrip(self, chars: str | None = None, /) -> str:
        return self[len(self) - len(str.lstrip(self, chars)) :]

    def rstrip(self, chars: str | None = None, /) -> str:
        return self[: len(str.rstrip(self, chars))]

    def removeprefix(self, prefix: str, /) -> str:
        return self[len(prefix) :] if self.startswith(prefix) else self

    def removesuffix(self, suffix: str, /) -> str:
        return self[: len(self) - len(suffix)] if self.endswith(suffix) else self

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._located(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._located(str.rsplit(self, sep, maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[str]:
        lines, start = [], 0
        for kept, line in zip(str.splitlines(self, True), str.splitlines(self), strict=True):
            lines.append(self[start : start + len(kept if keepends else line)])
            start += len(kept)
        return lines

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        head, middle, _ = str.partition(self, sep)
        end = len(head) + len(middle)
        return self[: len(head)], self[len(head) : end], self[end:]

    def rpartition(self, sep: str, /) -> tuple[str, str, str]:
        head, middle, _ = str.rpartition(self, sep)
        end = len(head) + len(middle)
        return self[: len(head)], self[len(head) : end], self[end:]

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> str:
        if not old:
            return derived(str.replace(self, old, new, count), self, new)
        return concat(_interleave(self.split(old, count), new))

    def join(self, parts: Iterable[str], /) -> str:
        return concat(_interleave(list(parts), self))

    def _located(self, parts: list[str], sep: str | None) -> list[str]:
        """`parts` of this string as slices of it; between them stands `sep`, or white space."""
        located, start = [], 0
        for part in parts:
            start = self.find(part, start)
            located.append(self[start : start + len(part)])
            start += len(part) + len(sep or "")
        return located

    # --- results whose characters come from somewhere inside ------------------------------------

    def lower(self) -> str:
        return derived(str.lower(self), self)

    def upper(self) -> str:
        return derived(str.upper(self), self)

    def title(self) -> str:
        return derived(str.title(self), self)

    def capitalize(self) -> str:
        return derived(str.capitalize(self), self)

    def center(self, width: SupportsIndex, fill: str = " ", /) -> str:
        return derived(str.center(self, width, fill), self, fill)

    def ljust(self, width: SupportsIndex, fill: str = " ", /) -> str:
        return derived(str.ljust(self, width, fill), self, fill)

    def rjust(self, width: SupportsIndex, fill: str = " ", /) -> str:
        return derived(str.rjust(self, width, fill), self, fill)

    def __mul__(self, count: SupportsIndex, /) -> str:
        return concat([self] * count.__index__())

    __rmul__ = __mul__

    def __mod__(self, values: Any, /) -> str:
        return derived(str.__mod__(self, values), self, values)

    def __rmod__(self, template: Any, /) -> str:  # str tries this first, for it is the subclass
        if not isinstance(template, str):
            return NotImplemented
        return derived(str.__mod__(template, str.__str__(self)), template, self)


def spans_of(text: str) -> Spans:
    """The message-born ranges of `text`; a plain str has none."""
    return text._spans if isinstance(text, Traced) else ()


def derived(text: str, *sources: object) -> str:
    """`text`, message-born as a whole when any of `sources` holds message-born text."""
    return Traced(text) if any(map(is_tainted, sources)) else text


def is_tainted(value: object) -> bool:
    """Whether message-born text stands anywhere in `value`. It must be finite: no cycles."""
    if isinstance(value, str):
        return bool(spans_of(value))
    if isinstance(value, dict):
        return any(is_tainted(key) or is_tainted(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(map(is_tainted, value))


def concat(parts: Iterable[str]) -> str:
    """The parts in one string, their ranges moved along."""
    parts = list(parts)
    text = "".join(str.__str__(part) for part in parts)
    spans: list[tuple[int, int]] = []
    offset = 0
    for part in parts:
        for start, end in spans_of(part):
            if spans and spans[-1][1] == offset + start:
                spans[-1] = (spans[-1][0], offset + end)
            else:
                spans.append((offset + start, offset + end))
        offset += len(part)
    return Traced(text, tuple(spans)) if spans else text


def _whole(text: str) -> Spans:
    return ((0, len(text)),) if text else ()


def _cut(spans: Spans, start: int, end: int) -> Spans:
    """The ranges inside [start, end), counted from `start`."""
    return tuple(
        (max(low, start) - start, min(high, end) - start)
        for low, high in spans
        if low < end and high > start
    )


def _interleave(parts: Sequence[str], between: str) -> Iterator[str]:
    for i, part in enumerate(parts):
        if i:
            yield between
        yield part
