"""Places: joined over a passage, shown to people, kept and taken back."""

import pytest

from webui.documents.library import packed, unpacked
from webui.documents.messages import CODEC, PageRead
from webui.strings import Language
from webui.tasks.ask.exports import to_markdown, to_values
from webui.tasks.ask.result import Answer, Citation, NumberedPassage, answer_from
from webui.tasks.summarize.exports import place_label
from webui.tasks.summarize.result import Quote
from webui.tasks.summarize.source import from_pages, source_from
from webui.text.pages import Page, Span
from webui.text.places import Place, PlaceKind, place_from

ROWS = (
    (0, Place(PlaceKind.CELLS, "4月", first="A1", last="B1")),
    (6, Place(PlaceKind.CELLS, "4月", first="A2", last="B2")),
    (12, Place(PlaceKind.CELLS, "4月", first="B3")),
)


@pytest.mark.parametrize(
    ("start", "end", "label"),
    [
        (0, 5, "シート「4月」!A1:B1"),
        (0, 11, "シート「4月」!A1:B2"),
        (6, 15, "シート「4月」!A2:B3"),
        (12, 15, "シート「4月」!B3"),
    ],
)
def test_a_passage_stands_in_all_cells_that_it_touches(start: int, end: int, label: str) -> None:
    place = Page(1, "東京 10\n大阪 20\n計 30", places=ROWS).place_of(start, end)
    assert place is not None and place.label() == label


@pytest.mark.parametrize(
    ("place", "japanese", "english"),
    [
        (Place(PlaceKind.SLIDE, number=3), "スライド3", "slide 3"),
        (
            Place(PlaceKind.PARAGRAPH, "第2章", 14, last="16"),
            "「第2章」14–16段落",
            "“第2章” ¶14–16",
        ),
        (Place(PlaceKind.PARAGRAPH, number=2), "2段落", "¶2"),
        (Place(PlaceKind.PARAGRAPH, "概要"), "「概要」", "“概要”"),
        (
            Place(PlaceKind.TIME, "佐藤", first="00:01:05", last="00:01:09"),
            "00:01:05–00:01:09 佐藤",
            "00:01:05–00:01:09 佐藤",
        ),
        (Place(PlaceKind.PAGE, number=2, file="a.pdf"), "a.pdf › 2ページ", "a.pdf › p. 2"),
        (Place(PlaceKind.FILE, file="b.txt"), "b.txt", "b.txt"),
    ],
)
def test_a_place_has_a_label_in_both_languages(place: Place, japanese: str, english: str) -> None:
    assert place.label() == japanese
    assert place.label(Language.EN) == english
    assert place_from(place.values()) == place


def test_speakers_are_named_only_where_there_is_one() -> None:
    first = Place(PlaceKind.TIME, "佐藤", first="00:01:05")
    second = Place(PlaceKind.TIME, "鈴木", first="00:01:09")
    assert first.until(second).label().strip() == "00:01:05–00:01:09"


def test_places_survive_the_pipe_and_the_database() -> None:
    page = Page(1, "東京 10\n大阪 20\n計 30", places=ROWS)
    assert CODEC.decode(CODEC.encode(PageRead(page))).page == page
    assert unpacked(packed(page)) == page
    plain = Page(2, "本文")
    assert unpacked(packed(plain)) == plain


@pytest.mark.parametrize("values", [{"kind": "moon"}, {"kind": "cells", "name": 3}, "x", {}])
def test_what_is_no_place_is_refused(values: object) -> None:
    with pytest.raises((ValueError, KeyError)):
        place_from(values)


def test_a_summary_keeps_places_where_lines_are_joined() -> None:
    text = "# 概要\nこれは長い文の途中で折り返された、長い一文の\n続きである。\n次の段落は短い。"
    marks = (
        (0, Place(PlaceKind.PARAGRAPH, "概要")),
        (text.index("次"), Place(PlaceKind.PARAGRAPH, "次")),
    )
    source = from_pages([Page(1, text, places=marks)], is_wrapped=True)
    assert [source.text[at] for at, _ in source.marks] == ["#", "次"]
    assert source_from(source.values()).marks == source.marks


def test_exports_of_answers_and_summaries_name_the_place() -> None:
    place = Place(PlaceKind.CELLS, "4月", first="B12")
    span = Span(1, 0, 1, 3)
    passage = NumberedPassage(1, "d", "売上.xlsx", "", 0, span, "120", 1.0, 1.0, place)
    citation = Citation(0, 3, 1, "d", "売上.xlsx", 0, span, "120", 1.0, True, place)
    answer = Answer("120[1]", "売上は", (passage,), (citation,))
    assert "- [1] 売上.xlsx シート「4月」!B12: 「120」" in to_markdown(answer, Language.JA)
    assert to_values(answer)["citations"][0]["place"]["label"] == "シート「4月」!B12"
    assert answer_from(answer.text, answer.evidence()) == answer
    older = {**answer.evidence(), "passages": [], "citations": []}
    assert answer_from("x", older) is not None
    quote = Quote(0, "120", 1.0, 0, 3, "meaning", place)
    assert place_label(quote, Language.EN) == "≈ sheet “4月”!B12"
