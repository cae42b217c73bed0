"""Sentences and chunks: hard cases, exact places, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.text.pages import Page, PageProblem, Sentence
from webui.text.splitter import (
    CHUNK_CHARS,
    MAX_SENTENCE_CHARS,
    Source,
    chunks,
    sentence_ranges,
    split,
)

CASES = [
    ("吾輩は猫である。名前はまだ無い。", ["吾輩は猫である。", "名前はまだ無い。"]),
    (
        "彼は「明日は晴れる。きっとだ。」と言った。私は信じた。",
        ["彼は「明日は晴れる。きっとだ。」と言った。", "私は信じた。"],
    ),
    ("「もう帰るの？」「うん、帰る！」", ["「もう帰るの？」", "「うん、帰る！」"]),
    ("本当ですか！？信じられません。", ["本当ですか！？", "信じられません。"]),
    ("料金は1.5万円です。税率は10.0%です。", ["料金は1.5万円です。", "税率は10.0%です。"]),
    (
        "モーニング娘。のライブに行った。楽しかった。",
        ["モーニング娘。のライブに行った。", "楽しかった。"],
    ),
    (
        "詳しくは（第3章を参照。）こちらをご覧ください。以上です。",
        ["詳しくは（第3章を参照。）こちらをご覧ください。", "以上です。"],
    ),
    ("・りんご\n・みかん\n・ぶどう", ["・りんご", "・みかん", "・ぶどう"]),
    (
        "1. 目的\n本規程は、情報の管理を定める。\n2. 範囲\n全社員に適用する。",
        ["1. 目的", "本規程は、情報の管理を定める。", "2. 範囲", "全社員に適用する。"],
    ),
    (
        "この文は途中で\n改行されています。次の文です。",
        ["この文は途中で\n改行されています。", "次の文です。"],
    ),
    (
        "えっ…まさか……そんなはずは。いや、ある。",
        ["えっ…まさか……そんなはずは。", "いや、ある。"],
    ),
    ("Dr. Smithは東京に来た。U.S.A.から来た。", ["Dr. Smithは東京に来た。", "U.S.A.から来た。"]),
    (
        "URLはhttps://example.com/a.html?b=1です。見てください。",
        ["URLはhttps://example.com/a.html?b=1です。", "見てください。"],
    ),
    (
        "そうなんです（笑）。面白いですね(^o^)。",
        ["そうなんです（笑）。", "面白いですね(^o^)。"],
    ),
    (
        "第一条　この法律は、公布の日から施行する。２　前項の規定は、適用しない。",
        ["第一条　この法律は、公布の日から施行する。", "２　前項の規定は、適用しない。"],
    ),
    (
        "論文では，カンマとピリオドを使う．このように書く．",
        ["論文では，カンマとピリオドを使う．", "このように書く．"],
    ),
    (
        "|項目|値|\n|---|---|\n|年度|2024年。見込み|\n次の段落。",
        ["|項目|値|", "|---|---|", "|年度|2024年。見込み|", "次の段落。"],
    ),
    ("はじめに\n本書は手引きである。", ["はじめに", "本書は手引きである。"]),
    (
        "We compare (e.g. Fig. 3) with U.S. data. See Smith et al. 2020. It reached 90.5% in 2023.",
        [
            "We compare (e.g. Fig. 3) with U.S. data.",
            "See Smith et al. 2020.",
            "It reached 90.5% in 2023.",
        ],
    ),
    (
        '"Is it true?" he asked. Yes! J. Smith agreed.',
        ['"Is it true?" he asked.', "Yes!", "J. Smith agreed."],
    ),
    (
        "The method is data-efficient. Ask-LLM outperforms\nfull-data training by 70%.",
        ["The method is data-efficient.", "Ask-LLM outperforms\nfull-data training by 70%."],
    ),
    ("閉じない「括弧があっても。文は切れる。", ["閉じない「括弧があっても。", "文は切れる。"]),
]


def sentences_of(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_ranges(text)]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_hard_cases(text: str, expected: list[str]) -> None:
    assert sentences_of(text) == expected


TEXTS = st.text(alphabet="あ亜Aa1。．.！?「」（）()、 　\n・|#…w\"'", max_size=200)


@given(TEXTS, st.booleans())
def test_sentences_are_in_order_and_nothing_but_white_space_is_left_out(
    text: str, is_wrapped: bool
) -> None:
    position = 0
    for start, end in sentence_ranges(text, is_wrapped=is_wrapped):
        assert text[position:start].strip() == ""
        assert text[start:end] == text[start:end].strip() != ""
        position = end
    assert text[position:].strip() == ""


@given(st.lists(TEXTS, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_spans_lead_back_to_the_pages(texts: list[str], continues: list[bool]) -> None:
    pages = [
        Page(number, text, continues=goes_on)
        for number, (text, goes_on) in enumerate(zip(texts, continues, strict=False), start=1)
    ]
    source = Source(pages)
    for sentence in split(source):
        assert found_at(sentence, pages) == sentence.text == source.slice(sentence.span)


def found_at(sentence: Sentence, pages: list[Page]) -> str:
    parts = []
    for page in pages:
        place = sentence.span.on(page)
        if place:
            parts.append(page.text[slice(*place)])
    return "".join(parts)


@given(st.text(alphabet="あ。", max_size=3000))
def test_no_sentence_is_endless(text: str) -> None:
    assert all(end - start <= MAX_SENTENCE_CHARS for start, end in sentence_ranges(text))


def test_a_sentence_goes_on_over_a_page_border() -> None:
    pages = [Page(4, "一つ目の文。次の文は途中で", continues=True), Page(5, "終わる。三つ目。")]
    sentences = split(Source(pages))
    assert [sentence.text for sentence in sentences] == [
        "一つ目の文。",
        "次の文は途中で終わる。",
        "三つ目。",
    ]
    assert (sentences[1].span.page_from, sentences[1].span.page_to) == (4, 5)


def test_unusable_pages_have_no_sentences() -> None:
    pages = [Page(1, "読める。"), Page(2, "", problem=PageProblem.GARBLED), Page(3, "また読める。")]
    assert [sentence.span.page_from for sentence in split(Source(pages))] == [1, 3]


def test_headings_are_known() -> None:
    text = (
        "第1章 総則\nこの規程は、情報の管理について定めるものである。\n"
        "2. 適用範囲\n全社員に適用するものとする。例外はない。"
    )
    sentences = split(Source([Page(1, text)]))
    assert [sentence.text for sentence in sentences if sentence.is_heading] == [
        "第1章 総則",
        "2. 適用範囲",
    ]


def test_chunks_pack_sentences_and_overlap() -> None:
    text = "".join(
        f"これは{number:03}番目の文で、だいたい三十文字くらいの長さがあります。"
        for number in range(60)
    )
    source = Source([Page(1, text)])
    packed = chunks(split(source), source)
    assert all(len(chunk.text) <= CHUNK_CHARS for chunk in packed)
    assert all(chunk.text in text for chunk in packed)
    for before, after in zip(packed, packed[1:], strict=False):
        assert before.span.char_from < after.span.char_from < before.span.char_to
    assert packed[-1].span.char_to == len(text)


def test_a_chunk_knows_the_heading_it_stands_under() -> None:
    body = "この節では手続きの詳細を順に説明していきます。" * 5
    source = Source([Page(1, f"1. 目的\n{body}\n2. 範囲\n{body}")])
    packed = chunks(split(source), source)
    assert {chunk.title for chunk in packed} == {"1. 目的", "2. 範囲"}
    assert packed[0].text.startswith("1. 目的")


@given(st.lists(TEXTS, max_size=3))
def test_every_sentence_is_in_a_chunk(texts: list[str]) -> None:
    source = Source([Page(number, text) for number, text in enumerate(texts, start=1)])
    sentences = split(source)
    packed = chunks(sentences, source, num_chars=40, num_overlap=10)
    for sentence in sentences:
        assert any(
            (chunk.span.page_from, chunk.span.char_from)
            <= (sentence.span.page_from, sentence.span.char_from)
            and (sentence.span.page_to, sentence.span.char_to)
            <= (chunk.span.page_to, chunk.span.char_to)
            for chunk in packed
        )
