"""Polite sentences in the plain form, what Japanese does not write, and shorter sentences."""

import pytest

from webui.text.condense import condensed
from webui.text.language import chinese_in
from webui.text.plain_form import is_polite, plain_form


@pytest.mark.parametrize(
    ("polite", "plain"),
    [
        ("会議を行います。", "会議を行う。"),
        ("結果を示しました。", "結果を示した。"),
        ("開発しています。", "開発している。"),
        ("製品が発売されました。", "製品が発売された。"),
        ("確認できません。", "確認できない。"),
        ("存在しませんでした。", "存在しなかった。"),
        ("とても重要です。", "とても重要である。"),
        ("人が多いです。", "人が多い。"),
        ("高かったです。", "高かった。"),
        ("都市ではありません。", "都市ではない。"),
        ("京都へ行きました。", "京都へ行った。"),
        ("手紙を書きました。", "手紙を書いた。"),
        ("歴史を学びました。", "歴史を学んだ。"),
        ("頂上を目指します。", "頂上を目指す。"),
        ("役割を果たしました。", "役割を果たした。"),
        ("行われませんでした。", "行われなかった。"),
        ("行わなければなりません。", "行わなければならない。"),
        ("売上は増えた。", "売上は増えた。"),
    ],
)
def test_polite_becomes_plain(polite: str, plain: str) -> None:
    assert plain_form(polite) == plain
    assert not is_polite(plain)
    assert plain_form(plain) == plain


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("訓練データの覆盖率を保つ。", "盖"),
        ("モデルを训练する。", "训"),
        ("密度に基づく抽样を使う。", "样"),
        ("大量の数据を使う。", "数据"),
        ("訓練データの被覆率を保つ。", ""),
        ("彼は々の字を使い、〇と書いた。", ""),
    ],
)
def test_what_only_chinese_writes_is_found(text: str, found: str) -> None:
    assert chinese_in(text, "Training data.") == found
    assert chinese_in(text, text) == ""


def test_a_sentence_gets_shorter_by_leaving_out_only() -> None:
    text = "しかし、彼(1866年生まれ)は、東京で学んだ後、大阪に移り、写真館を開いた。"
    assert condensed(text, 60) == "彼(1866年生まれ)は、東京で学んだ後、大阪に移り、写真館を開いた"
    assert condensed(text, 30) == "彼は、東京で学んだ後、大阪に移り、写真館を開いた"
    assert condensed(text, 18) == "彼は、大阪に移り、写真館を開いた"
    assert condensed(text, 18, drop=False) is None
