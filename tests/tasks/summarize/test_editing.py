"""What a person changes in a finished summary is compared with the text anew, and can be undone."""

import pytest

from webui.tasks.summarize.editing import EditError, with_bullet, with_text, without
from webui.tasks.summarize.result import Summary, bullet_of, summary_from
from webui.tasks.summarize.source import pasted
from webui.text.grounding import Aligner, FlagKind

SOURCE = pasted("売上高は12%増えた。利益は3億円に減った。来月に新しい店を開く。")


def summary() -> Summary:
    sentences = [SOURCE.sentence(index) for index in range(3)]
    aligner = Aligner(sentences)
    bullets = tuple(bullet_of(SOURCE, one, aligner.ground(one)) for one in sentences)
    return Summary("題", bullets, True, 1.0, (), (1.0,) * 3, "model", {}, (), {})


def texts(of: Summary) -> list[str]:
    return [bullet.text for bullet in of.bullets]


def test_new_words_are_grounded_anew() -> None:
    before = summary()
    changed = with_text(before, SOURCE, 0, "売上高は12%増えた。", "・利益は 5億円に減った。 ")
    assert changed.bullets[0].text == "利益は 5億円に減った。" and changed.bullets[0].is_edited
    assert changed.bullets[0].sources[0].quote == "利益は3億円に減った。"
    assert FlagKind.NUMBER in {flag.kind for flag in changed.bullets[0].flags}
    assert changed.covered != before.covered  # nothing rests on the first sentence any more
    assert summary_from(changed.values()) == changed


def test_the_same_words_change_nothing() -> None:
    before = summary()
    assert with_text(before, SOURCE, 0, "売上高は12%増えた。", "売上高は12%増えた。\n") is before


def test_what_was_taken_out_comes_back_where_it_was() -> None:
    before = summary()
    one, second = without(before, SOURCE, 1, "利益は3億円に減った。")
    two, first = without(one, SOURCE, 0, "売上高は12%増えた。")
    assert texts(two) == ["来月に新しい店を開く。"] and two.num_removed == 2
    assert "利益" not in str(two.values())  # what was taken out is not kept with it
    two = summary_from(two.values())
    with pytest.raises(EditError):
        without(two, SOURCE, 0, "来月に新しい店を開く。")
    back = with_bullet(with_bullet(two, SOURCE, 0, first), SOURCE, 1, second)
    assert texts(back) == texts(before) and back.num_removed == 0


@pytest.mark.parametrize(
    ("index", "was"),
    [(0, "別の項目。"), (3, "売上高は12%増えた。"), (-1, "来月に新しい店を開く。")],
)
def test_a_bullet_that_is_another_one_by_now_stays(index: int, was: str) -> None:
    with pytest.raises(EditError):
        with_text(summary(), SOURCE, index, was, "新しい言葉。")
    with pytest.raises(EditError):
        without(summary(), SOURCE, index, was)
