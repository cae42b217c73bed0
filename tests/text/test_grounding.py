"""Grounding on hand-written cases with known answers."""

from dataclasses import dataclass

import pytest

from tests.text.grounding_cases import ASK_LLM, CASES, LIMITS, Case
from webui.text.facts import numbers_in
from webui.text.grounding import Aligner, FlagKind, Grounding


def ground(case: Case) -> Grounding:
    return Aligner(case.sentences).ground(case.statement)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sources_and_flags_are_the_known_ones(case: Case) -> None:
    found = ground(case)
    if case.source is not None and case.source >= 0:
        assert found.sources and found.sources[0].index == case.source, found
    if case.source == -1:
        assert not found.sources
    wanted = set(case.flags)
    got = {(str(flag.kind), flag.text) for flag in found.flags if flag.kind in case.kinds}
    assert got == wanted, found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_flags_point_at_their_words(case: Case) -> None:
    for flag in ground(case).flags:
        assert case.statement[flag.start : flag.end].strip() == flag.text.strip()
        assert 0 <= flag.start < flag.end <= len(case.statement)


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case.name)
def test_known_limits_stay_known(case: Case) -> None:
    """What words cannot show: these wrong statements pass. When one is caught, move it up."""
    hard = {FlagKind.NUMBER, FlagKind.NAME, FlagKind.SUBJECT, FlagKind.UNSUPPORTED}
    assert not [flag for flag in ground(case).flags if flag.kind in hard]


def test_there_are_forty_cases() -> None:
    assert len(CASES) >= 40


def test_a_sentence_of_the_source_supports_itself_fully() -> None:
    aligner = Aligner(ASK_LLM)
    for index, sentence in enumerate(ASK_LLM):
        found = aligner.ground(sentence)
        assert found.sources[0].index == index and found.sources[0].score == 1
        assert not found.flags


@pytest.mark.thorough
def test_a_long_document_is_fast() -> None:
    """20 statements against 6,000 sentences: the page waits for this."""
    import time

    form = "第{n}項では、製品{n}の売上高が{sum}万円であったと述べている。"
    sentences = [form.format(n=n, sum=n * 13) for n in range(6000)]
    aligner = Aligner(sentences)
    began_at = time.process_time()
    for number in range(20):
        found = aligner.ground(f"製品{number * 7}の売上高は{number * 7 * 13}万円だった。")
        assert found.sources[0].index == number * 7
    assert time.process_time() - began_at < 5


@dataclass(frozen=True, slots=True)
class Spelling:
    text: str
    value: str
    unit: str


@pytest.mark.parametrize(
    "spelling",
    [
        Spelling("1.2億円", "120000000", "JPY"),
        Spelling("3億5000万円", "350000000", "JPY"),
        Spelling("２，０００人", "2000", ""),
        Spelling("$10 million", "10000000", "USD"),
        Spelling("九割", "90", "%"),
        Spelling("令和6年", "2024", "年"),
        Spelling("三つ", "3", ""),
        Spelling("二十五人", "25", ""),
        Spelling("70 percent", "70", "%"),
        Spelling("5千円", "5000", "JPY"),
    ],
    ids=lambda spelling: spelling.text,
)
def test_numbers_are_read_by_value(spelling: Spelling) -> None:
    (number,) = numbers_in(spelling.text)
    assert (f"{number.value.normalize():f}", number.unit) == (spelling.value, spelling.unit)


def test_names_with_digits_are_no_numbers() -> None:
    assert not numbers_in("T5とGPT-4を比べた。")


def test_this_folder_has_no_duplicate_names() -> None:
    names = [case.name for case in (*CASES, *LIMITS)]
    assert len(set(names)) == len(names)
