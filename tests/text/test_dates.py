"""Days in the forms in which people and file names write them."""

import pytest

from webui.text.dates import Day, days_in, without_days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2026-11-27 定例会.txt", [Day(2026, 11, 27)]),
        ("議事録_20261127", [Day(2026, 11, 27)]),
        ("議事録2026.1.5版", [Day(2026, 1, 5)]),
        ("11月27日と１２月３日", [Day(0, 11, 27), Day(0, 12, 3)]),
        ("令和8年11月27日", [Day(2026, 11, 27)]),
        ("令和元年5月1日", [Day(2019, 5, 1)]),
        ("R8.11.27 総会", [Day(2026, 11, 27)]),
        ("11/27の会議", [Day(0, 11, 27)]),
        ("2026/11/27", [Day(2026, 11, 27)]),
        ("13/45 と 99月1日", []),
        ("03-1234-5678", []),
        ("192.168.11.27", []),
        ("1/2/3", []),
        ("", []),
    ],
)
def test_days(text: str, days: list[Day]) -> None:
    assert days_in(text) == days


def test_a_year_counts_where_both_have_one() -> None:
    asked = Day(0, 11, 27)
    assert asked.is_said_by(Day(2026, 11, 27)) and Day(2026, 11, 27).is_said_by(asked)
    assert not Day(2025, 11, 27).is_said_by(Day(2026, 11, 27))
    assert "1127" in asked.spellings and "11月27日" in asked.spellings


def test_what_is_left_without_days() -> None:
    assert without_days("令和８年11月27日の定例会").split() == ["の定例会"]
    assert without_days("13/45の件") == "13/45の件"
