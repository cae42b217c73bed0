"""The messages that ask for bullets, put together from prompts/tasks/. Pure; knows no models."""

from collections.abc import Sequence

from webui.prompts.task_prompts import TaskPrompt, task_prompt
from webui.tasks.summarize.settings import Mode, SummarySettings

TITLE_CHARS = 80


def section_messages(
    settings: SummarySettings,
    family: str,
    text: str,
    title: str,
    count: int,
    more: Sequence[str] = (),
) -> list[dict[str, str]]:
    """Asks for `count` bullets of a part of a document; `more` names phrases to add."""
    task = "extract" if settings.mode is Mode.VERBATIM else "summarize"
    return _messages(task, settings, family, text, title, count, more)


def merging_messages(
    settings: SummarySettings,
    family: str,
    points: Sequence[str],
    title: str,
    count: int,
    more: Sequence[str] = (),
) -> list[dict[str, str]]:
    """Asks for `count` bullets made of the bullets of several parts."""
    task = "extract" if settings.mode is Mode.VERBATIM else "reduce"
    text = "\n".join(f"・{point}" for point in points)
    return _messages(task, settings, family, text, title, count, more)


def _messages(
    task: str,
    settings: SummarySettings,
    family: str,
    text: str,
    title: str,
    count: int,
    more: Sequence[str],
) -> list[dict[str, str]]:
    wording = task_prompt(task, settings.language).for_family(family)
    conditions = _conditions(wording, settings, title, count, more)
    return wording.messages(text=text, conditions=conditions)


def _conditions(
    wording: TaskPrompt, settings: SummarySettings, title: str, count: int, more: Sequence[str]
) -> str:
    parts = [wording.phrase("count", count=count)]
    if settings.mode is Mode.ABSTRACT:
        parts.append(wording.phrase("one_sentence"))
        parts.append(wording.phrase(f"granularity_{settings.granularity}"))
    parts.append(wording.phrase(f"style_{settings.style}"))
    if title.strip():
        parts.append(wording.phrase("title", title=" ".join(title.split())[:TITLE_CHARS]))
    if settings.mode is Mode.ABSTRACT:
        parts.append(wording.phrase("faithful"))
    parts += [wording.phrase(name) for name in more]
    return "".join((*parts, wording.phrase("end")))
