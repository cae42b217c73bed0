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
        ("十日です。[2]次は旅費[1]。", "十日です。[1]次は旅費[2]。"),  # numbers count from 1
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
    found = cited(raw, PASSAGES, "旅費は")
    text, sentences = found.text, found.sentences
    assert sorted(passage.number for passage in found.passages) == [1, 2]
    end = 0
    for sentence in sentences:
        assert end <= sentence.start <= sentence.end <= len(text)
        end = sentence.end
        for window, _ in sentence.windows:
            assert window.quote and window.quote in window.passage.text
            assert f"[{window.passage.number}]" in text[sentence.start : sentence.end]
        for flag in sentence.flags:
            assert sentence.start <= flag.start <= flag.end <= sentence.end


def test_a_mark_belongs_to_the_sentence_before_it_and_numbers_count_from_one() -> None:
    """An answer that used passage 3 alone began with [3], as if two were missing."""
    found = cited("会議は毎週月曜日に開く。[2] 旅費は、実費を支給する。[1]", PASSAGES)
    assert found.text == "会議は毎週月曜日に開く。[1] 旅費は、実費を支給する。[2]"
    quotes = [[window.quote for window, _ in sentence.windows] for sentence in found.sentences]
    assert quotes == [["会議は毎週月曜日に開く。"], ["旅費は、実費を支給する。"]]
    assert [passage.number for passage in found.passages] == [2, 1]  # in the prompt's order


def test_marks_at_the_beginning_of_lines_move_behind_their_sentences() -> None:
    found = cited("[2] 会議は毎週月曜日に開く。\n[1][2] 旅費は実費を支給する。", PASSAGES)
    assert found.text == " 会議は毎週月曜日に開く[1]。\n 旅費は実費を支給する[2][1]。"
    assert [[w.passage.number for w, _ in s.windows] for s in found.sentences] == [[1], [2, 1]]


def test_several_sentences_find_their_own_windows() -> None:
    found = cited("議事録は総務部が作る。旅費は実費を支給する。", PASSAGES)
    assert found.text == "議事録は総務部が作る[1]。旅費は実費を支給する[2]。"
    assert [s.windows[0][0].passage.text for s in found.sentences] == [TEXTS[1], TEXTS[0]]


def test_a_wrong_mark_gets_the_right_one_beside_it() -> None:
    found = cited("年次有給休暇は、入社六か月後に十日を与える[2]。", PASSAGES)
    assert found.text == "年次有給休暇は、入社六か月後に十日を与える[1][2]。"
    right = {window.passage.number: is_marked for window, is_marked in found.sentences[0].windows}
    assert right == {1: True, 2: False}


def test_short_replies_and_nothing_at_all() -> None:
    assert cited("", PASSAGES).text == "" and not cited("", PASSAGES).sentences
    found = cited("はい。", PASSAGES)
    (sentence,) = found.sentences
    assert (found.text, sentence.windows, sentence.flags) == ("はい。", (), ())
    assert cited("何か", []).text == "何か"
    assert says_nothing(" 資料には書かれていません [1]", NOTHING)
    assert says_nothing("[1]", NOTHING) and not says_nothing("十日です。", NOTHING)


JOBS = (
    "調剤室では薬剤師が薬を混ぜる。看護師は病室を回る。",
    "入院の手続きは受付で行う。夜間は警備員に声をかける。薬剤師は夜間はいない。",
    "料金は6回で16,000円、1回だけなら3,000円。うに丼は1,200円。",
)


def passages_of(*texts: str, file: str = "f.pdf", title: str = "") -> list[NumberedPassage]:
    return [
        NumberedPassage(n, "d", file, title, 1, Span(1, 0, 1, len(text)), text, 1.0, 1.0)
        for n, text in enumerate(texts, start=1)
    ]


@pytest.mark.parametrize(
    ("question", "raw", "quote"),
    [
        ("薬を混ぜるのは誰ですか", "薬剤師", "調剤室では薬剤師が薬を混ぜる。"),
        ("夜間はいないのは誰ですか", "薬剤師です。", "薬剤師は夜間はいない。"),
        ("夜間はいないのは誰ですか", "薬剤師[1]", "薬剤師は夜間はいない。"),  # a mark set by rote
        ("夜間に声をかけるのは", "夜間: 警備員", "夜間は警備員に声をかける。"),
        ("何回で割引ですか", "6", "料金は6回で16,000円、1回だけなら3,000円。"),
        ("1,200円の丼は", "うに", "うに丼は1,200円。"),
    ],
)
def test_a_short_answer_keeps_its_citation(question: str, raw: str, quote: str) -> None:
    """薬剤師 has no kana: it was taken for English, got no citation and a flag."""
    (sentence,) = cited(raw, passages_of(*JOBS), question).sentences
    assert quote in [window.quote for window, _ in sentence.windows]
    assert not sentence.flags


def test_the_name_of_a_file_is_evidence_and_no_invention() -> None:
    given = passages_of("勤務地 盛岡\n電話 000-1111-2222", file="青葉 つばさ.md")
    (sentence,) = cited("青葉つばさ[1]", given, "盛岡で働くのは誰ですか").sentences
    assert sentence.windows and not sentence.flags


@pytest.mark.parametrize(
    "raw",
    [
        "年末キャンペーンは12月1日から12月31日までです[1]。",
        "年末キャンペーンの期間は、12月1日から12月31日までです[1]。",
        "キャンペーン期間は12月1日～12月31日です[1]。",
        "The campaign runs from December 1 to December 31[1].",
    ],
)
def test_what_the_cited_passage_says_is_not_flagged(raw: str) -> None:
    text = "価格表\n年末キャンペーンは12月1日から12月31日までです。期間中は全品一割引です。"
    (sentence,) = cited(raw, passages_of(text), "年末キャンペーンの期間は？").sentences
    assert not sentence.flags
    false_year = raw.replace("12月1日", "2026年12月1日").replace("December 1 ", "December 1, 2026 ")
    (sentence,) = cited(false_year, passages_of(text), "年末キャンペーンの期間は？").sentences
    assert ["2026" in flag.text for flag in sentence.flags] == [True]


@pytest.mark.parametrize(
    "raw",
    [
        "The documents do not say.",
        "資料には記載されていません[1]。",
        "提供された資料には、その人数についての記載がありません。",
        "申し訳ありませんが、資料から答えは見つかりませんでした。",
        "The provided passages do not mention the number of layoffs.",
        "データには書かれていません。",
        "表には5月の件数が記載されていません[1]。",
    ],
)
def test_that_there_is_no_answer_is_heard_in_any_words(raw: str) -> None:
    """A Japanese question was answered by the English sentence, as if that were an answer."""
    assert says_nothing(raw, NOTHING)
    assert not says_nothing(raw + "ただし、別紙には十名とあります。", NOTHING)
