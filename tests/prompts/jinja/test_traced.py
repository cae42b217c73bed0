"""Traced: what str does, and never a message's character that counts as the template's."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.prompts.jinja.traced import Traced, concat, spans_of

# Template text is ASCII, message text is Greek: every character tells where it came from.
TEMPLATE = st.text(" ab\n-", max_size=6)
MESSAGE = st.text("αβ\u3000\u2028γ", max_size=6)
PARTS = st.lists(TEMPLATE | MESSAGE.map(Traced), max_size=5).map(concat)
MIXED = PARTS.map(lambda text: Traced(text, spans_of(text)))  # as templates see every string
SEPARATORS = st.sampled_from([None, "a", "α", " ", "-", "ab", "βγ"])
EXACT: list[Callable[[str, str], Any]] = [
    lambda text, other: text + other,
    lambda text, other: other + text,
    lambda text, other: text.strip(),
    lambda text, other: text.lstrip("aα"),
    lambda text, other: text.rstrip(),
    lambda text, other: text[1:-1],
    lambda text, other: text[-3:2],
    lambda text, other: text[:0],
    lambda text, other: list(text),
    lambda text, other: text[0] if text else "",
    lambda text, other: text[-1] if text else "",
    lambda text, other: text.splitlines(),
    lambda text, other: text.splitlines(True),
    lambda text, other: text.replace("a", other),
    lambda text, other: text.replace("α", other, 1),
    lambda text, other: text.removeprefix("a").removesuffix("α"),
    lambda text, other: Traced(text, spans_of(text)).join([other, text, other]),
    lambda text, other: text * 3,
    lambda text, other: 2 * text,
    lambda text, other: str(text),
]
WHOLE: list[Callable[[str, str], str]] = [
    lambda text, other: text.upper(),
    lambda text, other: text.lower(),
    lambda text, other: text.title(),
    lambda text, other: text.capitalize(),
    lambda text, other: text.center(20, "-"),
    lambda text, other: text.ljust(20),
    lambda text, other: text.rjust(20),
    lambda text, other: text[::-1],
    lambda text, other: text[::2],
    lambda text, other: text.replace("", "-"),
    lambda text, other: "<%s>" % text,  # noqa: UP031
]


def born(text: str) -> list[bool]:
    """Of each character: whether it counts as a message's."""
    marks = [False] * len(text)
    for start, end in spans_of(text):
        marks[start:end] = [True] * (end - start)
    return marks


def check_exact(result: Any) -> None:
    for text in [result] if isinstance(result, str) else result:
        assert born(text) == [char > "\x7f" for char in text]


def plain(value: Any) -> Any:
    return "".join(value) if isinstance(value, str) else list(map(plain, value))


@settings(deadline=None)
@given(MIXED, MIXED)
def test_operations_that_move_characters_keep_each_ones_origin(text: str, other: str) -> None:
    for operation in EXACT:
        result = operation(text, other)
        assert plain(result) == plain(operation(plain(text), plain(other)))
        check_exact(result)


@settings(deadline=None)
@given(MIXED, SEPARATORS, st.integers(-1, 3))
def test_splitting_keeps_each_characters_origin(text: str, sep: str | None, count: int) -> None:
    for result, expected in (
        (text.split(sep, count), plain(text).split(sep, count)),
        (text.rsplit(sep, count), plain(text).rsplit(sep, count)),
        (text.partition(sep or "-"), list(plain(text).partition(sep or "-"))),
        (text.rpartition(sep or "-"), list(plain(text).rpartition(sep or "-"))),
    ):
        assert plain(result) == expected
        check_exact(result)


@settings(deadline=None)
@given(MIXED, MIXED)
def test_what_cannot_be_followed_counts_as_message_text(text: str, other: str) -> None:
    for operation in WHOLE:
        result = operation(text, other)
        assert plain(result) == plain(operation(plain(text), plain(other)))
        if any(born(text)):
            assert all(born(result))


@pytest.mark.parametrize("template", ["%s", "%s and %s"])
def test_a_plain_format_string_does_not_wash_its_values(template: str) -> None:
    values = tuple([Traced("x")] * template.count("%s"))
    if len(values) == 1:
        assert spans_of(template % values[0])
    assert spans_of(Traced(template, ()) % values)


def test_a_new_traced_text_is_message_born_as_a_whole() -> None:
    assert spans_of(Traced("abc")) == ((0, 3),)
    assert spans_of(Traced("")) == ()
    assert spans_of("abc") == ()
