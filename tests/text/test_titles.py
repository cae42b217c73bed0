"""Automatic titles."""

import pytest

from webui.text.titles import MAX_TITLE_CHARS, title_from


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("こんにちは。お元気ですか？", "こんにちは"),
        ("  \n\n# 見出し\n本文", "見出し"),
        ("Summarise this\nplease", "Summarise this"),
        ("・箇条書き", "箇条書き"),
        ("なぜ？ どうして？", "なぜ？"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_the_first_sentence_is_the_title(text: str, title: str) -> None:
    assert title_from(text) == title


def test_a_long_one_is_cut_visibly() -> None:
    title = title_from("あ" * 100)
    assert len(title) == MAX_TITLE_CHARS and title.endswith("…")
