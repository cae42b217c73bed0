"""Answers without a search: small talk, the last answer in other words, its place, which documents.

The wording is in strings.toml and prompts/tasks. Pure; knows no engine and no library.
"""

from collections.abc import Sequence
from dataclasses import replace

from webui.prompts.task_prompts import task_prompt
from webui.strings import Language, text
from webui.tasks.ask.citing import MARK
from webui.tasks.ask.exports import place_label
from webui.tasks.ask.intents import Intent
from webui.tasks.ask.result import Answer, Citation, NumberedPassage
from webui.tasks.markdown import escaped
from webui.text.grounding import FlagKind
from webui.text.pages import Span

MAX_LISTED = 100
MAX_PLACES = 5


def small_talk(intent: Intent, language: Language) -> Answer:
    return Answer(text(f"ask.talk_{intent}", language), "")


def remark_messages(remark: str, language: Language, family: str) -> list[dict[str, str]]:
    """What a model is asked to say to a remark."""
    return task_prompt("remark", language).for_family(family).messages(remark=remark)


def no_rework(language: Language, *, has_answer: bool) -> Answer:
    key = "ask.rework_needs_model" if has_answer else "ask.nothing_to_rework"
    return Answer(text(key, language), "")


def rework_messages(
    last: Answer, request: str, language: Language, family: str
) -> list[dict[str, str]]:
    """What a model is asked to make of the last answer."""
    wording = task_prompt("rework", language).for_family(family)
    return wording.messages(
        question=" ".join(last.question.split()),
        answer=MARK.sub("", last.text),
        request=" ".join(request.split()),
    )


def reworked(answer: Answer, last: Answer) -> Answer:
    """`answer` with the sources of the last one where none is found: another language, a gist."""
    flags = tuple(flag for flag in answer.flags if flag.kind in (FlagKind.NUMBER, FlagKind.NAME))
    kept = replace(
        answer, question=last.question, abstention=last.abstention, flags=flags, notice=""
    )
    if answer.citations or not last.citations or not answer.text:
        return kept
    numbers = {_place(passage): passage.number for passage in answer.passages}
    given = {passage.number: passage for passage in last.passages}
    cited = {numbers[_place(given[c.number])]: c for c in last.citations if c.number in given}
    marks = "".join(f"[{number}]" for number in sorted(cited))
    text_with_marks = answer.text + marks
    citations = tuple(
        replace(citation, number=number, start=0, end=len(text_with_marks), is_marked=False)
        for number, citation in sorted(cited.items())
    )
    return replace(kept, text=text_with_marks, citations=citations)


def _place(passage: NumberedPassage) -> tuple[str, Span]:
    return passage.document_id, passage.span


def place_of(last: Answer | None, language: Language) -> Answer:
    """File and page of what the last answer rests on."""
    best: dict[tuple[str, str], Citation] = {}
    for citation in last.citations if last else ():
        best.setdefault((citation.file, place_label(citation, language)), citation)
    if last is None or not best:
        return Answer(text("ask.no_place", language), "")
    written, citations = "", []
    for (file, place), citation in list(best.items())[:MAX_PLACES]:
        name = "ask.stands_in" if place else "ask.stands_in_file"
        start = len(written)
        written += text(name, language, file=escaped(file), place=escaped(place)) + (
            f"[{citation.number}]" + text("ask.full_stop", language)
        )
        citations.append(replace(citation, start=start, end=len(written)))
    return replace(last, text=written, citations=tuple(citations), flags=(), notice="")


def listing(names: Sequence[str], language: Language) -> Answer:
    """Which documents there are."""
    lines = [f"- {escaped(name)}" for name in names[:MAX_LISTED]]
    if len(names) > MAX_LISTED:
        lines.append("- " + text("ask.more_documents", language, n=len(names) - MAX_LISTED))
    head = text("ask.documents_there", language, n=len(names))
    return Answer("\n".join([head, "", *lines]), "")
