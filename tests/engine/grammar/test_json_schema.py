"""JSON Schema → GBNF: whatever the grammar allows obeys the schema, also from random weights."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.budget import examples
from tests.engine.worker.cores import load_message
from tests.makegguf import random_llama
from webui.engine.client import Delta, Engine
from webui.engine.grammar.checking import Checker, CheckError, Fault
from webui.engine.grammar.formats import FORMATS
from webui.engine.grammar.json_schema import grammar_of, held
from webui.engine.grammar.matcher import Grammar, GrammarError, Matcher
from webui.engine.grammar.merging import SchemaError
from webui.engine.request import FinishReason, SamplingParams

SCHEMAS: list[Any] = [
    {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
     "required": ["name", "age"], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "null"},
                                      "c": {"enum": ["日本", "東\"京", 3]}}, "required": ["b"]},
    {"type": "array", "items": {"type": "number", "minimum": -2.5, "exclusiveMaximum": 7},
     "minItems": 2, "maxItems": 4},
    {"type": "string", "minLength": 3, "maxLength": 6},
    {"type": ["string", "null", "integer"]},
    {"anyOf": [{"type": "string", "maxLength": 3}, {"const": {"x": [1, "あ\n"]}}]},
    {"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}}, "required": ["kind"]},
               {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]}]},
    {"$defs": {"node": {"type": "object", "required": ["v"],
                        "properties": {"v": {"type": "integer", "minimum": 10, "maximum": 1205},
                                       "next": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2},
    {"type": "string", "format": "date-time"},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]},
               {"properties": {"b": {"type": "string", "maxLength": 4}}, "required": ["b"]}],
     "type": "object"},
    {"type": "integer", "anyOf": [True]},
    {"type": "integer", "allOf": [True, {"maximum": 7}]},
    {},
    # What the standard says to ignore.
    {"type": "integer", "self": {}, "id": "x", "_format": 1, "x-kubernetes-group": [], "links": 2},
    {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,4}$"},
    {"type": "string", "pattern": "b\"|あ+c"},
    {"type": "object", "patternProperties": {"^x-[a-z]{1,5}$": {"type": "boolean"}},
     "additionalProperties": False, "minProperties": 1},
    {"type": "object", "properties": {"x-a": {"type": "integer"}, "b": {}}, "required": ["x-a"],
     "patternProperties": {"^x-": {"maximum": 9}}},
    {"$defs": {"a": {"type": "integer", "minimum": 3}}, "$ref": "#/$defs/a", "maximum": 5},
    {"type": "number", "minimum": 0.25, "maximum": 0.75},
    {"type": "number", "exclusiveMinimum": -0.5, "exclusiveMaximum": -0.25},
    {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 3},
    {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 60},
    {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"},
                                      "c": {"type": "null"}}, "minProperties": 2},
    {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"},
                                      "c": {"type": "null"}}, "maxProperties": 1},
    {"allOf": [{"properties": {"a": {"type": "integer", "minimum": 1}}},
               {"properties": {"a": {"maximum": 4}}, "required": ["a"]}], "type": "object"},
    {"type": "array", "items": [{"type": "null"}, {"type": "boolean"}], "minItems": 4,
     "$schema": "http://json-schema.org/draft-07/schema#"},
    {"$defs": {"n": {"$anchor": "node", "type": "null"}}, "$ref": "#node"},
    {"minimum": 3, "exclusiveMinimum": True, "type": "integer", "maximum": 5,
     "$schema": "http://json-schema.org/draft-04/schema#"},
    *({"type": "string", "format": name} for name in FORMATS),
]  # fmt: skip
# The grammar holds a part; the rest is named, and checked in what was written.
CHECKED: list[tuple[Any, str]] = [
    ({"not": {"const": 1}}, "not"),
    ({"type": "array", "uniqueItems": True, "items": {"type": "boolean"}}, "uniqueItems"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
    ({"type": "string", "pattern": "^(?=a)b"}, "pattern"),
    ({"type": "string", "pattern": "^a+$", "maxLength": 3}, "maxLength"),
    ({"type": "number", "multipleOf": 0.3}, "multipleOf"),
    ({"if": {"type": "integer"}, "then": {"minimum": 3}}, "if"),
    ({"type": "object", "dependentRequired": {"a": ["b"]}}, "dependentRequired"),
    ({"type": "object", "propertyNames": {"maxLength": 2}}, "propertyNames"),
    ({"type": "array", "contains": {"const": 1}, "maxContains": 1}, "contains"),
    ({"type": "object", "properties": {"p": {"not": {}}}}, "not at #/properties/p"),
]


def walk(text: str, random: Random, max_chars: int) -> str:
    """A text that the grammar allows: random characters, then its shortest end."""
    matcher = Matcher(Grammar.parse(text))
    written = ""
    for _ in range(max_chars):
        choices = [c for c in 'aZ 09-."\\{}[],:nutrueflase日あe+\n' if matcher.allows(c.encode())]
        if not choices or (matcher.can_end and random.random() < 0.2):
            break
        written += random.choice(choices)
        matcher.accept(written[-1].encode())
    end = matcher.shortest_end()
    assert len(end.encode()) == matcher.num_bytes_to_end
    if end:
        assert matcher.allows(end.encode())
        matcher.accept(end.encode())
    assert matcher.can_end
    return written + end


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_every_walk_through_the_grammar_obeys_the_schema(schema: Any) -> None:
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    grammar = grammar_of(schema)
    assert not held(schema).unheld
    for seed in range(60):
        value = json.loads(walk(grammar, Random(seed), seed))
        assert validator.is_valid(value), value


@pytest.mark.parametrize(("schema", "keyword"), CHECKED, ids=lambda value: str(value)[:30])
def test_what_the_grammar_does_not_hold_is_named_for_the_check(schema: Any, keyword: str) -> None:
    assert any(name.startswith(keyword) for name in held(schema).unheld)


def test_the_check_names_place_and_keyword() -> None:
    checker = Checker({"properties": {"a": {"items": {"not": {"const": 1}}}}})
    assert checker.fault('{"a": [2]}') is None
    assert checker.fault('{"a": [2, 1]}') == Fault("a/1", "not")
    assert checker.fault("{") == Fault("", "JSON")


@pytest.mark.parametrize("schema", [{"$ref": "http://127.0.0.1:9/x"}, {"type": 3}])
def test_a_schema_that_no_validator_takes_is_refused_and_nothing_is_fetched(schema: Any) -> None:
    with pytest.raises(CheckError):
        Checker(schema)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 9), (-5, 130), (7, 7), (-1205, -10), (99, 1001), (0, 10**9), (-1, 0)]
)
def test_integers_have_exactly_their_range(low: int, high: int) -> None:
    grammar = Grammar.parse(grammar_of({"type": "integer", "minimum": low, "maximum": high}))
    near = {low + d for d in range(-12, 13)} | {high + d for d in range(-12, 13)} | {0, 1, -1, 55}
    for number in near:
        matcher = Matcher(grammar)
        is_allowed = matcher.allows(str(number).encode())
        if is_allowed:
            matcher.accept(str(number).encode())
            is_allowed = matcher.can_end
        assert is_allowed == (low <= number <= high), number


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/nowhere"},
        {"type": "number", "minimum": 3, "maximum": 2},
        {"type": "nothing"},
        {"enum": []},
        {"const": float("nan")},
        {"type": "array", "minItems": 5000},
        {"allOf": [None]},
        {"type": "string", "pattern": 3},
        {"type": "integer", "minimum": 4, "maximum": 5, "multipleOf": 3},
        {"type": "object", "minProperties": 1, "additionalProperties": False},
        {"allOf": [False]},
        {"allOf": [False, {"type": "null"}]},
        {"type": "null", "anyOf": [3]},
        False,
        [],
        "x",
    ],
    ids=repr,
)
def test_what_a_grammar_cannot_hold_is_refused_by_name(schema: Any) -> None:
    with pytest.raises(SchemaError):
        grammar_of(schema)


@pytest.mark.parametrize("keyword", ["anyOf", "allOf"])
def test_true_beside_other_keywords_takes_nothing_away(keyword: str) -> None:
    matcher = Matcher(Grammar.parse(grammar_of({"type": "integer", keyword: [True]})))
    assert matcher.allows(b"12") and not matcher.allows(b"null")


def test_a_schema_that_only_refers_to_itself_is_refused() -> None:
    with pytest.raises(SchemaError):
        grammar_of({"$ref": "#"})


def test_deep_schemas_are_refused() -> None:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    with pytest.raises(SchemaError, match="inside each other"):
        grammar_of(schema)


KEYS = st.sampled_from(
    "type properties required items enum const anyOf oneOf allOf $ref minimum maximum minItems"
    " maxItems minLength maxLength additionalProperties prefixItems pattern patternProperties"
    " format multipleOf minProperties not".split()
) | st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=examples(300), deadline=None)
@given(JSON)
def test_any_json_is_a_grammar_or_a_clear_error(schema: Any) -> None:
    try:
        text = grammar_of(schema)
    except SchemaError as error:
        assert str(error)
        return
    try:
        Grammar.parse(text)
    except GrammarError as error:
        assert "recursion" in str(error) or "large" in str(error)


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "random.gguf"
    return random_llama(
        path, n_vocab=4600, n_embd=64, n_layer=2, n_head=4, n_head_kv=2, n_ff=128, n_ctx=2048
    )


def run(path: Path, test: Callable[[Engine], Awaitable[None]]) -> None:
    async def started() -> None:
        engine = Engine(load_message(path, n_ctx=2048), "random")
        await engine.start()
        try:
            await test(engine)
            assert (await engine.integrity()).problems == ()
        finally:
            await engine.stop()

    asyncio.run(started())


def test_random_weights_obey_every_schema_within_max_tokens(random_model: Path) -> None:
    async def test(engine: Engine) -> None:
        async def ask(schema: Any, seed: int) -> None:
            sampling = SamplingParams(
                max_tokens=60 + seed, temperature=1.5, top_k=0, top_p=1, min_p=0, seed=seed,
                grammar=grammar_of(schema), must_close=True,
            )  # fmt: skip
            events = [e async for e in engine.generate([400, 401, 402], sampling)]
            text = "".join(e.text for e in events if isinstance(e, Delta))
            last = events[-1]
            assert isinstance(last, Delta) and last.finish_reason is FinishReason.STOP, text
            assert last.usage and last.usage.completion_tokens <= 60 + seed
            validator = jsonschema_rs.validator_for(schema, validate_formats=True)
            assert validator.is_valid(json.loads(text)), text

        for seed in range(2):
            await asyncio.gather(*(ask(schema, seed) for schema in SCHEMAS))

    run(random_model, test)
