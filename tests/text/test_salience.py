"""Which sentences carry a text, without a model."""

import pytest

from webui.text.salience import saliences

MINUTES = (
    "佐藤委員: 会議室が足りなくなるのではないか。",
    "田中委員長: 異議がなければ、延床面積は11,800㎡、地下駐車場は設けないことに決定する。",
    "佐藤委員: 近くの民間駐車場と提携できるか、12月10日までに調べて報告してほしい。",
    "山本委員: パブリックコメントは前回216件で、駐車場への不安が最も多かった。",
    "田中委員長: 次回は12月15日14時から第2会議室で開く。以上で閉会する。",
)


def test_a_decision_outweighs_dates_and_numbers() -> None:
    """Three bullets of minutes had a request with a date in them, and not the decision."""
    weights = saliences(MINUTES)
    assert max(weights) == weights[1]


@pytest.mark.parametrize(
    ("carries", "says_little"),
    [
        ("総会は予算案を可決した。", "ただいまから総会を開会いたします。"),
        ("売上は前年より12%減った。", "事務局から説明をお願いする。"),
        ("The board decided to close the site.", "Thank you all for coming today."),
    ],
)
def test_what_is_said_outweighs_procedure(carries: str, says_little: str) -> None:
    first, second = saliences([carries, says_little])
    assert first > second
