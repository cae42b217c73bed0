"""Checker: whether a text obeys a JSON Schema, for what no grammar holds. Fetches nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

BACKTRACKS = 100_000  # steps that a stranger's pattern may take on one text


class CheckError(ValueError):
    """The schema is none that a validator takes; says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong first: where in the value, and which keyword says so."""

    place: str
    keyword: str


class Checker:
    """Raises CheckError."""

    def __init__(self, schema: Mapping[str, Any] | bool) -> None:
        self._validator = _validator(schema)

    def fault(self, text: str) -> Fault | None:
        """None when the text obeys."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return Fault("", "JSON")
        for error in self._validator.iter_errors(value):
            keyword = str(error.schema_path[-1]) if error.schema_path else "false"
            return Fault("/".join(map(str, error.instance_path)), keyword)
        return None


def _validator(schema: Mapping[str, Any] | bool) -> jsonschema_rs.Validator:
    """Of the draft that the schema names; without a name of the newest that can read it."""
    reasons: list[str] = []
    for make in (
        jsonschema_rs.validator_for,
        jsonschema_rs.Draft7Validator,
        jsonschema_rs.Draft4Validator,
    ):
        try:
            found: jsonschema_rs.Validator = make(
                dict(schema) if isinstance(schema, Mapping) else schema,
                validate_formats=True,
                offline=True,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS),
            )
        except (ValueError, RecursionError) as error:
            reasons.append(str(error).partition("\n")[0][:200])
        else:
            return found
    raise CheckError(reasons[0])
