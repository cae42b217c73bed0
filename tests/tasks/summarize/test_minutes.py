"""Minutes: who decided what, who does what until when, told by words and tied to the speaker."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.tasks.summary_world import World, in_world
from webui.documents.process import DocumentReader
from webui.strings import Language
from webui.tasks.summarize.exports import ExportFormat, exported
from webui.tasks.summarize.minutes import Item, kind_of
from webui.tasks.summarize.reading import read_source
from webui.tasks.summarize.source import Source, pasted

MEETING = ROOT / "tests" / "data" / "meeting.ja.vtt"
PLAIN = """第3回 庁舎検討会
田中：本日はありがとうございます。
佐藤：延床面積は前回の12,400㎡から11,800㎡へ見直しました。
田中：異議がないので、延床面積は11,800㎡に決定します。
鈴木：民間駐車場との提携は、私が12月10日までに調査して報告します。
田中：次回は12月15日の14時からです。
"""


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("延床面積は11,800㎡とすることに決定します。", Item.DECISION),
        ("地下駐車場は設けないこととします。", Item.DECISION),
        ("予算案は全会一致で可決された。", Item.DECISION),
        ("この件は来期まで見送ることになりました。", Item.DECISION),
        ("近くの駐車場は、私が12月10日までに調査して報告します。", Item.TODO),
        ("案は山本さんが11月末までに作成してください。", Item.TODO),
        ("議事録は後ほど共有しておきます。", Item.TODO),
        ("次回は12月15日の14時からです。", Item.NEXT),
        ("事務局から説明をお願いします。", Item.POINT),
        ("この案に決定してよろしいでしょうか。", Item.POINT),
        ("会議室が足りなくなるという声が出ています。", Item.POINT),
    ],
)
def test_what_a_sentence_is_in_minutes(sentence: str, kind: Item) -> None:
    assert kind_of(sentence) is kind


def read(path: Path) -> Source:
    reader = DocumentReader()
    try:
        return read_source(reader, path)
    finally:
        reader.stop()


def test_minutes_have_parts_speakers_and_times(standin: Path, tmp_path: Path) -> None:
    """The stand-in writes nothing of use: what stands there are sentences of the meeting."""

    async def test(world: World) -> None:
        source = read(MEETING)
        result = (await world.updates(source, num_bullets=8, style="minutes"))[-1].result
        assert result is not None
        said = {name: [b for b in result.bullets if b.section == name] for name in
                ("決定事項", "ToDo", "論点", "次回")}  # fmt: skip
        assert sum(map(len, said.values())) == len(result.bullets) == 8
        order = [list(said).index(bullet.section) for bullet in result.bullets]
        assert order == sorted(order)
        decided = "".join(bullet.text for bullet in said["決定事項"])
        assert "11,800" in decided and "駐車場" in decided and len(said["決定事項"]) == 2
        [suzuki] = [bullet.text for bullet in said["ToDo"] if "12月10日" in bullet.text]
        assert "鈴木が12月10日までに調査して報告する。" in suzuki
        assert not any("田中:" in bullet.text for bullet in result.bullets)
        [following] = said["次回"]
        assert "12月15日" in following.text
        place = following.sources[0].place
        assert place is not None and (place.name, place.first) == ("田中", "00:02:51")
        assert not any("ありがとう" in bullet.text for bullet in result.bullets)
        word = exported(result, ExportFormat.WORD, Language.JA)
        with zipfile.ZipFile(BytesIO(word)) as archive:
            text = archive.read("word/document.xml").decode()
        assert all(name in text for name in said) and "00:02:51" in text and "田中" in text

    in_world(standin.parent, tmp_path, test)


def test_lines_of_speakers_are_turns(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        source = pasted(PLAIN)
        result = (await world.updates(source, num_bullets=4, style="minutes"))[-1].result
        assert result is not None
        by_section = {bullet.section: bullet for bullet in result.bullets}
        assert set(by_section) == {"決定事項", "ToDo", "論点", "次回"}
        speakers = {
            name: bullet.sources[0].place.name
            for name, bullet in by_section.items()
            if bullet.sources[0].place
        }
        assert speakers == {"決定事項": "田中", "ToDo": "鈴木", "論点": "佐藤", "次回": "田中"}

    in_world(standin.parent, tmp_path, test)


def test_the_head_of_minutes_says_nothing() -> None:
    """日時 and 出席者 were taken for speakers."""
    head = "日時: 2026年11月20日 14時から\n出席者: 田中、佐藤\n場所：第2会議室\n"
    source = pasted(
        head + "田中: 始めます。\n佐藤: 面積を見直した。\n田中: 承認する。\n佐藤: 次回は月曜。"
    )
    assert {place.name for _, place in source.marks} == {"田中", "佐藤"}
    assert source.speaker(0, 10) == ""


def test_prose_is_no_meeting() -> None:
    assert not pasted("場所：東京\n本文が続く。これは会議ではない。\n別の段落である。").marks
