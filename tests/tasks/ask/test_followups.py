"""Which questions lean on the conversation, and what is made of them."""

import pytest

from webui.strings import Language
from webui.tasks.ask.followups import (
    MAX_CHARS,
    PastTurn,
    is_good_rewriting,
    joined,
    leans_on_history,
    rewriting_messages,
)

HISTORY = [PastTurn("年次有給休暇は何日もらえますか", "入社六か月後に十日です[1]。")]


LEANING = (
    "それはいつですか",
    "その条件は？",
    "パートの場合は？",
    "もっと詳しく",
    "なぜですか",
    "期限は？",
    "では東京支社では？",
    "彼は誰ですか",
    "What about part-timers?",
    "When does it start?",
)
STANDING = (
    "会議室の予約方法を教えてください",
    "この資料で決まっている出張旅費の上限は",
    "その他の費用と旅費の精算期限",
    "それぞれの部署の予算配分額",
    "How many days of paid leave do new employees get?",
)


@pytest.mark.parametrize("question", LEANING)
def test_questions_that_lean(question: str) -> None:
    assert leans_on_history(question, HISTORY)
    assert not leans_on_history(question, [])  # a first question never does


@pytest.mark.parametrize("question", STANDING)
def test_questions_that_stand_alone(question: str) -> None:
    assert not leans_on_history(question, HISTORY)


def test_the_question_before_stands_in_front_and_a_chain_stays_short() -> None:
    assert joined("それはいつですか", HISTORY) == f"{HISTORY[0].question} それはいつですか"
    long = [PastTurn("長い質問。" * 200)]
    assert len(joined("それはいつ", long)) <= MAX_CHARS + 1


@pytest.mark.parametrize(
    ("written", "is_good"),
    [
        ("年次有給休暇はいつもらえますか", True),
        ("年次有給休暇はいつもらえますか\n答え: 六か月後", False),
        ("それはいつもらえますか", False),  # still leans
        ("東京都の人口と面積は何平方キロですか", False),  # brings in what nobody said
        ("", False),
        ("年" * 400, False),
    ],
)
def test_a_rewriting_is_believed_only_when_it_can_be(written: str, is_good: bool) -> None:
    assert is_good_rewriting(written, "それはいつもらえますか", HISTORY) is is_good


@pytest.mark.parametrize("language", list(Language))
def test_the_wording_has_the_conversation_and_the_question(language: Language) -> None:
    (message,) = rewriting_messages("それは\nいつ", HISTORY, language, "")
    assert HISTORY[0].question in message["content"] and "それは いつ" in message["content"]
