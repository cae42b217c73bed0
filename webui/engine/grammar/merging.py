"""Two schemas that both hold → one schema. What one schema cannot say is told as not held.

Knows JSON Schema's keywords; knows nothing about grammars.
"""

import math
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
# They say something about values that no other keyword changes the meaning of.
ASSERTIONS = frozenset(
    "type enum const anyOf oneOf allOf not if then else $ref $dynamicRef $recursiveRef properties"
    " required additionalProperties patternProperties propertyNames minProperties maxProperties"
    " dependentRequired dependentSchemas dependencies unevaluatedProperties unevaluatedItems items"
    " prefixItems additionalItems contains minContains maxContains uniqueItems minItems maxItems"
    " minLength maxLength pattern format minimum maximum exclusiveMinimum exclusiveMaximum"
    " multipleOf".split()
)
LARGEST = frozenset("minLength minItems minProperties minimum exclusiveMinimum".split())
SMALLEST = frozenset("maxLength maxItems maxProperties maximum exclusiveMaximum".split())
SCHEMA_MAPS = frozenset({"properties", "patternProperties"})
SCHEMAS = frozenset({"items", "additionalProperties"})


class SchemaError(ValueError):
    """The schema cannot be held by a grammar; says which part and why."""


class Clash(Exception):
    """Nothing can obey both."""


def merged(first: object, second: object, lost: list[str]) -> object:
    """Both at once; names of keywords that are not kept go to `lost`. Raises Clash."""
    if first is False or second is False:
        raise Clash
    if first is True or first == {}:
        return second
    if second is True or second == {}:
        return first
    for schema in (first, second):
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{schema!r:.60} is not a schema")
    assert isinstance(first, Mapping) and isinstance(second, Mapping)
    both = dict(first)
    for key, value in second.items():
        if key not in both or both[key] == value:
            both[key] = value
        elif key in ASSERTIONS:
            both[key] = _both(key, both[key], value, lost)
    return both


def _both(key: str, one: Any, other: Any, lost: list[str]) -> Any:
    if key in LARGEST and _are_numbers(one, other):
        return max(one, other)
    if key in SMALLEST and _are_numbers(one, other):
        return min(one, other)
    if key in SCHEMA_MAPS and isinstance(one, Mapping) and isinstance(other, Mapping):
        shared = {name: {"allOf": [one[name], other[name]]} for name in one.keys() & other.keys()}
        return {**one, **other, **shared}
    if key in SCHEMAS and not isinstance(one, list) and not isinstance(other, list):
        return False if one is False or other is False else {"allOf": [one, other]}
    if isinstance(one, list) and isinstance(other, list) and key in ("required", "enum", "allOf"):
        return _lists(key, one, other)
    if key == "type":
        return _types(one, other)
    if key == "const":
        raise Clash
    if key == "multipleOf" and isinstance(one, int) and isinstance(other, int):
        return math.lcm(one, other) or one
    lost.append(key)
    return one


def _lists(key: str, one: list[Any], other: list[Any]) -> list[Any]:
    if key != "enum":
        return [*one, *(value for value in other if value not in one)]
    if not (kept := [value for value in one if value in other]):
        raise Clash
    return kept


def _types(one: Any, other: Any) -> Any:
    """The types in both; every integer is a number."""
    first = [one] if isinstance(one, str) else list(one)
    second = [other] if isinstance(other, str) else list(other)
    kept = [kind for kind in first if kind in second or (kind == "integer" and "number" in second)]
    kept += [kind for kind in second if kind == "integer" and "number" in first]
    kept = list(dict.fromkeys(kept))
    if not kept:
        raise Clash
    return kept[0] if len(kept) == 1 else kept


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
