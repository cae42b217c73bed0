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
from webui.engine.grammar.json_schema import SchemaError, grammar_of
from webui.engine.grammar.matcher import Grammar, GrammarError, Matcher
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
]  # fmt: skip


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
    validator = jsonschema_rs.validator_for(schema)
    grammar = grammar_of(schema)
    for seed in range(60):
        value = json.loads(walk(grammar, Random(seed), seed))
        assert validator.is_valid(value), value


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
        {"not": {}},
        {"type": "string", "pattern": "a"},
        {"type": "integer", "multipleOf": 3},
        {"type": "array", "uniqueItems": True},
        {"type": "object", "patternProperties": {}},
        {"oneOf": [{"type": "integer"}, {"type": "number"}]},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/nowhere"},
        {"type": "number", "minimum": 3, "maximum": 2},
        {"type": "nothing"},
        {"enum": []},
        {"const": float("nan")},
        {"type": "array", "minItems": 5000},
        {"allOf": [None]},
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
    with pytest.raises(GrammarError):
        Grammar.parse(grammar_of({"$ref": "#"}))


def test_deep_schemas_are_refused() -> None:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    with pytest.raises(SchemaError, match="inside each other"):
        grammar_of(schema)


KEYS = st.sampled_from(
    "type properties required items enum const anyOf oneOf allOf $ref minimum maximum minItems"
    " maxItems minLength maxLength additionalProperties prefixItems".split()
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
            assert jsonschema_rs.validator_for(schema).is_valid(json.loads(text)), text

        for seed in range(2):
            await asyncio.gather(*(ask(schema, seed) for schema in SCHEMAS))

    run(random_model, test)
