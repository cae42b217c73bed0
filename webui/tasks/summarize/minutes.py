"""Minutes: what was decided, who does what until when, what was discussed, when one meets again.

Sentences that say so are told by the words in which people say it; the rest of the meeting is cut
into Spans for what was discussed. Pure; knows no models.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

from webui.tasks.summarize.settings import AUTO, MAX_BULLETS, SummarySettings
from webui.tasks.summarize.spans import Span, Unit

CHARS_PER_POINT = 700  # of a meeting, where the number of bullets is left to us


class Item(StrEnum):
    """The parts of minutes, in their order."""

    DECISION = "decision"
    TODO = "todo"
    POINT = "point"
    NEXT = "next"


_NEXT = re.compile(
    "次回(?!の(?:資料|議題)まで|まで)|次の(?:会議|会合|打ち合わせ|ミーティング|定例)|次会合"
    r"|\bnext (?:meeting|session|call)\b",
    re.IGNORECASE,
)
_DECISION = re.compile(
    "決定(?:し|す|と|。|いた|事項)|決議|決ま(?:り|った|る)|決め(?:た|まし|る)|承認(?:さ|し|を得|。|いた)"
    "|可決|否決|却下|了承|合意(?:し|さ|。)|異議(?:な|あり)|全会一致|賛成多数"
    "|こと(?:と|に)(?:する|します|しま|した|しよう|なり|なった|いたし)|(?:案|方針)で(?:進め|いき|行き)"
    "|見送(?:る|り|っ)|(?:中止|延期|廃止|採用|変更|継続)(?:する|します|とする|とします|しましょう|になり)"
    r"|\b(?:decided|agreed|approved|rejected|resolved)\b",
    re.IGNORECASE,
)
_UNTIL = (
    "(?:まで(?:に|には)?|今日中|本日中|明日中|今週中|来週中|今月中|来月中|週明け|期限|締め?切|至急)"
)
_TASK = (
    "(?:担当|宿題|お願い(?:し|いた|でき)|提出|送付|送(?:り|る|って)|共有(?:し|を)|作成(?:し|を)|準備(?:し|を)"
    "|確認(?:し|を|の上)|調べ|調査(?:し|を)|手配|連絡(?:し|を)|まとめ(?:て|ま|る)|用意|対応(?:し|を)|報告(?:し|を)"
    "|修正(?:し|を)|見積|更新(?:し|を)|依頼(?:し|を)|検討(?:し|を)|整理(?:し|を)|やります|行います|いたします)"
)
_TODO = re.compile(
    rf"{_UNTIL}.*{_TASK}|{_TASK}.*{_UNTIL}|担当(?:は|者|:|：|を)|宿題|to[- ]?do|アクション"
    rf"|(?:さん|君|氏|様)(?:に|は|が|、).*{_TASK}|(?:私|わたし|僕|こちら)(?:が|で|から|のほう).*{_TASK}"
    rf"|{_TASK}(?:ます|ておきます|いたします)"
    r"|\b(?:action item|will (?:send|prepare|check|share|write|fix)|by (?:monday|tuesday|wednesday"
    r"|thursday|friday|next week|tomorrow))\b",
    re.IGNORECASE,
)
_ASKING = re.compile("[?？]$|(?:でしょうか|ですか|ますか|かな)。?$")
_IDLE = re.compile(
    "説明をお願い|ありがとうござい|よろしくお願い|始め(?:ます|させ)|お集まり|以上です。?$"
)


def kind_of(sentence: str) -> Item:
    """What a sentence of a meeting is for minutes."""
    if _IDLE.search(sentence) or _ASKING.search(sentence):
        return Item.POINT
    if _NEXT.search(sentence):
        return Item.NEXT
    if _DECISION.search(sentence):
        return Item.DECISION
    return Item.TODO if _TODO.search(sentence) else Item.POINT


def minutes_of(
    text: str, units: Sequence[Unit], settings: SummarySettings, points: Callable[[int], list[Span]]
) -> list[Span]:
    """Spans in the order of minutes. `points` cuts the meeting into Spans for its discussion."""
    kinds = [kind_of(text[unit.start : unit.end]) for unit in units]
    found = {kind: [i for i, k in enumerate(kinds) if k is kind] for kind in Item}
    for kind in Item:
        found[kind].sort(key=lambda index: -units[index].salience)
    counts = _counts({kind: len(found[kind]) for kind in Item}, len(text), settings)
    spans = []
    for kind in Item:
        if kind is Item.POINT:
            discussed = {units[index].start for index in found[kind]}
            spans += [_focused(span, discussed) for span in points(counts[kind])]
            continue
        for index in sorted(found[kind][: counts[kind]]):
            around = tuple(units[max(0, index - 1) : index + 1])
            spans.append(Span(around, kind=kind, focus=units[index]))
    return spans


def _focused(span: Span, discussed: set[int]) -> Span:
    """Of what was discussed there, not of what has a part of its own."""
    best = next((unit for unit in span.by_salience() if unit.start in discussed), None)
    return replace(span, kind=Item.POINT, focus=best)


def _counts(there: dict[Item, int], num_chars: int, settings: SummarySettings) -> dict[Item, int]:
    """How many of each: decisions and tasks first, yet never all."""
    said = there[Item.DECISION] + there[Item.TODO] + min(1, there[Item.NEXT])
    wanted = settings.num_bullets
    if wanted == AUTO:
        wanted = min(MAX_BULLETS, said + max(1, round(num_chars / CHARS_PER_POINT)))
    num_next = min(1, there[Item.NEXT]) if wanted > 1 else 0
    left = wanted - num_next
    num_points = 0 if left < 3 and said else max(1, left // 4)
    room = left - num_points
    num_decisions = min(there[Item.DECISION], math.ceil(room / 2))
    num_todos = min(there[Item.TODO], room - num_decisions)
    num_decisions = min(there[Item.DECISION], room - num_todos)
    rest = wanted - num_next - num_decisions - num_todos
    return {
        Item.DECISION: num_decisions,
        Item.TODO: num_todos,
        Item.POINT: rest,
        Item.NEXT: num_next,
    }
