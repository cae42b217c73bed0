"""The numbers in a Hugging Face config.json, of transformers 4 and 5, checked, under one name each.

Knows nothing about tensors and GGUF.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.workshop.convert.errors import ConvertError

MAX_JSON_BYTES = 1 << 27
MISSING = object()


@dataclass(frozen=True, slots=True)
class Rope:
    """How positions turn keys and queries."""

    theta: float
    kind: str = "default"  # default, linear, llama3, yarn
    values: Mapping[str, Any] | None = None  # of the kind


class Config:
    """config.json of `folder`, with text_config's values in front. Raises ConvertError."""

    def __init__(self, folder: Path) -> None:
        self._values = read_json(folder / "config.json")
        names = self._values.get("architectures")
        self.architecture = str(names[0]) if isinstance(names, list) and names else ""
        text = self._values.get("text_config")
        self._values |= text if isinstance(text, dict) else {}

    def integer(self, name: str, default: Any = MISSING) -> int:
        """Raises ConvertError when it is missing or cannot be meant."""
        value = self.get(name, default)
        if type(value) is not int or not 0 < value < 1 << 31:
            raise ConvertError("convert.bad_config", entry=name, value=str(value)[:60])
        return value

    def number(self, name: str, default: Any = MISSING) -> float:
        return as_number(name, self.get(name, default))

    def optional_number(self, name: str) -> float | None:
        return None if self.get(name, None) is None else self.number(name)

    def flag(self, name: str, default: bool = False) -> bool:
        return self._values.get(name, default) is True

    def get(self, name: str, default: Any = MISSING) -> Any:
        """The value; null counts as missing."""
        value = self._values.get(name)
        value = default if value is None else value
        if value is MISSING:
            raise ConvertError("convert.bad_config", entry=name, value="-")
        return value

    def rope(self, layer_kind: str = "full_attention") -> Rope:
        """Of the layers of one kind; transformers 5 may tell them apart."""
        values = self._values.get("rope_parameters") or self._values.get("rope_scaling") or {}
        if not isinstance(values, dict):
            raise ConvertError("convert.bad_config", entry="rope_scaling", value="?")
        inner = values.get(layer_kind)
        values = inner if isinstance(inner, dict) else values
        kind = str(values.get("rope_type") or values.get("type") or "default")
        theta = values.get("rope_theta") or self._values.get("rope_theta") or 10_000.0
        return Rope(as_number("rope_theta", theta), kind, values)


def as_number(name: str, value: Any) -> float:
    """Raises ConvertError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ConvertError("convert.bad_config", entry=name, value=str(value)[:60])
    return float(value)


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`. Raises ConvertError."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError("too large")
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConvertError("convert.no_file", file=path.name) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConvertError("convert.bad_file", file=path.name, reason=str(error)[:200]) from error
    if not isinstance(values, dict):
        raise ConvertError("convert.bad_file", file=path.name, reason="no object")
    return values
