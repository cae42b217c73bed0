"""A transcript (VTT, SRT, the texts of Teams and Zoom) → one line for each turn, with its time.

Turns of one speaker that follow each other are joined until they are long. Knows nothing about
encodings or files.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from webui.documents.reader.page_text import PageText
from webui.text.pages import Page
from webui.text.places import Place, PlaceKind

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,]\d{1,3})?"
_CUE = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_VOICE = re.compile(r"<v(?:\.[^ >]*)?\s+([^>]{1,100})>")
_TAG = re.compile(r"</?(?:[a-z]{1,4}(?:\.[^>]{0,50})?(?:\s[^>]{0,100})?|\d[\d:.]*)>", re.I)
_NAMED = re.compile(r"^([^\s:：][^:：\n]{0,39}?)\s?[:：]\s*(?=\S)")
_ALONE = re.compile(  # the forms of a line that only says who speaks and when
    rf"^(?:\[(?P<a>[^\]\n]{{1,60}})\]\s+(?P<ta>{_TIME})|(?P<b>\S[^\n]{{0,58}}?)[\s　]+"
    rf"(?P<tb>{_TIME})"
    rf"|(?P<tc>{_TIME})[\s　]+(?P<c>\S[^\n:：]{{0,58}}?)[:：]?)\s*$"
)
_CHAT = re.compile(
    rf"^(?P<t>{_TIME})\s+(?:From\s+)?(?P<n>[^:：\n]{{1,80}}?)\s*[:：]\s*(?P<x>\S.*)$"
)
_MAX_TURN_CHARS = 400
_MIN_TURNS = 3
_SAMPLE_LINES = 400


@dataclass(frozen=True, slots=True)
class Turn:
    start: str  # "00:01:05"
    end: str  # "" where it is not said
    speaker: str
    text: str


def is_transcript(text: str) -> bool:
    """By its content: cues, or lines of speaker and time."""
    if text.lstrip().startswith("WEBVTT"):
        return True
    lines = [line for line in text.splitlines()[:_SAMPLE_LINES] if line.strip()]
    num_cues = sum(_CUE.match(line) is not None for line in lines)
    if num_cues >= 1 and num_cues * 6 >= len(lines):
        return True
    num_turns = sum(
        _ALONE.match(line) is not None or _CHAT.match(line) is not None for line in lines
    )
    return num_turns >= _MIN_TURNS and num_turns * 4 >= len(lines)


def read_transcript(text: str) -> list[Page]:
    page = PageText()
    for turn in joined(turns(text)):
        line = f"{turn.speaker}: {turn.text}" if turn.speaker else turn.text
        page.add(line, Place(PlaceKind.TIME, turn.speaker, first=turn.start, last=turn.end))
    return page.finished()


def turns(text: str) -> Iterator[Turn]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if any(_CUE.match(line) for line in lines[:_SAMPLE_LINES]):
        yield from _cues(lines)
    else:
        yield from _spoken(lines)


def _cues(lines: list[str]) -> Iterator[Turn]:
    """VTT and SRT: a line of times, the text below it until an empty line."""
    at, speaker = 0, ""
    while at < len(lines):
        cue = _CUE.match(lines[at])
        at += 1
        if not cue:
            continue
        body: list[str] = []
        while at < len(lines) and lines[at].strip() and not _CUE.match(lines[at]):
            body.append(lines[at].strip())
            at += 1
        text = " ".join(body)
        voice = _VOICE.search(text)
        text = html.unescape(_TAG.sub("", _VOICE.sub("", text))).strip()
        named = None if voice else _NAMED.match(text)
        speaker = voice[1].strip() if voice else named[1] if named else ""
        if named:
            text = text[named.end() :]
        if text:
            yield Turn(_clock(cue.groups()[:3]), _clock(cue.groups()[3:6]), speaker, text)


def _spoken(lines: list[str]) -> Iterator[Turn]:
    """Teams and Zoom: 「佐藤 0:05」 above what was said, or 「10:01:05 From 佐藤: …」."""
    start, speaker, body = "", "", [""]
    for line in [*lines, None]:
        chat = _CHAT.match(line) if line else None
        alone = _ALONE.match(line) if line and not chat else None
        if line is not None and not chat and not alone:
            body.append(line.strip())
            continue
        text = " ".join(filter(None, body))
        if text:
            yield Turn(start, "", speaker, text)
        if chat:
            start, speaker, body = _clock_of(chat["t"]), _name(chat["n"]), [chat["x"]]
        elif alone:
            start = _clock_of(alone["ta"] or alone["tb"] or alone["tc"])
            speaker, body = _name(alone["a"] or alone["b"] or alone["c"]), []


def joined(found: Iterator[Turn]) -> Iterator[Turn]:
    """Turns as people speak them: cues cut them every few seconds."""
    last: Turn | None = None
    for turn in found:
        if last and last.speaker == turn.speaker and last.end and len(last.text) < _MAX_TURN_CHARS:
            gap = " " if last.text[-1:].isascii() and turn.text[:1].isascii() else ""
            last = Turn(last.start, turn.end, last.speaker, f"{last.text}{gap}{turn.text}")
            continue
        if last:
            yield last
        last = turn
    if last:
        yield last


def _name(text: str) -> str:
    """「From 佐藤 to Everyone」 → 佐藤."""
    return re.sub(r"\s+(?:to|宛先)\s+.*$", "", text.strip()).strip()


def _clock_of(text: str) -> str:
    match = re.match(_TIME, text)
    return _clock(match.groups()) if match else ""


def _clock(parts: tuple[str | None, ...]) -> str:
    hours, minutes, seconds = (int(part or 0) for part in parts)
    return f"{hours:02}:{minutes:02}:{seconds:02}"
