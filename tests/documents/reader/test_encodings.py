"""Bytes → text: right, or one sentence; never another language's letters."""

import pytest

from tests.documents.reader.office import CASES
from webui.documents.errors import DocumentError
from webui.documents.reader.encodings import decoded

PROSE = "本日の会議は午後三時から第二会議室で行います。資料は各自ご持参ください。"
HALF = "ﾃﾞｰﾀ ﾌｧｲﾙ\r\nｼﾞｶﾝ ｼﾞｺｸ"
WESTERN = "It’s the mayor’s plan. Ships don’t pay on Sundays – “fair” €4.50 café."
KOREAN = "회의는 오후 세 시에 제2회의실에서 열립니다. 자료를 지참해 주십시오."
CHINESE = "会议将于下午三点在第二会议室举行。请各自携带资料。"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("偶数.txt", "ﾃﾞｰﾀ ﾌｧｲﾙ"),
        ("点検.txt", "点検連番,型式"),
        ("apostrophes.txt", "It’s the mayor’s plan. Ships don’t pay"),
        ("page.html", "at €4.50.\r\nIt’s paid"),
        ("日本語_utf-16-le.txt", "会議は十二月八日に開く。"),
        ("english_utf-16-be.txt", "The meeting is on Monday at ten"),
    ],
)
def test_cases_of_daily_use(name: str, part: str) -> None:
    text = decoded((CASES / name).read_bytes())
    assert part.replace("\r\n", "\n") in text.replace("\r\n", "\n") and "\ufffd" not in text


def test_one_broken_byte_costs_one_character() -> None:
    text = decoded((CASES / "壊れた1バイト.txt").read_bytes())
    assert text.count("\ufffd") == 1 and text.startswith("第1回の点検では、3番の弁を交換した。")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((PROSE, name) for name in ("cp932", "euc_jp", "iso2022_jp", "utf-16-le", "utf-16-be")),
        *((HALF, name) for name in ("cp932", "euc_jp", "utf-16-le", "utf-8")),
        ("ｶﾌﾞｼｷｶﾞｲｼｬ 東北商事　担当:佐藤", "cp932"),
        ("支店,4月,5月\r\n仙台,120,135\r\n金沢,98,\r\n", "cp932"),
        ("支店,4月,5月\r\n仙台,120,135\r\n金沢,98,\r\n", "euc_jp"),
        ("山田 太郎", "cp932"),
        ("①東京㈱の～", "cp932"),
        (WESTERN, "cp1252"), (WESTERN, "utf-16-be"), (WESTERN, "utf-16-le"),
        ("Le café est fermé à Noël. Voilà où ça s’arrête.", "cp1252"),
        ("Über größere Straßen führt der Weg; Mädchen grüßen.", "cp1252"),
        (KOREAN, "euc_kr"), (CHINESE, "gbk"), (KOREAN, "utf-16-le"),
        ("會議將於下午三點在第二會議室舉行。請各自攜帶資料。", "big5"),
        ("Совещание состоится в три часа дня во втором зале.", "cp1251"),
        ("plain ASCII", "ascii"),
    ],
)  # fmt: skip
def test_every_encoding_of_an_office(text: str, encoding: str) -> None:
    assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["euc_kr", "gbk"])
def test_a_word_of_another_language_is_no_japanese(encoding: str) -> None:
    """Too short to tell: then it is refused, or right, but never kanji that nobody wrote."""
    text = {"euc_kr": "안녕하세요", "gbk": "会议资料"}[encoding]
    try:
        assert decoded(text.encode(encoding)) == text
    except DocumentError as error:
        assert error.key == "documents.not_text"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_is_no_character(encoding: str) -> None:
    assert decoded(PROSE.encode(encoding)) == PROSE
    assert decoded(("\ufeff" + PROSE).encode("cp932", "ignore")) == PROSE


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("shift_jis", "cp932"), ("iso-8859-1", "cp932"), ("utf-8", "cp932"), ("nonsense", "euc_jp")],
)
def test_what_a_file_says_of_itself_may_be_wrong(declared: str, encoding: str) -> None:
    assert decoded(PROSE.encode(encoding), declared) == PROSE


@pytest.mark.parametrize("data", [bytes(range(1, 256)) * 20, b"\x00\x01\x02\x03" * 100])
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        decoded(data)
    assert caught.value.key == "documents.not_text"
