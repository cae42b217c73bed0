"""JSON Schema → GBNF: every text that the grammar allows obeys what the grammar holds.

Of what is optional the grammar may allow less than the schema (no undeclared properties beside
declared ones, numbers of up to 15 digits, strings and arrays of up to 2,000). Keywords that no
grammar holds are named in `unheld`, for whoever checks the text afterwards; what the standard says
to ignore is ignored. Knows nothing about tokens or matching.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webui.engine.grammar.formats import FORMATS
from webui.engine.grammar.matcher import Grammar, GrammarError, Matcher
from webui.engine.grammar.merging import ASSERTIONS, Clash, Schema, SchemaError, merged
from webui.engine.grammar.numbers import NumberError, integers, multiples, numbers
from webui.engine.grammar.regex import RegexError, string_body
from webui.engine.grammar.schema_facts import (
    KEYWORDS,
    MAX_REPEATS,
    bounds_of,
    check_names,
    check_repeats,
    count_of,
    implied_types,
    is_disjoint,
    is_of,
    kinds_in,
    list_of,
    literal,
    object_of,
    resolve,
    shown,
)

MAX_DEPTH = 64  # schemas inside each other
MAX_RULES = 20_000
MAX_CHARS = 200_000  # of the grammar, which is what GBNF takes
MAX_UNHELD = 50
# No grammar holds these; the text is checked afterwards.
CHECKED = frozenset(
    "not if dependentRequired dependentSchemas dependencies propertyNames contains minContains"
    " maxContains unevaluatedProperties unevaluatedItems".split()
)

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
"""
JSON_OBJECT = BASE_RULES + "root ::= object\n"


@dataclass(frozen=True, slots=True)
class Held:
    """`grammar` holds the schema but for `unheld`: keywords with their places, as texts."""

    grammar: str
    unheld: tuple[str, ...] = ()


def grammar_of(schema: object) -> str:
    """The GBNF of `schema`, alone. Raises SchemaError."""
    return held(schema).grammar


def spaced(grammar: str) -> str:
    """The grammar for a value behind a colon: a space may stand before it."""
    head, root, tail = grammar.rpartition("root ::= ")
    return f"{head}{root}space {tail}"


def held(schema: object) -> Held:
    """What a grammar can hold of `schema`, and what it cannot. Raises SchemaError."""
    writer = _Writer(schema)
    try:
        root = writer.rule_of(schema, 0, "#")
    except (Clash, NumberError) as error:
        raise SchemaError("no value can obey it") from error
    rules = "\n".join(f"{name} ::= {body}" for name, body in writer.rules.items())
    grammar = f"{BASE_RULES}{rules}\nroot ::= {root}\n"
    if len(grammar) > MAX_CHARS:
        raise SchemaError(f"the schema is too large: more than {MAX_CHARS} characters of rules")
    return Held(grammar, tuple(dict.fromkeys(writer.unheld))[:MAX_UNHELD])


class _Writer:
    """Turns schemas into rules; `rule_of` gives the name of the rule for one."""

    def __init__(self, root: object) -> None:
        self.rules: dict[str, str] = {}
        self.unheld: list[str] = []
        self._root = root
        self._known: dict[str, str] = {}  # rules of references, by what stands in them
        self._patterns: dict[str, str | None] = {}

    def rule_of(self, schema: object, depth: int, place: str) -> str:
        """Raises SchemaError; Clash where nothing can obey it."""
        if depth > MAX_DEPTH:
            raise SchemaError(f"more than {MAX_DEPTH} schemas inside each other")
        if schema is False:
            raise Clash
        if schema is True or schema == {}:
            return "value"
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{place}: {shown(schema)} is not a schema")
        return self._of_keywords(schema, depth, place)

    def _of_keywords(self, schema: Schema, depth: int, place: str) -> str:
        schema = {key: value for key, value in schema.items() if key in ASSERTIONS}
        for keyword in sorted(CHECKED & schema.keys()):
            self._leave(keyword, place)
        if "$ref" in schema:
            return self._reference(schema, depth, place)
        if "allOf" in schema:
            return self.rule_of(self._merged_all(schema, place), depth + 1, place)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._choice(schema, keyword, depth, place)
        if "const" in schema or "enum" in schema:
            return self._literals(schema, place)
        return self._typed(schema, depth, place)

    def _leave(self, keyword: str, place: str) -> None:
        self.unheld.append(f"{keyword} at {place}"[:200])

    # --- several schemas as one ------------------------------------------------------------------

    def _reference(self, schema: Schema, depth: int, place: str) -> str:
        pointer = schema["$ref"]
        if not isinstance(pointer, str):
            raise SchemaError(f"{place}: $ref must be a text")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        key = pointer + (json.dumps(beside, sort_keys=True, default=str) if beside else "")
        if key not in self._known:
            name = self._known[key] = self._add("")
            target = self._merged(resolve(self._root, pointer), beside, place)
            if isinstance(target, Mapping) and target.get("$ref") == pointer:
                raise SchemaError(f"{place}: $ref {pointer[:60]!r} refers to itself")
            self.rules[name] = self.rule_of(target, depth + 1, pointer)
        return self._known[key]

    def _merged(self, first: object, second: object, place: str) -> object:
        """Both; a reference beside something else is followed first."""
        lost: list[str] = []
        both = [self._followed(part) if other else part for part, other in
                ((first, second), (second, first))]  # fmt: skip
        found = merged(both[0], both[1], lost)
        for keyword in lost:
            self._leave(keyword, place)
        return found

    def _followed(self, schema: object) -> object:
        """The schema with its reference resolved, as deep as references lead to references."""
        for _ in range(MAX_DEPTH):
            if not (isinstance(schema, Mapping) and "$ref" in schema):
                return schema
            beside = {k: v for k, v in schema.items() if k != "$ref" and k in ASSERTIONS}
            target = resolve(self._root, str(schema["$ref"]))
            if isinstance(target, Mapping) and "$ref" in target and beside:
                target = self._followed(target)
            schema = merged(target, beside, self.unheld)
        raise SchemaError("$ref leads in a circle")

    def _merged_all(self, schema: Schema, place: str) -> object:
        found: object = {key: value for key, value in schema.items() if key != "allOf"}
        for part in list_of(schema, "allOf"):
            found = self._merged(found, part, place)
        return found

    def _choice(self, schema: Schema, keyword: str, depth: int, place: str) -> str:
        shared = {key: value for key, value in schema.items() if key != keyword}
        branches: list[object] = []
        rules: list[str] = []
        for number, branch in enumerate(list_of(schema, keyword)):
            num_unheld = len(self.unheld)
            try:
                both = self._merged(shared, branch, place)
                rules.append(self.rule_of(both, depth + 1, f"{place}/{keyword}/{number}"))
                branches.append(both)
            except (Clash, NumberError):
                del self.unheld[num_unheld:]
        if not rules:
            raise Clash
        if keyword == "oneOf" and not self._are_disjoint(branches):
            self._leave(keyword, place)
        return self._add(" | ".join(dict.fromkeys(rules)))

    def _are_disjoint(self, branches: Sequence[object]) -> bool:
        """Whether no value may obey two branches: told apart by type, or by constant properties."""
        known = [self._followed(branch) for branch in branches]
        return all(
            is_disjoint(first, second)
            for number, first in enumerate(known)
            for second in known[number + 1 :]
        )

    def _literals(self, schema: Schema, place: str) -> str:
        values = [schema["const"]] if "const" in schema else list_of(schema, "enum")
        if "const" in schema and "enum" in schema:
            self._leave("enum", place)
        if "type" in schema:
            kinds = kinds_in(schema["type"], place)
            values = [value for value in values if is_of(value, kinds)]
        rest = sorted(schema.keys() - {"const", "enum", "type"})
        for keyword in rest:
            self._leave(keyword, place)
        if not values:
            raise Clash
        return self._add(" | ".join(map(literal, values)))

    # --- by type ---------------------------------------------------------------------------------

    def _typed(self, schema: Schema, depth: int, place: str) -> str:
        kinds = kinds_in(schema["type"], place) if "type" in schema else implied_types(schema)
        rules: list[str] = []
        clash: Exception | None = None
        for kind in kinds:
            try:
                rules.append(self._of_type(kind, schema, depth, place))
            except (Clash, NumberError) as error:
                clash = error
        if not rules:
            if isinstance(clash, NumberError):
                raise SchemaError(f"{place}: {clash}") from clash
            raise Clash
        return rules[0] if len(rules) == 1 else self._add(" | ".join(rules))

    def _of_type(self, kind: str, schema: Schema, depth: int, place: str) -> str:
        match kind:
            case "object":
                return self._object(schema, depth, place)
            case "array":
                return self._array(schema, depth, place)
            case "string":
                return self._string(schema, place)
            case "integer" | "number":
                return self._number(schema, kind, place)
            case "boolean" | "null":
                return kind
        raise SchemaError(f"{place}: there is no type {kind[:60]!r}")

    # --- objects ---------------------------------------------------------------------------------

    def _object(self, schema: Schema, depth: int, place: str) -> str:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            required = [] if isinstance(required, bool) else required  # draft 3
            if not isinstance(properties, Mapping) or not isinstance(required, list):
                raise SchemaError(f"{place}: properties must be an object, and required a list")
        check_names([*properties, *required])
        others = schema.get("additionalProperties", True)
        declared = dict(properties)
        for name in required:
            if name not in declared:
                patterned = self._patterned(name, schema)
                declared[name] = True if patterned is None else patterned
                if patterned is None and others is not True:
                    declared[name] = others
        least = count_of(schema, "minProperties", 0)
        most = count_of(schema, "maxProperties", None)
        if not declared:
            return self._map(schema, least, most, depth, place)
        rules = self._properties(declared, schema, set(required), depth, place)
        if least > len(rules):
            self._leave("minProperties", place)
            least = len(rules)
        if most is not None and most < len(set(required)):
            raise Clash
        return self._entries(rules, set(required), least, most)

    def _properties(
        self, declared: Schema, schema: Schema, required: set[str], depth: int, place: str
    ) -> dict[str, str]:
        """The rule of each property that may be there."""
        rules: dict[str, str] = {}
        for name, value in declared.items():
            num_unheld = len(self.unheld)
            try:
                patterned = self._patterned(name, schema)
                if patterned is not None and patterned is not value:
                    value = self._merged(value, patterned, place)
                rules[name] = self.rule_of(value, depth + 1, f"{place}/properties/{name}")
            except Clash:
                if name in required:
                    raise
                del self.unheld[num_unheld:]
        return rules

    def _patterned(self, name: str, schema: Schema) -> object | None:
        """What patternProperties say of this name; None when nothing."""
        found: object | None = None
        for pattern, value in object_of(schema, "patternProperties").items():
            if _matches(pattern, name):
                found = value if found is None else {"allOf": [found, value]}
        return found

    def _entries(
        self, rules: Mapping[str, str], required: set[str], least: int, most: int | None
    ) -> str:
        """Properties in the order of the schema, the optional ones or not.

        States are how many there are already, as far as it matters: up to `least`, or `most`.
        """
        top = max(least, 1) if most is None else max(most, 1)
        after = [self._add('""') if count >= least else None for count in range(top + 1)]
        for name, rule in reversed(list(rules.items())):
            entry = self._add(f'{literal(name)} ":" space {rule}')
            before: list[str | None] = []
            for count in range(top + 1):
                comma = '"," space ' if count else ""
                following = None
                if most is None or count < most:
                    following = after[min(count + 1, top)]
                options = [f"{comma}{entry} {following}"] if following else []
                if name not in required and after[count]:
                    options.append(str(after[count]))
                before.append(self._add(" | ".join(options)) if options else None)
            after = before
        if after[0] is None:
            raise Clash
        return self._add(f'"{{" {after[0]} "}}"')

    def _map(self, schema: Schema, least: int, most: int | None, depth: int, place: str) -> str:
        """Free names: those that patterns allow, else any."""
        others = schema.get("additionalProperties", True)
        entries = []
        for pattern, value in object_of(schema, "patternProperties").items():
            body = self._pattern(pattern)
            if body is None:
                self._leave("patternProperties", place)
                continue
            rule = self.rule_of(value, depth + 1, f"{place}/patternProperties/{pattern}")
            entries.append(f'"\\"" {body} "\\"" ":" space {rule}')
        if len(entries) > 1:
            self._leave("patternProperties", place)  # a name may match two of them
        if not entries and others is not False and most != 0:
            rule = self.rule_of(others, depth + 1, f"{place}/additionalProperties")
            entries.append(f'string ":" space {rule}')
        if not entries or most == 0:
            if least:
                raise Clash
            return self._add('"{}"')
        if least > 1:
            self._leave("minProperties", place)  # a name may stand twice
        entry = self._add(" | ".join(entries))
        return self._add(self._listed("{", entry, least, most, "}"))

    # --- arrays ----------------------------------------------------------------------------------

    def _array(self, schema: Schema, depth: int, place: str) -> str:
        least, most = count_of(schema, "minItems", 0), count_of(schema, "maxItems", None)
        if schema.get("uniqueItems") is True and (most is None or most > 1):
            self._leave("uniqueItems", place)
        items = schema.get("items", True)
        prefix = schema.get("prefixItems", items if isinstance(items, list) else [])
        if isinstance(items, list):  # before 2020
            items = schema.get("additionalItems", True)
        if not isinstance(prefix, list):
            raise SchemaError(f"{place}: prefixItems must be a list")
        least = max(least, 1) if "contains" in schema else least
        if most is not None and least > most:
            raise Clash
        if prefix:
            return self._tuple(prefix, items, least, most, depth, place)
        wanted = schema.get("contains", True) if items is True else items
        try:
            rule = self.rule_of(wanted if most != 0 else False, depth + 1, f"{place}/items")
        except Clash:
            if least:
                raise
            return self._add('"[]"')
        return self._add(self._listed("[", rule, least, most, "]"))

    def _tuple(
        self, prefix: list[Any], items: Any, least: int, most: int | None, depth: int, place: str
    ) -> str:
        """All of the prefix as far as it may go, and after it only what must be there."""
        prefix = prefix[: most if most is not None else len(prefix)]
        if not prefix:
            return self._add('"[]"')
        rules = [self.rule_of(p, depth + 1, f"{place}/items/{i}") for i, p in enumerate(prefix)]
        rest = max(0, least - len(prefix))
        if rest:
            check_repeats(rest)
            more = self.rule_of(items, depth + 1, f"{place}/items")
            rules[-1] += f' ("," space {more}){{{rest}}}'
        return self._add('"[" ' + ' "," space '.join(rules) + ' "]"')

    def _listed(self, opening: str, item: str, least: int, most: int | None, closing: str) -> str:
        check_repeats(least)
        more = self._add(f'"," space {item}')
        last = "" if most is None else str(min(most, MAX_REPEATS) - 1)
        listed = f"{item} {more}{{{max(0, least - 1)},{last}}}"
        return f'"{opening}" {listed if least else f"({listed})?"} "{closing}"'

    # --- strings and numbers ---------------------------------------------------------------------

    def _string(self, schema: Schema, place: str) -> str:
        least, most = count_of(schema, "minLength", 0), count_of(schema, "maxLength", None)
        if most is not None and least > most:
            raise Clash
        body = None
        if "pattern" in schema:
            body = self._pattern(schema["pattern"])
            if body is None:
                self._leave("pattern", place)
        wanted = schema.get("format")
        known = FORMATS.get(wanted) if isinstance(wanted, str) else None
        if known and body:
            self._leave("format", place)
        elif known:
            body = self._pattern(f"^({known})$")
        if body:
            for keyword in ("minLength", "maxLength"):
                if keyword in schema:
                    self._leave(keyword, place)
            return self._add(f'"\\"" {body} "\\""')
        if least == 0 and most is None:
            return "string"
        check_repeats(least)
        last = "" if most is None else str(min(most, MAX_REPEATS))
        return self._add(f'"\\"" char{{{least},{last}}} "\\""')

    def _pattern(self, pattern: object) -> str | None:
        """The rule of a string in which it is found; None when no grammar follows it."""
        if not isinstance(pattern, str):
            raise SchemaError("pattern must be a text")
        if pattern not in self._patterns:
            num_rules = len(self.rules)
            try:
                self._patterns[pattern] = string_body(pattern, self._add, "char")
            except RegexError:
                for name in list(self.rules)[num_rules:]:
                    self.rules[name] = '""'
                self._patterns[pattern] = None
        return self._patterns[pattern]

    def _number(self, schema: Schema, kind: str, place: str) -> str:
        if not KEYWORDS["number"] & schema.keys():
            return kind
        low, high = bounds_of(schema)
        step = schema.get("multipleOf")
        if step is not None and (isinstance(step, bool) or not isinstance(step, int | float)):
            raise SchemaError(f"{place}: multipleOf must be a number")
        if step is not None and step > 0 and float(step).is_integer() and step != 1:
            listed = multiples(int(step), low, high)
            if listed:
                return self._add(listed)
        max_decimals = 15
        if step is not None:
            places = -math.log10(step) if step > 0 else 0
            if step > 0 and abs(places - round(places)) < 1e-9 and places >= 0:
                max_decimals = round(places)
            else:
                self._leave("multipleOf", place)
        if kind == "integer" or step == 1:
            return self._add(integers(math.ceil(low), math.floor(high)))
        return self._add(numbers(low, high, max_decimals))

    def _add(self, body: str) -> str:
        if len(self.rules) >= MAX_RULES:
            raise SchemaError(f"the schema is too large: more than {MAX_RULES} rules")
        name = f"r{len(self.rules)}"
        self.rules[name] = body
        return name


def _matches(pattern: object, name: str) -> bool:
    """Whether a pattern of patternProperties is found in `name`, as far as a grammar can tell."""
    try:
        rules: dict[str, str] = {}

        def add(body: str) -> str:
            rules[f"x{len(rules)}"] = body
            return f"x{len(rules) - 1}"

        root = string_body(str(pattern), add, "char")
        lines = [f"{rule} ::= {body}" for rule, body in rules.items()]
        matcher = Matcher(Grammar.parse("\n".join([BASE_RULES, *lines, f"root ::= {root}\n"])))
        if name:
            matcher.accept(json.dumps(name, ensure_ascii=False)[1:-1].encode())
    except (RegexError, GrammarError):
        return False
    return matcher.can_end
