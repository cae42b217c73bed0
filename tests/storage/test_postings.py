"""The keyword index against a plain BM25 over all texts, through additions, merges and removals."""

import math
import sqlite3
from collections import Counter
from collections.abc import Iterator

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.storage import postings
from webui.storage.grams import MAX_GRAMS, grams, query_grams
from webui.storage.migrations import MIGRATIONS

ME = "me"


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = new_database()
    yield connection
    connection.close()


def new_database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for statements in MIGRATIONS:
        for statement in statements:
            connection.execute(statement)
    return connection


def bm25(texts: dict[int, str], question: str) -> dict[int, float]:
    """As the textbook has it."""
    counts = {number: Counter(grams(text).tolist()) for number, text in texts.items()}
    lengths = {number: sum(items.values()) for number, items in counts.items()}
    mean = max(1.0, sum(lengths.values()) / max(1, len(lengths)))
    scores: dict[int, float] = {}
    for gram in set(grams(question).tolist()):
        having = [number for number, items in counts.items() if gram in items]
        rarity = math.log1p((len(texts) - len(having) + 0.5) / (len(having) + 0.5))
        for number in having:
            count = counts[number][gram]
            norm = 1.2 * (0.25 + 0.75 * lengths[number] / mean)
            scores[number] = scores.get(number, 0) + rarity * count * 2.2 / (count + norm)
    return scores


def found(
    db: sqlite3.Connection, question: str, documents: list[int] | None = None
) -> dict[int, float]:
    return postings.search(db, ME, query_grams(question, 0), 1000, documents).scores


TEXT = st.text(alphabet="東京都の有給休暇aB1。𠮷", max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(TEXT, max_size=3), max_size=12), st.sets(st.integers(0, 11)), TEXT)
def test_it_scores_as_bm25_whatever_was_added_and_removed(
    documents: list[list[str]], gone: set[int], question: str
) -> None:
    db = new_database()
    texts: dict[int, dict[int, str]] = {}
    number = 0
    for document, chunks in enumerate(documents):
        numbered = {number + i: text for i, text in enumerate(chunks, start=1)}
        number += len(chunks)
        texts[document] = numbered
        postings.add(db, ME, document, list(numbered.items()))
    postings.add(db, "other", 99, [(number + 1, "東京都の有給休暇")])
    postings.remove(db, ME, sorted(gone))
    kept = {
        n: t
        for document, chunks in texts.items()
        if document not in gone
        for n, t in chunks.items()
    }
    assert found(db, question) == pytest.approx(bm25(kept, question), rel=1e-4)
    assert postings.num_chunks(db, ME) == len(kept)
    some = found(db, question, [0, 1])
    assert set(some) == set(found(db, question)) & {*texts.get(0, {}), *texts.get(1, {})}
    postings.remove(db, ME, list(texts))
    rows = db.execute("SELECT count(*) FROM postings").fetchone()
    assert rows == db.execute("SELECT 1 FROM segments").fetchone() == (1,)  # the other owner's
    db.close()


def test_small_segments_are_merged_and_rows_are_short(db: sqlite3.Connection) -> None:
    chance = numpy.random.default_rng(0)
    for document in range(200):
        text = "".join(chr(0x4E00 + code) for code in chance.integers(0, 3000, 200))
        postings.add(db, ME, document, [(document + 1, text)])
    (num_segments,) = db.execute("SELECT count(*) FROM segments").fetchone()
    assert num_segments <= 12
    assert postings.num_chunks(db, ME) == 200
    (longest,) = db.execute("SELECT max(length(data)) FROM postings").fetchone()
    assert longest < 100_000


def test_among_many_chunks_only_telling_grams_are_looked_up() -> None:
    few, many = query_grams("休暇はいつですか", 10), query_grams("休暇はいつですか", 100_000)
    assert len(few) > len(many) > 0
    assert set(many.tolist()) <= set(few.tolist())
    assert len(query_grams("いつですか", 100_000)) == len(query_grams("いつですか", 10))


def test_a_long_question_keeps_its_content_words() -> None:
    hiragana = "".join(chr(0x3041 + code * code % 83) + chr(0x3041 + code) for code in range(83))
    question = "Please tell me about our rules. 1234567890 " + hiragana * 2 + "年次有給休暇は何日"
    kept = set(query_grams(question, 10).tolist())
    assert {gram for gram in grams("年次有給休暇").tolist() if gram & 0xFFFF} <= kept
    many = "".join(chr(0x4E00 + code * 7919 % 9000) for code in range(9000))
    assert len(query_grams(many, 10)) == MAX_GRAMS
