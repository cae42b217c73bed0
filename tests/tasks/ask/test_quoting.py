"""Quotes: which sentence answers, when none does, and that a grammar can only say the quote."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.places import ROOT
from tests.tasks.ask_world import LEAVE, rules_pdf, shelf, world
from webui.engine.grammar.matcher import Grammar, Matcher
from webui.tasks.ask.prompting import Wishes
from webui.tasks.ask.quoting import MAX_CHARS, best_quotes, quotes_grammar
from webui.tasks.ask.result import Abstention, NumberedPassage
from webui.text.pages import Span


def passage(number: int, text: str) -> NumberedPassage:
    return NumberedPassage(number, "d", "町史.pdf", "", 3, Span(3, 0, 3, len(text)), text, 1.0, 1.0)


PASSAGES = (
    passage(1, "梅沢町は山あいの町である。人口は3,200人である。"),
    passage(2, "町の図書館は1987年4月に開館した。蔵書は約5万冊で、郷土の資料が多い。"),
    passage(3, "図書館の隣には公園がある。桜の名所として知られている。"),
)


def test_the_sentence_that_has_most_of_the_question_is_quoted_with_its_passage() -> None:
    [quote] = best_quotes("図書館が開館したのは何年ですか？", PASSAGES)
    assert (quote.number, quote.sentence) == (2, "町の図書館は1987年4月に開館した。")
    [quote] = best_quotes("桜の名所はどこですか", PASSAGES)
    assert quote.number == 3


def test_a_question_about_something_else_has_no_quote() -> None:
    assert best_quotes("飛行機の燃料の値段はいくらですか？", PASSAGES) == []
    assert best_quotes("？", PASSAGES) == [] and best_quotes("図書館", ()) == []


def test_a_sentence_too_long_to_be_read_is_not_quoted() -> None:
    long = "図書館の開館について、" + "とても" * MAX_CHARS + "長い。"
    assert best_quotes("図書館の開館", (passage(1, long),)) == []


@given(st.text(min_size=1, max_size=40))
def test_the_grammar_says_exactly_the_quotes(text: str) -> None:
    quotes = best_quotes(text, (passage(1, text), *PASSAGES), limit=3)
    for quote in quotes:
        said = f"{quote.sentence}[{quote.number}]"
        matcher = Matcher(Grammar.parse(quotes_grammar(quotes)))
        assert matcher.allows(said.encode())
        matcher.accept(said.encode())
        assert matcher.must_end


@pytest.mark.thorough
def test_the_built_in_model_quotes_from_a_document_or_says_that_it_is_not_there(
    tmp_path: Path,
) -> None:
    with (
        shelf(tmp_path) as documents,
        world(documents, builtin_dir=ROOT / "models" / "builtin") as desk,
    ):
        documents.add("規程.pdf", rules_pdf())
        answer = desk.ask("年次有給休暇は何日もらえますか", wishes=Wishes())
        assert answer.text == f"{LEAVE}[1]" and answer.abstention is Abstention.NONE
        assert [(c.file, c.page, c.quote) for c in answer.citations] == [("規程.pdf", 2, LEAVE)]
        nothing = desk.ask("社員食堂の営業時間は何時からですか", wishes=Wishes())
        assert nothing.abstention is Abstention.NOTHING_RELEVANT
