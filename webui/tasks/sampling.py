"""How an answer is made: one reading of it for what is typed, imported or stored.

A conversation's settings are sampling values, whether to think, and the format's variables. Whether
a format has such a variable is checked where it is used. From these to SamplingParams, with one
clear error.
"""

import contextlib
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from webui.engine.request import SamplingParams
from webui.errors import AppError

# What a person can set. The rest of SamplingParams is for programs: grammars, token ids.
NUMBERS = frozenset(
    {"max_tokens", "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "presence_penalty",
     "frequency_penalty", "penalty_last_n", "seed"}
)  # fmt: skip
WHOLE_NUMBERS = frozenset({"max_tokens", "top_k", "penalty_last_n", "seed"})
FLAGS = frozenset({"thinking", "ignore_eos"})
VARIABLES = "variables"
VARIABLE = re.compile(r"[a-z][a-z0-9_]{,99}", re.ASCII | re.IGNORECASE)
MAX_VARIABLES = 32
MAX_VARIABLE_CHARS = 100


class SamplingError(AppError):
    """A sampling setting cannot be used."""


class SettingError(AppError):
    """A setting of a conversation that there is not, or whose value is not of its kind."""

    def __init__(self, name: str) -> None:
        super().__init__("ui.bad_number", name=name[:MAX_VARIABLE_CHARS])


def settings_of(values: object) -> dict[str, Any]:
    """`values` as a conversation keeps them. Raises SettingError, SamplingError."""
    if not isinstance(values, Mapping):
        raise SettingError("")
    settings = {name: _setting(name, value) for name, value in values.items()}
    sampling_of(settings)  # its check of what the engine takes
    return settings


def usable_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that settings_of would take; an older version may have kept others."""
    usable: dict[str, Any] = {}
    for name, value in values.items():
        with contextlib.suppress(AppError):
            usable |= settings_of({name: value})
    return usable


def sampling_of(values: Mapping[str, Any]) -> SamplingParams:
    """SamplingParams with a conversation's overrides. Raises SamplingError."""
    kinds = {item.name: item.type for item in fields(SamplingParams)}
    try:
        return SamplingParams(
            **{name: _exact(value, kinds[name]) for name, value in values.items() if name in kinds}
        )
    except (TypeError, ValueError) as error:
        raise SamplingError("engine.bad_sampling", reason=error) from error


def _setting(name: object, value: object) -> Any:
    match name:
        case str() if name in NUMBERS:
            return _number(name, value)
        case str() if name in FLAGS and isinstance(value, bool):
            return value
        case "variables" if isinstance(value, Mapping) and len(value) <= MAX_VARIABLES:
            return {_variable_name(key): _variable(key, item) for key, item in value.items()}
    raise SettingError(str(name))


def _number(name: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingError(name)
    if name not in WHOLE_NUMBERS or isinstance(value, int):
        return value
    if not value.is_integer():
        raise SettingError(name)
    return int(value)


def _variable_name(name: object) -> str:
    if not isinstance(name, str) or not VARIABLE.fullmatch(name):
        raise SettingError(VARIABLES)
    return name


def _variable(name: object, value: object) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise SettingError(str(name))
    if isinstance(value, str) and len(value) > MAX_VARIABLE_CHARS:
        raise SettingError(str(name))
    return value


def _exact(value: Any, kind: Any) -> Any:
    """40.0 as 40 where a whole number is meant: files and sliders know only one kind of number."""
    return int(value) if kind is int and isinstance(value, float) and value.is_integer() else value
