"""The question's words in a passage."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.documents.search.marks import Query


@pytest.mark.parametrize(
    ("text", "question", "shown"),
    [
        ("出張の旅費は実費とする。", "旅費の精算", ["旅費"]),
        ("出張旅費の規程", "出張旅費", ["出張旅費"]),
        ("ＡＢＣ社のＡＰＩ", "abc api", ["ＡＢＣ", "ＡＰＩ"]),
        ("旅\n費を払う", "旅費", ["旅\n費"]),
        ("それはそうである", "これはなんですか", []),
        ("年会費を払う。忘年会は12月。", "忘年会", ["忘年会"]),  # 年会 was marked, too
        ("年末調整は11月に始まる", "年末調整書類", ["年末調整"]),
        ("予算は12月1日に決まる", "１２月", ["12月"]),
        ("サーバーを止める", "サーバの停止", ["サーバ"]),
        ("犬と猫", "猫", ["猫"]),
        ("犬と猫", "？！", []),
        ("", "猫", []),
    ],
)
def test_marks(text: str, question: str, shown: list[str]) -> None:
    assert [text[start:end] for start, end in Query(question).marks(text)] == shown


@settings(max_examples=50)
@given(st.text(max_size=60), st.text(max_size=20))
def test_marks_are_in_order_and_inside(text: str, question: str) -> None:
    edges = [edge for place in Query(question).marks(text) for edge in place]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(text) for edge in edges)


@pytest.mark.parametrize(
    ("question", "text", "is_there"),
    [
        ("忘年会", "忘年会は12月20日に駅前で開く。", True),
        ("忘年会", "年会費は毎年会計が集める。", False),
        ("忘年会の日", "新年会の日は決まっていない。", False),
        ("出張旅費の精算はいつですか", "旅費は月末までに精算する。", True),
        ("リモートワークの規程", "出張の規程を定める。", False),
        ("paid leave days", "Employees get ten days of paid leave.", True),
        ("？！", "犬と猫", False),
        ("", "犬と猫", False),
    ],
)
def test_which_passages_have_the_words(question: str, text: str, is_there: bool) -> None:
    assert Query(question).is_in(text) is is_there
