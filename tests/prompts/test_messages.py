"""What is put in order before a template sees it, and what is refused instead."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.prompts import MessagesError, builtin_families
from webui.prompts.messages import in_order
from webui.strings import Language


def said(*turns: str) -> list[dict[str, str]]:
    """["u:question", "a:answer", "s:system", …] as messages."""
    roles = {"s": "system", "u": "user", "a": "assistant", "d": "developer", "t": "tool"}
    return [{"role": roles.get(turn[0], turn[0]), "content": turn[2:]} for turn in turns]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (["u:1"], ["u:1"]),
        (["s:S", "u:1", "a:2", "u:3"], ["s:S", "u:1", "a:2", "u:3"]),
        (["u:1", "s:S", "u:2"], ["s:S", "u:1\n\n2"]),
        (["s:S", "d:T", "u:1"], ["s:S\n\nT", "u:1"]),
        (["s: ", "u:1"], ["u:1"]),
        (["u:1", "a:", "u:2"], ["u:1\n\n2"]),
        (["u:1", "a:2", "a:3", "u:4"], ["u:1", "a:2\n\n3", "u:4"]),
        (["u: 1 "], ["u: 1 "]),
        (["u:1", "s:S"], ["s:S", "u:1"]),
        (["s:S"], ["s:S"]),
        (["a:1", "u:2"], ["a:1", "u:2"]),
        (["u:1", "a:2"], ["u:1", "a:2"]),
        (["u:1", "a:2", "s:S"], ["u:1", "a:2", "u:S"]),
        (["u:1", "a:2", "t:3", "t:4"], ["u:1", "a:2", "t:3", "t:4"]),
    ],
)
def test_roles_are_put_in_order(given_: list[str], expected: list[str]) -> None:
    assert in_order(said(*given_)) == said(*expected)


@pytest.mark.parametrize(
    ("turns", "key"),
    [
        ([], "no_messages"),
        (["u: \n"], "no_messages"),
        (["u:1", "a:2", "u:  "], "no_question"),
        (["u:1", "x:2"], "unknown_role"),
    ],
)
def test_what_cannot_be_a_prompt_is_a_clear_error(turns: list[str], key: str) -> None:
    with pytest.raises(MessagesError) as error:
        in_order(said(*turns))
    assert error.value.key == f"prompts.{key}"
    assert all(error.value.message(language) for language in Language)


@pytest.mark.parametrize(
    "message",
    [
        {"content": "x"},
        {"role": 3, "content": "x"},
        {"role": "user", "content": ["x"]},
        {"role": []},
    ],
)
def test_messages_of_the_wrong_shape_are_refused(message: dict[str, str]) -> None:
    with pytest.raises(MessagesError):
        in_order([message])


TURNS = st.lists(
    st.builds("{}:{}".format, st.sampled_from("suad"), st.text(max_size=3)), max_size=8
)


@settings(deadline=None)
@given(TURNS)
def test_any_order_gives_a_sound_prompt_or_a_clear_error(turns: list[str]) -> None:
    messages = said(*turns)
    try:
        ordered = in_order(messages)
    except MessagesError:
        return
    system = [message for message in ordered if message["role"] == "system"]
    rest = ordered[len(system) :]
    assert ordered[: len(system)] == system
    assert len(system) <= 1
    roles = [message["role"] for message in rest]
    assert all(one != other for one, other in zip(roles, roles[1:], strict=False))
    assert set(roles) <= {"user", "assistant"}
    kept = "".join(message["content"] for message in ordered)
    assert all(m["content"] in kept for m in messages if m["content"].strip())


# A translator's template reads the last text only.
TALKING = sorted(builtin_families().keys() - {"plamo2-translate"})


@settings(deadline=None)
@given(TURNS, st.sampled_from(TALKING))
def test_every_family_takes_every_order(turns: list[str], name: str) -> None:
    try:
        prompt = builtin_families()[name].format.render(said(*turns))
    except MessagesError:
        return
    assert all(turn[2:].strip() in prompt.text for turn in turns)


@pytest.mark.parametrize("name", sorted(builtin_families()))
def test_the_last_answer_is_gone_on_with(name: str) -> None:
    """The prompt ends with it, and no token of its template stands behind it."""
    asked = builtin_families()[name].format.render(said("u:1"))
    begun = builtin_families()[name].format.render(said("u:1", "a:The colour is"))
    assert begun.text == asked.text + "The colour is"
    assert begun.message_spans[-1].end == len(begun.text)
