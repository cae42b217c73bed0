"""Subjects: what a text is about, said once in its bullets; who speaks in a meeting. Pure."""

import re
from collections.abc import Sequence

from webui.tasks.summarize.source import Source

MAX_TOPIC_CHARS = 24
MIN_CHARS_WITHOUT_TOPIC = 12

_MYSELF = re.compile("(?<![一-龠々])(?:私|わたし|わたくし|僕|自分)(?=[がはので])")
_TOPIC = re.compile(rf"([^、。「」]{{2,{MAX_TOPIC_CHARS}}}?)は、?")
_FIRST_TOPIC = re.compile(r"([^、。(（]{2,30}?)(?:[(（][^)）]*[)）]+)?(?:とは|は)")


def topic_of(source: Source) -> str:
    """What the text is about, as it says itself: a heading, a file's name, the first subject."""
    first = source.sentence(0)
    if source.sentences[0].is_heading:
        return first.lstrip("# ").strip()
    match = _FIRST_TOPIC.match(first)
    if match:
        return match[1].strip()
    return "" if source.text.startswith(source.title.rstrip("…")) else source.title


def without_topic(bullets: Sequence[str], topic: str) -> list[str]:
    """The subject that the text is about, or that the bullet before has, is said once."""
    told, last, said = [], "", ""
    for bullet in bullets:
        match = _TOPIC.match(bullet)
        subject = match[1] if match else ""
        is_known = subject != "" and (subject == last or (subject == said and subject in topic))
        rest = bullet[match.end() :] if match and is_known else bullet
        told.append(rest if len(rest) >= MIN_CHARS_WITHOUT_TOPIC else bullet)
        last = subject
        said = subject if subject and subject in topic else said
    return told


def without_speaker(line: str, speaker: str) -> str:
    """What was said, without who said it in front."""
    return re.sub(rf"^\s*{re.escape(speaker)}\s*[:：]\s*", "", line)


def as_said_by(bullet: str, speaker: str) -> str:
    """A bullet of what somebody said: who it was stands at its source, and 「私が」 is a name."""
    return _MYSELF.sub(speaker, without_speaker(bullet, speaker)) if speaker else bullet
