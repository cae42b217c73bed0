"""What runs in circles is cut; what is repeated on purpose is not."""

import pytest

from webui.tasks.chat.repetition import RepetitionGuard, repetition_end

SENTENCE = "日本の首都は東京で、人口は約千四百万人です。"
PARAGRAPH = (
    "会議では予算と日程を確かめました。" * 2 + "次回は来月の第一週に本社の会議室で開きます。\n\n"
)
ROWS = "| 要確認 | 要確認 | 要確認 | 要確認 | 要確認 | 要確認 |\n"
HONEST = {
    "a sentence ten times": "はい、十回書きます。\n" + "廊下を走りません。\n" * 10,
    "one letter a hundred times": "あ" * 100,
    "cheers": "がんばれ！" * 20,
    "a ruler": "題\n" + "-" * 400,
    "leaders": "第一章 " + "…" * 300,
    "an empty table": "| 日付 | 担当 |\n|---|---|\n" + "|      |      |\n" * 40,
    "equal rows": "| a | b | c | d | e | f |\n|---|---|---|---|---|---|\n" + ROWS * 8,
    "equal items": "\n".join(["- 担当者：未定、期限：未定、状態：未着手"] * 11),
    "numbered items": "\n".join(f"{n}. 担当者：未定、期限：未定" for n in range(1, 40)),
    "code": "```python\n" + "print('こんにちは、世界')\n" * 40,
    "a drawing": "  /\\  /\\  /\\\n |  ||  ||  |\n" * 30,
    "a wave": "~^~^~^~^" * 60,
    "two copies": PARAGRAPH * 2,
    "a refrain": "".join(f"{verse}番の歌詞です。{SENTENCE}\n" for verse in range(1, 30)),
    "a long table": "\n".join(f"| {n} 月 | 売上 {n * 7} 万円 | 良 |" for n in range(1, 60)),
}
CIRCLES = {
    "金資": "金資" * 120,
    SENTENCE: SENTENCE * 11,
    PARAGRAPH: PARAGRAPH * 6,
    "- 売上が増えました。\n": "- 売上が増えました。\n" * 25,
    "the same again and ": "the same again and " * 13,
    "・同じ項目です": "・同じ項目です" * 40,
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_texts_pass_however_far_they_are_written(name: str) -> None:
    text = HONEST[name]
    assert all(repetition_end(text[:end]) is None for end in range(0, len(text) + 1, 7))
    assert repetition_end(text) is None


@pytest.mark.parametrize("unit", CIRCLES)
def test_circles_are_cut_before_the_third_copy(unit: str) -> None:
    begin = "それでは始めます。"
    text = begin + CIRCLES[unit]
    end = repetition_end(text)
    assert end is not None
    kept = text[:end]
    assert kept.startswith(begin) and kept.count(unit.strip()) <= 2
    assert repetition_end(kept) is None


def test_a_guard_finds_it_while_it_is_written() -> None:
    guard = RepetitionGuard()
    text = "答えます。" + SENTENCE * 40
    cuts = [guard.cut(text[:end]) for end in range(0, len(text), 3)]
    first = next(i for i, cut in enumerate(cuts) if cut)
    assert cuts[first] == "答えます。" + SENTENCE * 2
    assert first * 3 < 400  # soon
    after_the_code = "```\n" + "x = 1\n" * 50 + "```\n" + SENTENCE * 20
    assert guard.cut(after_the_code) is not None
