"""From loose numbers (a panel, a file, a JSON body) to SamplingParams, with one clear error."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from webui.engine.request import SamplingParams
from webui.errors import AppError


class SamplingError(AppError):
    """A sampling setting cannot be used."""


def sampling_of(values: Mapping[str, Any]) -> SamplingParams:
    """SamplingParams with a conversation's overrides. Raises SamplingError."""
    kinds = {item.name: item.type for item in fields(SamplingParams)}
    try:
        return SamplingParams(
            **{name: _exact(value, kinds[name]) for name, value in values.items() if name in kinds}
        )
    except (TypeError, ValueError) as error:
        raise SamplingError("engine.bad_sampling", reason=error) from error


def _exact(value: Any, kind: Any) -> Any:
    """40.0 as 40 where a whole number is meant: files and sliders know only one kind of number."""
    return int(value) if kind is int and isinstance(value, float) and value.is_integer() else value
