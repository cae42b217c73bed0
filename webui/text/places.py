"""Place: where in a file that has no paper pages something stands. Knows nothing about files.

A slide, cells of a sheet, a paragraph below its heading, a moment and its speaker, a part of a
mail, a page inside an archive. Structured, so that programs can use it; `label` is for people.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from webui.strings import Language, text

MAX_NAME_CHARS = 80


class PlaceKind(StrEnum):
    PAGE = "page"  # of a PDF inside another file
    SLIDE = "slide"
    NOTES = "notes"  # of a slide
    CELLS = "cells"
    PARAGRAPH = "paragraph"
    NOTE = "note"  # foot- and endnotes, comments, headers: what stands beside the text
    TIME = "time"
    MESSAGE = "message"
    FILE = "file"  # a file inside another that has no finer places


@dataclass(frozen=True, slots=True)
class Place:
    kind: PlaceKind
    name: str = ""  # sheet, heading, kind of note, speaker, part of a mail
    number: int = 0  # slide, paragraph, page; 0: none
    first: str = ""  # cell ("B12") or time ("00:01:05")
    last: str = ""  # the last cell, time or paragraph where it is another one
    file: str = ""  # the file inside the archive or mail, "" for the file itself

    def until(self, other: "Place") -> "Place":
        """From here to `other`; only this where they are of different things."""
        if (self.kind, self.file) != (other.kind, other.file):
            return self
        match self.kind:
            case PlaceKind.CELLS if self.name == other.name:
                return replace(self, last=other.last or other.first)
            case PlaceKind.TIME:
                name = self.name if self.name == other.name else ""
                return replace(self, name=name, last=other.last or other.first)
            case PlaceKind.PARAGRAPH if other.number > self.number:
                return replace(self, last=other.last or str(other.number))
            case _:
                return self

    def label(self, language: Language = Language.JA) -> str:
        """For people: シート「4月」!B12."""
        own = text(f"place.{self._wording()}", language, **self._values(language))
        parts = (self.file, own.strip()) if self.kind is not PlaceKind.FILE else (self.file,)
        return " › ".join(part for part in parts if part)

    def values(self, language: Language = Language.JA) -> dict[str, Any]:
        """For programs, with the label; place_from takes it back."""
        return {"label": self.label(language), **asdict(self), "kind": str(self.kind)}

    def _wording(self) -> str:
        match self.kind:
            case PlaceKind.CELLS if not self.name:
                return "cells_alone"
            case PlaceKind.PARAGRAPH if not self.number:
                return "heading"
            case PlaceKind.PARAGRAPH if not self.name:
                return "paragraph_alone"
            case _:
                return str(self.kind)

    def _values(self, language: Language) -> dict[str, object]:
        name = shortened(self.name)
        first = self.number if self.kind is PlaceKind.PARAGRAPH else self.first
        end = self.last if self.last and self.last != str(first) else ""
        if self.kind is PlaceKind.CELLS:
            place = f"{first}:{end}" if end else first
        else:
            place = f"{first}–{end}" if end else str(first)
        return {"name": name, "number": self.number, "place": place}


PlaceMark = tuple[int, Place]  # from this character on


def place_between(marks: Sequence[PlaceMark], start: int, end: int) -> Place | None:
    """Where characters [start, end) stand, by the marks in front of them; None for nowhere."""
    first = bisect_right(marks, start, key=_offset) - 1
    last = bisect_right(marks, max(start, end - 1), key=_offset) - 1
    if first < 0:
        return None
    begin = marks[first][1]
    return begin if last == first else begin.until(marks[last][1])


def place_from(values: object) -> Place | None:
    """Inverse of Place.values. None where there is none, ValueError where it is no place."""
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise ValueError("no place")
    names = [values.get(name, "") for name in ("name", "first", "last", "file")]
    number = values.get("number", 0)
    if not all(isinstance(name, str) for name in names) or type(number) is not int:
        raise ValueError("no place")
    name, first, last, file = names
    return Place(PlaceKind(values["kind"]), name, number, first, last, file)


def shortened(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= MAX_NAME_CHARS else line[: MAX_NAME_CHARS - 1] + "…"


def _offset(mark: PlaceMark) -> int:
    return mark[0]
