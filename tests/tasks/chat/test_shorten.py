"""Which part of a question that is too long would be sent, and what would be left out."""

from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from webui.engine.tokenizer import Tokenizer
from webui.errors import AppError
from webui.prompts import builtin_families
from webui.tasks.chat.shorten import Keep, cut

SENTENCE = "出張の旅費は実費で精算します。"
Count = Callable[[str], int]


@pytest.fixture(scope="module")
def count(standin: Path) -> Count:
    """Tokens of ChatML's prompt with a question, by a real vocabulary."""
    tokenizer, form = Tokenizer(standin), builtin_families()["chatml"].format
    return lambda text: len(tokenizer.encode(form.render([{"role": "user", "content": text}])))


@pytest.mark.parametrize("keep", Keep)
def test_whole_sentences_fill_most_of_the_room(count: Count, keep: Keep) -> None:
    text = SENTENCE * 400
    parts = cut(count, text, 500, keep)
    assert 400 < count(parts.kept) <= 500
    assert parts.kept == SENTENCE * (len(parts.kept) // len(SENTENCE))
    both = (parts.kept, parts.dropped) if keep is Keep.HEAD else (parts.dropped, parts.kept)
    assert "".join(both) == text


@given(
    st.text(min_size=1, max_size=300),
    st.integers(30, 120),
    st.sampled_from(Keep),
)
@settings(deadline=None, database=None, max_examples=30)
def test_nothing_is_lost_and_what_is_kept_fits(
    count: Count, text: str, room: int, keep: Keep
) -> None:
    parts = cut(lambda part: count(part + "x"), text, room, keep)
    both = (parts.kept, parts.dropped) if keep is Keep.HEAD else (parts.dropped, parts.kept)
    assert "".join(both) == text
    assert count(parts.kept + "x") <= room


def test_a_text_that_fits_stays_whole(count: Count) -> None:
    assert cut(count, SENTENCE, 500, Keep.TAIL).dropped == ""


def test_a_system_prompt_that_takes_everything_says_so(count: Count) -> None:
    with pytest.raises(AppError) as caught:
        cut(lambda text: count(text) + 500, SENTENCE, 500, Keep.HEAD)
    assert caught.value.key == "chat.no_room_for_question"
