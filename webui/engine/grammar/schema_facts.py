"""What a schema says: its types and values, what its references lead to, its bounds.

Knows JSON Schema; knows nothing about grammars.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from webui.engine.grammar.merging import Schema, SchemaError
from webui.engine.grammar.numbers import NumberError

MAX_REPEATS = 2000  # what GBNF takes
KEYWORDS = {
    "object": frozenset(
        "properties required additionalProperties patternProperties propertyNames minProperties"
        " maxProperties dependentRequired dependentSchemas dependencies"
        " unevaluatedProperties".split()
    ),
    "array": frozenset(
        "items prefixItems additionalItems minItems maxItems contains uniqueItems"
        " unevaluatedItems".split()
    ),
    "string": frozenset("minLength maxLength pattern format".split()),
    "number": frozenset("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split()),
    "boolean": frozenset(),
    "null": frozenset(),
}  # fmt: skip
KEYWORDS["integer"] = KEYWORDS["number"]
ANY_TYPE = ("object", "array", "string", "number", "boolean", "null")


def literal(value: object) -> str:
    """`value` as JSON, as a GBNF literal."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        text = json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise SchemaError(f"{shown(value)} is not JSON") from error
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'


def kinds_in(given: object, place: str) -> list[str]:
    kinds = [given] if isinstance(given, str) else given
    if not isinstance(kinds, list | tuple) or not kinds:
        raise SchemaError(f"{place}: type must be a name or a list of names")
    return [str(kind) for kind in kinds]


def is_of(value: object, kinds: Sequence[str]) -> bool:
    kind = type_of(value)
    is_whole = isinstance(value, float) and value.is_integer()
    is_integer = kind == "number" and (isinstance(value, int) or is_whole)
    return kind in kinds or (is_integer and "integer" in kinds)


def implied_types(schema: Schema) -> list[str]:
    """The types that the keywords speak of; all of them when they say nothing."""
    found = [kind for kind in ANY_TYPE if KEYWORDS[kind] & schema.keys()]
    return found or list(ANY_TYPE)


def resolve(root: object, pointer: str) -> object:
    """The schema at a JSON pointer, or with an anchor, inside the document. Nothing is fetched."""
    own = root.get("$id", root.get("id")) if isinstance(root, Mapping) else None
    if isinstance(own, str) and own and pointer.startswith(own):
        pointer = "#" + pointer[len(own) :].lstrip("#")
    if pointer.startswith("#") and len(pointer) > 1 and pointer[1] != "/":
        return anchored(root, pointer[1:], pointer)
    if pointer != "#" and not pointer.startswith("#/"):
        raise SchemaError(f"$ref {pointer[:60]!r}: only references inside the schema are followed")
    found = root
    for part in pointer[2:].split("/") if pointer != "#" else []:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        elif isinstance(found, Mapping) and key in found:
            found = found[key]
        else:
            raise SchemaError(f"$ref {pointer[:60]!r} leads nowhere")
    return found


def anchored(root: object, name: str, pointer: str) -> object:
    waiting, num_seen = [root], 0
    while waiting and num_seen < 100_000:
        found = waiting.pop()
        num_seen += 1
        if isinstance(found, Mapping):
            if name in (found.get("$anchor"), str(found.get("$id", found.get("id", "")))[1:]):
                return found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
    raise SchemaError(f"$ref {pointer[:60]!r} leads nowhere")


def is_disjoint(first: object, second: object) -> bool:
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        return False
    values = values_in(first), values_in(second)
    if values[0] is not None and values[1] is not None:
        return not values[0] & values[1]
    if not types_in(first) & types_in(second):
        return True
    shared = set(names_in(first, "required")) & set(names_in(second, "required"))
    for name in shared:
        one, other = (values_in(object_of(s, "properties").get(name)) for s in (first, second))
        if one is not None and other is not None and not one & other:
            return True
    return any(
        one.get("additionalProperties") is False
        and set(names_in(other, "required")) - object_of(one, "properties").keys()
        and "patternProperties" not in one
        for one, other in ((first, second), (second, first))
    )


def types_in(schema: Schema) -> set[str]:
    found = schema.get("type")
    values = values_in(schema)
    if found is None and values is not None:
        return {type_of(json.loads(value)) for value in values}
    if found is None:
        return set(ANY_TYPE)
    kinds = {found} if isinstance(found, str) else set(found)
    return {"number" if kind == "integer" else str(kind) for kind in kinds}


def type_of(value: object) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object" if isinstance(value, dict) else "null")


def values_in(schema: object) -> set[str] | None:
    """What const or enum allow, as JSON; None without them."""
    if isinstance(schema, Mapping) and "const" in schema:
        return {json.dumps(schema["const"], sort_keys=True)}
    if isinstance(schema, Mapping) and isinstance(schema.get("enum"), list):
        return {json.dumps(value, sort_keys=True) for value in schema["enum"]}
    return None


def list_of(schema: Schema, keyword: str) -> list[Any]:
    value = schema.get(keyword, [])
    if not isinstance(value, list) or not value:
        raise SchemaError(f"{keyword} must be a list that is not empty")
    return value


def names_in(schema: Schema, keyword: str) -> list[Any]:
    value = schema.get(keyword, [])
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def object_of(schema: Schema, keyword: str) -> Mapping[str, Any]:
    value = schema.get(keyword, {})
    if not isinstance(value, Mapping):
        raise SchemaError(f"{keyword} must be an object")
    return value


def check_names(names: list[object]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise SchemaError("the name of a property must be a text")


def count_of(schema: Schema, keyword: str, default: Any) -> Any:
    value = schema.get(keyword, default)
    if value is default:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise SchemaError(f"{keyword} must be a number of things")
    return value


def check_repeats(number: int) -> None:
    if number > MAX_REPEATS:
        raise SchemaError(f"{number} is too many: at most {MAX_REPEATS}")


def bounds_of(schema: Schema) -> tuple[float, float]:
    """Least and greatest value, exclusive bounds moved inwards to the next number."""
    limit = float(10**15 - 1)
    low = max(limit_of(schema, "minimum", -limit), -limit)
    high = min(limit_of(schema, "maximum", limit), limit)
    above, below = (schema.get(f"exclusive{name}") for name in ("Minimum", "Maximum"))
    if above is True:  # draft 4: the bound beside it is exclusive
        low = math.nextafter(low, math.inf)
    elif above not in (None, False):
        low = max(low, math.nextafter(limit_of(schema, "exclusiveMinimum", 0), math.inf))
    if below is True:
        high = math.nextafter(high, -math.inf)
    elif below not in (None, False):
        high = min(high, math.nextafter(limit_of(schema, "exclusiveMaximum", 0), -math.inf))
    if low > high:
        raise NumberError("no number lies between minimum and maximum")
    return low, high


def limit_of(schema: Schema, keyword: str, default: float) -> float:
    value = schema.get(keyword, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise SchemaError(f"{keyword} must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise SchemaError(f"{keyword} is too large") from error


def shown(value: object) -> str:
    return repr(value)[:60]
