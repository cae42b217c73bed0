"""Spans cover a text, and bullets are checked against them: pure, without a model."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.summary_world import document
from webui.strings import Language
from webui.tasks.summarize.checks import Fault, SpanCheck, is_double
from webui.tasks.summarize.settings import BulletLimits
from webui.tasks.summarize.source import EmptySourceError, pasted
from webui.tasks.summarize.spans import Span, spans_of
from webui.tasks.summarize.subjects import topic_of, without_topic
from webui.text.grounding import Aligner
from webui.text.salience import saliences

LIMITS = BulletLimits(Language.JA, 6, 90)
TEXT = (
    "鹿島清兵衛は明治期の写真家である。妻の恵津は元芸者で、唄と踊りの名手であった。"
    "後見の乃婦は1919年に亡くなり、鹿島家は仕送りを打ち切った。清兵衛は能の笛方として舞台に立った。"
)


def leaves(spans: list[Span]) -> list[Span]:
    return [span for top in spans for span in top.tree() if not span.children]


@given(
    st.text(st.sampled_from("あ漢ア1a。、\n #|「」.\t"), max_size=600),
    st.integers(1, 20),
    st.integers(16, 300),
)
def test_spans_cover_every_text(text: str, count: int, max_tokens: int) -> None:
    try:
        source = pasted(text)
    except EmptySourceError:
        return
    spans = spans_of(source, count, max_tokens, 3, len)
    assert 1 <= len(spans) <= count
    parts = leaves(spans)
    borders = [(0, 0), *((span.start, span.end) for span in parts), (len(source.text),) * 2]
    for before, after in pairwise(borders):
        assert before[1] <= after[0] and not source.text[before[1] : after[0]].strip()


@pytest.mark.parametrize("count", [1, 2, 6, 20])
def test_spans_are_spread_over_the_text(count: int) -> None:
    source = pasted(document(30))
    spans = spans_of(source, count, 1200, 12, len)
    assert len(spans) == count
    sizes = [span.end - span.start for span in spans]
    assert max(sizes) < 2.5 * len(source.text) / count


def test_a_text_gets_as_many_spans_as_it_bears() -> None:
    for text, count in (("要約", 1), ("三語 だけ です", 1), ("売上は増えた。利益は減った。", 2)):
        assert len(spans_of(pasted(text), 9, 1200, 12, len)) == count
    endless = "この文は終わらず、" * 200
    assert len(spans_of(pasted(endless), 4, 1200, 12, len)) == 4


def test_long_texts_are_trees_of_calls_that_fit() -> None:
    source = pasted(document(200))
    spans = spans_of(source, 3, 500, 4, len)
    assert len(spans) == 3 and all(span.height >= 2 for span in spans)
    assert all(span.num_tokens <= 1.8 * 500 for span in leaves(spans))
    assert all(len(span.children) <= 4 for top in spans for span in top.tree())


def test_decisions_and_numbers_come_before_greetings() -> None:
    said = [
        "本日はお忙しい中、お集まりいただきありがとうございます。",
        "延床面積を11,800㎡へ見直すことを全会一致で承認した。",
        "それでは事務局から説明をお願いいたします。",
        "新しい庁舎は建設しないことを決定した。",
    ]
    weights = saliences(said)
    assert min(weights[1], weights[3]) > 2 * max(weights[0], weights[2])


@pytest.mark.parametrize(
    ("bullet", "fault"),
    [
        ("清兵衛は、明治期には写真家であった。", Fault.NONE),
        ("鹿島清兵衛は明治期の写真家である。", Fault.COPIED),
        ("妻の恵津が1919年に亡くなり、鹿島家は仕送りを打ち切った。", Fault.FACTS),
        ("後見の乃婦は1920年に亡くなり、鹿島家は仕送りを打ち切った。", Fault.FACTS),
        ("鹿島家は写真の歴史で重要な役割を果たした。", Fault.UNSUPPORTED),
        ("写真家であった清兵衛は能の世界にさまざまな貢献をした人物である。", Fault.UNSUPPORTED),
        ("後見の乃婦は1919年に亡くなり、鹿島家は", Fault.CUT),
        ("という名手の恵津は、唄と踊りの元芸者である。", Fault.CUT),
        ("清兵衛は写真家であり、妻の恵津は元芸者で、「唄と踊りの名手。", Fault.CUT),
        ("元芸者の恵津は唄と踊りの名手であった清兵衛は能の笛方である。", Fault.UNSUPPORTED),
        ("清兵衛は明治期的写真家であり数据を残した。", Fault.CHINESE),
        ("Kajima Seibei was a photographer.", Fault.LANGUAGE),
        ("清兵衛は、明治期には写真家です。", Fault.STYLE),
    ],
)
def test_bullets_are_checked_against_their_span(bullet: str, fault: Fault) -> None:
    source = pasted(TEXT)
    aligner = Aligner([source.sentence(index) for index in range(len(source.sentences))])
    check = SpanCheck(aligner, range(len(source.sentences)), LIMITS, "鹿島清兵衛")
    assert check.fault(bullet) is fault


def test_sentences_run_together_are_seen() -> None:
    source = pasted("彼は小判を床下に埋めた。そのまま忘れていたが、13歳の子が掘り起こした。")
    aligner = Aligner([source.sentence(index) for index in range(len(source.sentences))])
    check = SpanCheck(aligner, range(2), LIMITS)
    assert check.fault("彼は小判を床下に埋めたそのまま忘れていた。") is Fault.CUT


def test_doubles_are_told_from_other_numbers() -> None:
    first = "第1工場の売上は前年より12%増えた。"
    assert is_double(first, "前年より第1工場の売上は12%増えた。")
    assert not is_double(first, "第2工場の売上は前年より15%増えた。")
    assert not is_double(first, "社長は交代する。")


def test_the_subject_of_the_text_is_said_once() -> None:
    bullets = [
        "鹿島清兵衛は明治期の写真家である。",
        "鹿島清兵衛は、1889年に日本写真会を発足した。",
        "恵津は元芸者である。",
        "鹿島清兵衛は能の笛方として舞台に立った。",
    ]
    assert without_topic(bullets, "鹿島清兵衛") == [
        "鹿島清兵衛は明治期の写真家である。",
        "1889年に日本写真会を発足した。",
        "恵津は元芸者である。",
        "能の笛方として舞台に立った。",
    ]


def test_a_text_names_its_topic_itself() -> None:
    assert topic_of(pasted("木星(もくせい、英: Jupiter)は、太陽系の惑星である。")) == "木星"
    assert topic_of(pasted("# 議事録\n\n本日の議題は三つある。")) == "議事録"
    assert topic_of(pasted("本文だけの文章。", title="報告書")) == "報告書"
