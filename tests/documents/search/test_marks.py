"""The question's words in a passage."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.documents.search.marks import marked


@pytest.mark.parametrize(
    ("text", "question", "shown"),
    [
        ("出張の旅費は実費とする。", "旅費の精算", ["旅費"]),
        ("出張旅費の規程", "出張旅費", ["出張旅費"]),
        ("ＡＢＣ社のＡＰＩ", "abc api", ["ＡＢＣ", "ＡＰＩ"]),
        ("旅\n費を払う", "旅費", ["旅\n費"]),
        ("それはそうである", "これはなんですか", ["れは"]),
        ("犬と猫", "猫", ["猫"]),
        ("犬と猫", "？！", []),
        ("", "猫", []),
    ],
)
def test_marks(text: str, question: str, shown: list[str]) -> None:
    assert [text[start:end] for start, end in marked(text, question)] == shown


@settings(max_examples=50)
@given(st.text(max_size=60), st.text(max_size=20))
def test_marks_are_in_order_and_inside(text: str, question: str) -> None:
    edges = [edge for place in marked(text, question) for edge in place]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(text) for edge in edges)
