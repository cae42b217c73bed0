"""What somebody wants: some four hundred turns, as people write them."""

import time

import pytest

from tests.tasks.ask.turns import SMALL_TALK, TURNS
from webui.tasks.ask import intents
from webui.tasks.ask.intents import Intent, understood


@pytest.mark.parametrize("intent", list(TURNS))
def test_what_people_write_is_understood(intent: Intent) -> None:
    assert {turn: understood(turn).intent for turn in TURNS[intent]} == dict.fromkeys(
        TURNS[intent], intent
    )


def test_small_talk_of_any_kind_is_no_question() -> None:
    """At least where the documents do not speak of it."""
    found = {turn: understood(turn) for turn in SMALL_TALK}
    assert not [
        t for t, one in found.items() if not (one.intent in intents.SMALL_TALK or one.otherwise)
    ]


@pytest.mark.parametrize("question", TURNS[Intent.QUESTION])
def test_a_question_stays_one_where_the_documents_say_nothing(question: str) -> None:
    assert understood(question).otherwise in (None, Intent.UNSURE)


def test_a_greeting_before_a_question_is_left_out() -> None:
    assert understood("こんにちは。会議は何曜日ですか").rest == "会議は何曜日ですか"
    assert understood("Hello, when is the deadline?").rest == "when is the deadline?"
    assert understood("会議は何曜日ですか？ ").rest == "会議は何曜日ですか？"


@pytest.mark.parametrize(
    "text",
    [
        "て" * 190 + "X",
        "もっと短くしてくれますか" * 15 + "X",
        "the " * 49 + "x",
        "ありがとう" * 4000,
        "",
    ],
)
def test_nothing_takes_long(text: str) -> None:
    """Counted generously: going back through the short words would take years."""
    began_at = time.perf_counter()
    understood(text)
    assert time.perf_counter() - began_at < 5
