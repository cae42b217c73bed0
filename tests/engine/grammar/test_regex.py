"""Regular expressions as grammars: what they allow is found by Python's re; the rest is refused."""

import json
import re
from random import Random

import pytest

from tests.engine.grammar.test_json_schema import walk
from webui.engine.grammar.json_schema import grammar_of
from webui.engine.grammar.matcher import Grammar, Matcher
from webui.engine.grammar.regex import RegexError, text_grammar

PATTERNS = [
    "abc", "^abc$", "a|bc|", "(foo|bar)+", "[a-c]{2,4}-\\d+", "^\\w+@\\w+\\.(com|jp)$", "x|^y$",
    "(^a$)|(^b$)", "[^a-z\"]\\\\", "\\u3042[い-お]*?", "(?:a(?:b(?:c)?)?)?", "\\.\\/\\-", ".",
    "(?<year>[0-9]{4})-x", "[\\d\\s_-]{3}", "^$", "\\x41\\t",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_text_of_the_grammar_is_matched_as_a_whole(pattern: str) -> None:
    python = pattern.replace("(?<", "(?P<")
    for seed in range(30):
        text = walk(text_grammar(pattern), Random(seed), seed)
        assert re.search(f"^(?:{python})$", text) or re.fullmatch(python, text), text


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_json_string_of_the_grammar_contains_the_pattern(pattern: str) -> None:
    grammar = grammar_of({"type": "string", "pattern": pattern})
    for seed in range(30):
        text = json.loads(walk(grammar, Random(seed), seed))
        assert re.search(pattern.replace("(?<", "(?P<"), text), text


@pytest.mark.parametrize(
    ("pattern", "text", "is_whole"),
    [("a+", "aaa", True), ("a+", "aab", False), ("^a|b$", "b", True), ('[^"]', '"', False)],
)
def test_texts_are_told_apart(pattern: str, text: str, is_whole: bool) -> None:
    matcher = Matcher(Grammar.parse(text_grammar(pattern)))
    is_allowed = matcher.allows(text.encode())
    if is_allowed:
        matcher.accept(text.encode())
    assert (is_allowed and matcher.can_end) == is_whole


@pytest.mark.parametrize(
    "pattern",
    ["(", "a)", "[", "*a", "a**", "(?=a)b", "(?!a)", "a(?<=a)", "(a)\\1", "\\bword", "a{3,2}",
     "[z-a]", "\\", "a^b", "a$b", "\\p{Greek}", "(" * 60 + ")" * 60, "x" * 20_000, "a{9999}",
     "\\u12"],
    ids=lambda pattern: pattern[:12],
)  # fmt: skip
def test_what_no_grammar_follows_is_an_error(pattern: str) -> None:
    with pytest.raises(RegexError):
        text_grammar(pattern)
