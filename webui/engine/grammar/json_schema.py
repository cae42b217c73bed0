"""JSON Schema → GBNF: every text that the grammar allows obeys the schema.

What cannot be held by a grammar is refused by name instead of being ignored; of what is optional,
the grammar may allow less than the schema (no undeclared properties beside declared ones, numbers
of up to 15 digits, strings and arrays of up to 2,000). Knows nothing about tokens or matching.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

MAX_DEPTH = 64  # schemas inside each other
MAX_RULES = 5000
MAX_REPEATS = 2000  # what GBNF takes
MAX_DIGITS = 15  # exact in a double
ANNOTATIONS = frozenset(
    "title description default examples $schema $id $comment deprecated readOnly writeOnly"
    " $defs definitions format contentMediaType contentEncoding discriminator".split()
)
KEYWORDS = {
    "object": frozenset(
        "properties required additionalProperties minProperties maxProperties".split()
    ),
    "array": frozenset("items prefixItems minItems maxItems".split()),
    "string": frozenset("minLength maxLength".split()),
    "number": frozenset("minimum maximum exclusiveMinimum exclusiveMaximum".split()),
    "boolean": frozenset(),
    "null": frozenset(),
}  # fmt: skip
KEYWORDS["integer"] = KEYWORDS["number"]
OTHERS = frozenset("type enum const anyOf oneOf allOf $ref".split())
KNOWN = ANNOTATIONS | OTHERS | frozenset().union(*KEYWORDS.values())
ANY_TYPE = ("object", "array", "string", "number", "boolean", "null")

BASE_RULES = r"""
space ::= " "?
hex ::= [0-9a-fA-F]
char ::= [ !#-\[\]-~\x80-\uD7FF\uE000-\U0010FFFF] | "\\" (["\\/bfnrt] | "u" code)
code ::= [0-9a-cA-CefEF] hex hex hex | [dD] [0-7] hex hex
string ::= "\"" char* "\""
integer ::= "-"? ("0" | [1-9] [0-9]{0,14})
number ::= integer ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?
boolean ::= "true" | "false"
null ::= "null"
entry ::= string ":" space value
next-entry ::= "," space entry
object ::= "{" (entry next-entry*)? "}"
next-value ::= "," space value
array ::= "[" (value next-value*)? "]"
value ::= object | array | string | number | boolean | null
day ::= "0" [1-9] | "1" [0-9] | "2" [0-8]
month ::= "0" [1-9] | "1" [0-2]
date ::= [1-9] [0-9]{3} "-" month "-" day
time ::= ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] "Z"
"""
FORMATS = {
    "date": r'"\"" date "\""',
    "time": r'"\"" time "\""',
    "date-time": r'"\"" date "T" time "\""',
    "uuid": r'"\"" hex{8} "-" hex{4} "-" hex{4} "-" hex{4} "-" hex{12} "\""',
}
JSON_OBJECT = BASE_RULES + "root ::= object\n"

Schema = Mapping[str, Any]


class SchemaError(ValueError):
    """The schema cannot be held by a grammar; says which part and why."""


def grammar_of(schema: object) -> str:
    """The GBNF of `schema`. Raises SchemaError."""
    writer = _Writer(schema)
    root = writer.rule_of(schema, 0)
    rules = "\n".join(f"{name} ::= {body}" for name, body in writer.rules.items())
    return f"{BASE_RULES}{rules}\nroot ::= {root}\n"


class _Writer:
    """Turns schemas into rules; `rule_of` gives the name of the rule for one."""

    def __init__(self, root: object) -> None:
        self.rules: dict[str, str] = {}
        self._root = root
        self._by_pointer: dict[str, str] = {}

    def rule_of(self, schema: object, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise SchemaError(f"more than {MAX_DEPTH} schemas inside each other")
        if schema is True or schema == {}:
            return "value"
        _check_keywords(schema)
        assert isinstance(schema, Mapping)
        if "$ref" in schema:
            return self._reference(schema, depth)
        if "allOf" in schema:
            return self.rule_of(_merged_all(schema), depth + 1)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._choice(schema, keyword, depth)
        if "const" in schema:
            return self._add(_literal(schema["const"]))
        if "enum" in schema:
            return self._add(" | ".join(map(_literal, _list(schema, "enum"))))
        return self._typed(schema, depth)

    def _reference(self, schema: Schema, depth: int) -> str:
        pointer = schema["$ref"]
        _refuse_beside(schema, "$ref")
        if not isinstance(pointer, str):
            raise SchemaError("$ref must be a text")
        if pointer not in self._by_pointer:
            name = self._by_pointer[pointer] = self._add("")
            self.rules[name] = self.rule_of(_resolve(self._root, pointer), depth + 1)
        return self._by_pointer[pointer]

    def _choice(self, schema: Schema, keyword: str, depth: int) -> str:
        shared = {key: value for key, value in schema.items() if key != keyword}
        branches = [_merged(shared, branch) for branch in _list(schema, keyword)]
        if keyword == "oneOf":
            _check_disjoint(branches, lambda branch: self._resolved(branch))
        return self._add(" | ".join(self.rule_of(branch, depth + 1) for branch in branches))

    def _resolved(self, schema: object) -> object:
        if isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
            return _resolve(self._root, schema["$ref"])
        return schema

    def _typed(self, schema: Schema, depth: int) -> str:
        kinds = schema.get("type", _implied_types(schema))
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not isinstance(kinds, list | tuple) or not kinds:
            raise SchemaError("type must be a name or a list of names")
        return self._add(" | ".join(self._of_type(str(kind), schema, depth) for kind in kinds))

    def _of_type(self, kind: str, schema: Schema, depth: int) -> str:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return self._number(schema, kind)
            case "boolean" | "null":
                return kind
        raise SchemaError(f"there is no type {kind[:60]!r}")

    def _object(self, schema: Schema, depth: int) -> str:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            raise SchemaError("properties must be an object, and required a list")
        _check_names([*properties, *required])
        declared = dict(properties) | {name: True for name in required if name not in properties}
        if not declared:
            return self._map(schema, depth)
        least = _count(schema, "minProperties", 0)
        most = _count(schema, "maxProperties", len(declared))
        if least > len(set(required)) or most < len(declared):
            raise SchemaError("minProperties and maxProperties beside properties are not supported")
        return self._entries(declared, set(required), depth)

    def _entries(self, declared: Schema, required: set[str], depth: int) -> str:
        """Properties in the order of the schema, the optional ones or not.

        `first`: what may come while there is none yet; `more`: once there is one.
        """
        first = more = self._add('""')
        for name, schema in reversed(list(declared.items())):
            rule = self.rule_of(schema, depth + 1)
            entry = self._add(f'{_literal(name)} ":" space {rule}')
            if name in required:
                first, more = (
                    self._add(f"{entry} {more}"),
                    self._add(f'"," space {entry} {more}'),
                )
            else:
                first, more = (
                    self._add(f"{entry} {more} | {first}"),
                    self._add(f'("," space {entry})? {more}'),
                )
        return self._add(f'"{{" {first} "}}"')

    def _map(self, schema: Schema, depth: int) -> str:
        """Any names, all values of one schema."""
        values = schema.get("additionalProperties", True)
        least, most = _count(schema, "minProperties", 0), _count(schema, "maxProperties", None)
        if least > 1:
            raise SchemaError("minProperties above 1 is not supported for free names")
        if values is False or most == 0:
            if least:
                raise SchemaError("no property is allowed, but minProperties wants one")
            return self._add('"{}"')
        entry = self._add(f'string ":" space {self.rule_of(values, depth + 1)}')
        return self._add(self._listed("{", entry, least, most, "}"))

    def _array(self, schema: Schema, depth: int) -> str:
        least, most = _count(schema, "minItems", 0), _count(schema, "maxItems", None)
        if "prefixItems" in schema:
            return self._tuple(schema, least, most, depth)
        items = schema.get("items", True)
        if items is False:
            most = 0
        if most is not None and least > most:
            raise SchemaError("minItems is more than maxItems")
        if most == 0:
            return self._add('"[]"')
        return self._add(self._listed("[", self.rule_of(items, depth + 1), least, most, "]"))

    def _tuple(self, schema: Schema, least: int, most: int | None, depth: int) -> str:
        """All of prefixItems and nothing after them, which any `items` allows."""
        prefix = _list(schema, "prefixItems")
        if least > len(prefix) or (most is not None and most < len(prefix)):
            raise SchemaError("minItems and maxItems must fit prefixItems")
        rules = [self.rule_of(item, depth + 1) for item in prefix]
        return self._add('"[" ' + ' "," space '.join(rules) + ' "]"')

    def _listed(self, opening: str, item: str, least: int, most: int | None, closing: str) -> str:
        _check_repeats(least)
        more = self._add(f'"," space {item}')
        last = "" if most is None else str(min(most, MAX_REPEATS) - 1)
        listed = f"{item} {more}{{{max(0, least - 1)},{last}}}"
        return f'"{opening}" {listed if least else f"({listed})?"} "{closing}"'

    def _string(self, schema: Schema) -> str:
        least, most = _count(schema, "minLength", 0), _count(schema, "maxLength", None)
        if least == 0 and most is None:
            wanted = schema.get("format")
            known = FORMATS.get(wanted) if isinstance(wanted, str) else None
            return self._add(known) if known else "string"
        if most is not None and least > most:
            raise SchemaError("minLength is more than maxLength")
        _check_repeats(least)
        last = "" if most is None else str(min(most, MAX_REPEATS))
        return self._add(f'"\\"" char{{{least},{last}}} "\\""')

    def _number(self, schema: Schema, kind: str) -> str:
        if not KEYWORDS["number"] & schema.keys():
            return kind
        low, high = _bounds(schema)
        if kind == "integer":
            return self._add(_integers(math.ceil(low), math.floor(high)))
        return self._add(_numbers(low, high))

    def _add(self, body: str) -> str:
        if len(self.rules) >= MAX_RULES:
            raise SchemaError(f"the schema is too large: more than {MAX_RULES} rules")
        name = f"r{len(self.rules)}"
        self.rules[name] = body
        return name


def _check_keywords(schema: object) -> None:
    if not isinstance(schema, Mapping):
        raise SchemaError(f"{_shown(schema)} is not a schema")
    unknown = sorted(str(key) for key in schema if key not in KNOWN)
    if unknown:
        raise SchemaError(f"the keyword {unknown[0][:60]!r} is not supported")


def _literal(value: object) -> str:
    """`value` as JSON, as a GBNF literal."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        text = json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise SchemaError(f"{_shown(value)} is not JSON") from error
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'


def _implied_types(schema: Schema) -> tuple[str, ...]:
    """The types that the keywords speak of; all of them when they say nothing."""
    found = [kind for kind in ANY_TYPE if KEYWORDS[kind] & schema.keys()]
    return tuple(found) or ANY_TYPE


def _resolve(root: object, pointer: str) -> object:
    """The schema at a JSON pointer inside the document. Nothing is fetched from elsewhere."""
    if pointer != "#" and not pointer.startswith("#/"):
        raise SchemaError(f"$ref {pointer[:60]!r}: only references inside the schema are supported")
    found = root
    for part in pointer[2:].split("/") if pointer != "#" else []:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            raise SchemaError(f"$ref {pointer[:60]!r} leads nowhere")
        found = found[key]
    return found


def _merged_all(schema: Schema) -> dict[str, Any]:
    merged: object = {key: value for key, value in schema.items() if key != "allOf"}
    for part in _list(schema, "allOf"):
        merged = _merged(merged, part)
    if not isinstance(merged, dict):
        raise SchemaError(f"{_shown(merged)} is not a schema that allOf can combine")
    return merged


def _merged(first: object, second: object) -> object:
    """Both schemas at once. Raises SchemaError where they speak of the same thing."""
    if second is True:
        return first
    if first == {}:
        return second
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        raise SchemaError(f"{_shown(second)} cannot be combined with what stands beside it")
    merged = dict(first)
    for key, value in second.items():
        if key in ANNOTATIONS or key not in merged or merged[key] == value:
            merged[key] = value
        elif key == "required" and isinstance(value, list):
            merged[key] = [*_list(merged, key), *value]
        elif key == "properties" and not set(merged[key]) & set(value):
            merged[key] = {**merged[key], **value}
        else:
            raise SchemaError(f"the keyword {str(key)[:60]!r} stands twice and cannot be combined")
    if "$ref" in merged:
        _refuse_beside(merged, "$ref")
    return merged


def _refuse_beside(schema: Schema, keyword: str) -> None:
    beside = sorted(str(key) for key in schema.keys() - ANNOTATIONS - {keyword})
    if beside:
        raise SchemaError(f"{beside[0]!r} beside {keyword} is not supported")


def _check_disjoint(branches: list[object], resolve: Callable[[object], object]) -> None:
    """oneOf: no value may obey two branches. Told apart by type, or by a constant property."""
    for i, first in enumerate(branches):
        for second in branches[i + 1 :]:
            if not _is_disjoint(resolve(first), resolve(second)):
                raise SchemaError("two branches of oneOf may overlap; use anyOf")


def _is_disjoint(first: object, second: object) -> bool:
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        return False
    values = _values(first), _values(second)
    if values[0] is not None and values[1] is not None:
        return not values[0] & values[1]
    if not _types(first) & _types(second):
        return True
    shared = set(_list(first, "required")) & set(_list(second, "required"))
    for name in shared:
        one, other = (_values(schema.get("properties", {}).get(name)) for schema in (first, second))
        if one is not None and other is not None and not one & other:
            return True
    return False


def _types(schema: Schema) -> set[str]:
    found = schema.get("type")
    values = _values(schema)
    if found is None and values is not None:
        return {_type_of(json.loads(value)) for value in values}
    kinds = {found} if isinstance(found, str) else set(found or _implied_types(schema))
    return {"number" if kind == "integer" else str(kind) for kind in kinds}


def _type_of(value: object) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object" if isinstance(value, dict) else "null")


def _values(schema: object) -> set[str] | None:
    """What const or enum allow, as JSON; None without them."""
    if isinstance(schema, Mapping) and "const" in schema:
        return {json.dumps(schema["const"], sort_keys=True)}
    if isinstance(schema, Mapping) and "enum" in schema:
        return {json.dumps(value, sort_keys=True) for value in _list(schema, "enum")}
    return None


def _list(schema: Schema, keyword: str) -> list[Any]:
    value = schema.get(keyword, [])
    if not isinstance(value, list) or (not value and keyword != "required"):
        raise SchemaError(f"{keyword} must be a list that is not empty")
    return value


def _check_names(names: list[object]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise SchemaError("the name of a property must be a text")


def _count(schema: Schema, keyword: str, default: Any) -> Any:
    value = schema.get(keyword, default)
    if value is default:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise SchemaError(f"{keyword} must be a number of things")
    return value


def _check_repeats(number: int) -> None:
    if number > MAX_REPEATS:
        raise SchemaError(f"{number} is too many: at most {MAX_REPEATS}")


def _bounds(schema: Schema) -> tuple[float, float]:
    """Least and greatest value, exclusive bounds moved inwards to the next number."""
    limit = float(10**MAX_DIGITS - 1)
    low = max(_limit(schema, "minimum", -limit), -limit)
    high = min(_limit(schema, "maximum", limit), limit)
    above = _limit(schema, "exclusiveMinimum", -math.inf)
    below = _limit(schema, "exclusiveMaximum", math.inf)
    low = max(low, math.nextafter(above, math.inf))
    high = min(high, math.nextafter(below, -math.inf))
    if low > high:
        raise SchemaError("no number lies between minimum and maximum")
    return low, high


def _limit(schema: Schema, keyword: str, default: float) -> float:
    value = schema.get(keyword, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise SchemaError(f"{keyword} must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise SchemaError(f"{keyword} is too large") from error


def _integers(low: int, high: int) -> str:
    """All integers from `low` to `high`, as alternatives."""
    if low > high:
        raise SchemaError("no integer lies between minimum and maximum")
    found = []
    if low < 0:
        found.append(f'"-" ({_naturals(max(1, -high), -low)})')
    if high >= 0:
        found.append(_naturals(max(0, low), high))
    return " | ".join(found)


def _numbers(low: float, high: float) -> str:
    """Numbers within the bounds: all integers, and decimals that end in no zero."""
    first, last = math.ceil(low), math.floor(high)
    if first > last:
        raise SchemaError("minimum and maximum are too narrow: no integer lies between them")
    found = [_integers(first, last)]
    fraction = '"." [0-9]{0,14} [1-9]'
    if last >= 1 and last - 1 >= max(0, first):
        found.append(f"({_naturals(max(0, first), last - 1)}) {fraction}")
    if first <= -1 and -first - 1 >= max(0, -last):
        found.append(f'"-" ({_naturals(max(0, -last), -first - 1)}) {fraction}')
    return " | ".join(found)


def _naturals(low: int, high: int) -> str:
    """Numbers from `low` to `high` (0 <= low <= high) without leading zeros."""
    found = []
    for num_digits in range(len(str(low)), len(str(high)) + 1):
        least = max(low, 10 ** (num_digits - 1) if num_digits > 1 else 0)
        most = min(high, 10**num_digits - 1)
        found.append(_same_length(str(least), str(most)))
    return " | ".join(found)


def _same_length(low: str, high: str) -> str:
    """Texts of digits from `low` to `high`, which have the same length."""
    if not low:
        return ""
    if low[0] == high[0]:
        return f'"{low[0]}" {_grouped(_same_length(low[1:], high[1:]))}'.strip()
    rest = len(low) - 1
    if rest == 0:
        return f"[{low}-{high}]"
    found = []
    first, last = int(low[0]), int(high[0])
    if low[1:] != "0" * rest:
        found.append(f'"{first}" {_grouped(_same_length(low[1:], "9" * rest))}')
        first += 1
    if high[1:] != "9" * rest:
        found.append(f'"{last}" {_grouped(_same_length("0" * rest, high[1:]))}')
        last -= 1
    if first <= last:
        found.append(f"[{first}-{last}] [0-9]{{{rest}}}")
    return " | ".join(found)


def _grouped(body: str) -> str:
    return f"({body})" if " | " in body else body


def _shown(value: object) -> str:
    return repr(value)[:60]
