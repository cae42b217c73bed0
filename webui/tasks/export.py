"""An export of conversations as one Markdown document. Pure; knows nothing about storage or files.

Shows the path that the reader saw; the other branches are in the JSON export only.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from webui.strings import Language, text

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$!&])")
_LINE_END = re.compile(r"\r\n?|\n")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def to_markdown(exported: dict[str, Any], language: Language, zone: tzinfo = UTC) -> str:
    """`exported`: what Storage.export_conversation or export_all returns; times in `zone`."""
    documents = [
        "\n\n".join(_conversation(conversation, language, zone))
        for conversation in exported["conversations"]
    ]
    return "\n\n---\n\n".join(documents) + "\n"


def _conversation(conversation: dict[str, Any], language: Language, zone: tzinfo) -> Iterator[str]:
    yield "# " + (_escaped(conversation["title"]) or text("export.untitled", language))
    yield _date(conversation["created_at"], language, zone)
    if conversation["system_prompt"]:
        yield "**" + text("export.system_prompt", language) + "**"
        yield _quoted(conversation["system_prompt"])
    for message in _shown_path(conversation):
        yield from _message(message, language)


def _shown_path(conversation: dict[str, Any]) -> list[dict[str, Any]]:
    messages = {message["id"]: message for message in conversation["messages"]}
    path = []
    number = conversation["leaf"]
    while number is not None:
        path.append(messages[number])
        number = messages[number]["parent"]
    return path[::-1]


def _message(message: dict[str, Any], language: Language) -> Iterator[str]:
    heading = "## " + text(f"export.{message['role']}", language)
    if message["model_id"]:
        heading += f" ({_escaped(message['model_id'])})"
    yield heading
    if message["reasoning"]:
        yield "**" + text("export.reasoning", language) + "**"
        yield _quoted(message["reasoning"])
    if message["content"]:
        yield _closed(message["content"])
    if message["status"] != "complete":
        yield "*" + text(f"export.{message['status']}", language) + "*"


def _date(seconds: float, language: Language, zone: tzinfo) -> str:
    when = datetime.fromtimestamp(seconds, zone)
    return text(
        "export.date",
        language,
        year=when.year,
        month=when.month,
        day=when.day,
        time=when.strftime("%H:%M"),
    )


def _escaped(label: str) -> str:
    """A label on one line that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(label.split()))


def _quoted(passage: str) -> str:
    """A block quote; nothing in the passage can end it."""
    lines = _LINE_END.split(_closed(passage))
    return "\n".join(f"> {line}" if line else ">" for line in lines)


def _closed(passage: str) -> str:
    """The passage with its last code block closed, so that it cannot swallow what follows.

    Half-written answers often end inside one.
    """
    fence = ""
    for line in _LINE_END.split(passage):
        match = _FENCE.match(line)
        if match is None:
            continue
        marks, rest = match.groups()
        if not fence:
            is_opening = marks[0] == "~" or "`" not in rest
            fence = marks if is_opening else ""
        elif marks.startswith(fence) and not rest.strip():
            fence = ""
    return f"{passage.rstrip()}\n{fence}" if fence else passage.strip("\n")
