"""Marks, windows and places of an answer, whatever a model writes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.tasks.ask.citing import cited, says_nothing, shown_so_far
from webui.tasks.ask.result import NumberedPassage
from webui.text.pages import Span

NOTHING = "資料には書かれていません。"
TEXTS = (
    "年次有給休暇は、入社六か月後に十日を与える。旅費は、実費を支給する。",
    "会議は毎週月曜日に開く。議事録は総務部が作る。",
)
PASSAGES = [
    NumberedPassage(n, "d", "f.pdf", "", 1, Span(1, 0, 1, len(text)), text, 1.0, 1.0)
    for n, text in enumerate(TEXTS, start=1)
]
written = st.lists(
    st.sampled_from(
        ["[", "]", "1", "2", "9", "[1]", "[2]", "[7]", ",", "、", " ", "\n", "。", "資料には",
         "旅費は実費を支給する", "会議は月曜日", "書かれていません", "十二日", "。[1][2]", "[1、2]",
         "a[0]", "[2024]"]
    ),
    max_size=14,
)  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("十日です[1]。", "十日です[1]。"),
        ("十日です [1,2]。", "十日です[1][2]。"),
        ("十日です[1、9]。", "十日です[1]。"),
        ("十日です[3] 。", "十日です 。"),
        ("十日です。[2]次は旅費。", "十日です。[2]次は旅費。"),
        ("2024年[2024]の規則", "2024年[2024]の規則"),  # no number of a passage
        ("十日です[", "十日です"),
        ("十日です[1", "十日です"),
        ("資料には", ""),
        (NOTHING, ""),
        ("資料には十日とある", "資料には十日とある"),
    ],
)
def test_what_is_shown_while_it_is_written(raw: str, shown: str) -> None:
    assert shown_so_far(raw, 2, NOTHING) == shown


@settings(max_examples=150, deadline=None)
@given(written)
def test_what_is_shown_only_grows_and_every_place_is_in_the_text(parts: list[str]) -> None:
    raw, shown = "", ""
    for part in parts:
        raw += part
        before, shown = shown, shown_so_far(raw, len(PASSAGES), NOTHING)
        assert shown.startswith(before)
        assert "[9]" not in shown and "[7]" not in shown
    text, sentences = cited(raw, PASSAGES)
    end = 0
    for sentence in sentences:
        assert end <= sentence.start <= sentence.end <= len(text)
        end = sentence.end
        for window, _ in sentence.windows:
            assert window.quote and window.quote in window.passage.text
            assert f"[{window.passage.number}]" in text[sentence.start : sentence.end]
        for flag in sentence.flags:
            assert sentence.start <= flag.start <= flag.end <= sentence.end


def test_a_mark_belongs_to_the_sentence_before_it() -> None:
    text, sentences = cited("会議は毎週月曜日に開く。[2] 旅費は、実費を支給する。[1]", PASSAGES)
    assert text == "会議は毎週月曜日に開く。[2] 旅費は、実費を支給する。[1]"
    quotes = [[window.quote for window, _ in sentence.windows] for sentence in sentences]
    assert quotes == [["会議は毎週月曜日に開く。"], ["旅費は、実費を支給する。"]]


def test_marks_at_the_beginning_of_lines_move_behind_their_sentences() -> None:
    text, sentences = cited("[2] 会議は毎週月曜日に開く。\n[1][2] 旅費は実費を支給する。", PASSAGES)
    assert text == " 会議は毎週月曜日に開く[2]。\n 旅費は実費を支給する[1][2]。"
    assert [[w.passage.number for w, _ in s.windows] for s in sentences] == [[2], [1, 2]]


def test_several_sentences_find_their_own_windows() -> None:
    text, sentences = cited("議事録は総務部が作る。旅費は実費を支給する。", PASSAGES)
    assert text == "議事録は総務部が作る[2]。旅費は実費を支給する[1]。"
    assert [s.windows[0][0].passage.number for s in sentences] == [2, 1]


def test_short_replies_and_nothing_at_all() -> None:
    assert cited("", PASSAGES) == ("", [])
    text, (sentence,) = cited("はい。", PASSAGES)
    assert (text, sentence.windows, sentence.flags) == ("はい。", (), ())
    assert cited("何か", [])[0] == "何か"
    assert says_nothing(" 資料には書かれていません [1]", NOTHING)
    assert says_nothing("[1]", NOTHING) and not says_nothing("十日です。", NOTHING)
