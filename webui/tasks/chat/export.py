"""An export of conversations as one Markdown document. Pure; knows nothing about storage or files.

Shows the path that the reader saw; the other branches are in the JSON export only.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from webui.strings import Language, text
from webui.tasks.ask.exports import source_lines
from webui.tasks.ask.result import answer_from
from webui.tasks.markdown import closed, escaped, quoted


def to_markdown(exported: dict[str, Any], language: Language, zone: tzinfo = UTC) -> str:
    """`exported`: what Storage.export_conversation or export_all returns; times in `zone`."""
    documents = [
        "\n\n".join(_conversation(conversation, language, zone))
        for conversation in exported["conversations"]
    ]
    return "\n\n---\n\n".join(documents) + "\n"


def _conversation(conversation: dict[str, Any], language: Language, zone: tzinfo) -> Iterator[str]:
    yield "# " + (escaped(conversation["title"]) or text("export.untitled", language))
    yield _date(conversation["created_at"], language, zone)
    if conversation["system_prompt"]:
        yield "**" + text("export.system_prompt", language) + "**"
        yield quoted(conversation["system_prompt"])
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
        heading += f" ({escaped(message['model_id'])})"
    yield heading
    if message["reasoning"]:
        yield "**" + text("export.reasoning", language) + "**"
        yield quoted(message["reasoning"])
    if message["content"]:
        yield closed(message["content"])
    if answer := answer_from(message["content"], message.get("evidence", {})):
        yield from source_lines(answer, language)
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
