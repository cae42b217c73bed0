"""What the 要約 view shows, as plain values. Knows nothing about Gradio."""

from datetime import datetime
from typing import Any

from webui.storage import Status, SummaryRecord
from webui.strings import Language, table, text
from webui.tasks.summarize.desk import Desk, SummaryDesk
from webui.tasks.summarize.exports import notes_of, place_label
from webui.tasks.summarize.result import Summary
from webui.tasks.summarize.settings import Mode
from webui.tasks.summarize.source import Source
from webui.tasks.summarize.summarizer import Planned, SummaryUpdate

SECTION = "summary."
MAX_LIVE = 12  # sections shown while it runs
MAX_SOURCE_CHARS = 600_000  # of the text beside the bullets; around the quotes when longer


def desk_view(desks: SummaryDesk, owner: str, language: Language) -> dict[str, Any]:
    """The table and the history: small enough to be asked for twice a second."""
    desk = desks.of(owner)
    return {
        "is_planning": desk.is_planning,
        "is_running": desk.is_running,
        "sources": [
            {"token": token, "name": source.file_name or source.title, "chars": len(source.text),
             "is_file": bool(source.file_name), "left_out": len(source.unusable_pages)}
            for token, source in desk.sources.items()
        ],
        "plan": _plan_view(desk.plans),
        "run": _run_view(desk, desk.update) if desk.update else None,
        "finished": desk.finished,
        "error": desk.error,
        "history": [_history_view(record, language) for record in desks.history(owner)],
    }  # fmt: skip


def result_view(
    summary_id: str, summary: Summary, source: Source, language: Language
) -> dict[str, Any]:
    """One finished summary with the text it is tied to."""
    values = summary.values()
    for bullet in values["bullets"]:
        for flag in bullet["flags"]:
            label = text(f"{SECTION}flag_{flag['kind']}", language, text=flag["text"])
            flag["label"] = label
    for shown, bullet in zip(values["bullets"], summary.bullets, strict=True):
        for one, source_quote in zip(shown["sources"], bullet.sources, strict=True):
            one["at"] = place_label(source_quote, language)
    return {
        "id": summary_id,
        "title": summary.title,
        "bullets": values["bullets"],
        "covered": values["covered"],
        "notes": notes_of(summary, language),
        "language_ok": summary.language_ok,
        "first_try_share": summary.first_try_share,
        "is_verbatim": summary.settings["mode"] == Mode.VERBATIM,
        "model": summary.model,
        "total_s": summary.timings["total_s"],
        "text": source.text[:MAX_SOURCE_CHARS],
        "length": len(source.text),
        "sentences": [
            [place.start, place.end, place.page]
            for place in source.sentences
            if place.end <= MAX_SOURCE_CHARS
        ],
        "places": [
            [at, place.label(language)] for at, place in source.marks if at < MAX_SOURCE_CHARS
        ],
    }


def view_strings(language: Language) -> dict[str, str]:
    prefix = f"{SECTION}ui_"
    return {
        key.removeprefix(prefix): languages[language]
        for key, languages in table().items()
        if key.startswith(prefix)
    }


def _plan_view(plans: list[Planned]) -> dict[str, Any] | None:
    if not plans:
        return None
    return {
        "tokens": sum(planned.plan.num_tokens for planned in plans),
        "sections": sum(len(planned.plan.sections) for planned in plans),
        "calls": sum(planned.plan.num_calls for planned in plans),
        "bullets": [planned.plan.num_bullets for planned in plans],
        "eta_s": sum(planned.plan.eta_s for planned in plans),
        "asks": sum(planned.plan.eta_s for planned in plans) > 60,
        "resumed": sum(planned.num_resumed for planned in plans),
        "model": plans[0].model.name,
        "is_standin": plans[0].model.is_standin,
    }


def _run_view(desk: Desk, update: SummaryUpdate) -> dict[str, Any]:
    begun = [section for section in update.sections if section.bullets or section.partial]
    return {
        "state": str(update.state),
        "id": update.summary_id,
        "done": update.num_done,
        "total": update.num_calls,
        "eta_s": update.eta_s,
        "elapsed_s": update.elapsed_s,
        "load_fraction": update.load_fraction,
        "file": desk.position + 1,
        "files": desk.num_sources,
        "sections": [
            {"index": s.index, "title": s.title, "bullets": list(s.bullets), "partial": s.partial,
             "is_done": s.is_done}
            for s in begun[-MAX_LIVE:]
        ],
    }  # fmt: skip


def _history_view(record: SummaryRecord, language: Language) -> dict[str, Any]:
    when = datetime.fromtimestamp(record.updated_at)
    return {
        "id": record.id,
        "title": record.title or text("ui.untitled", language),
        "when": when.strftime("%Y-%m-%d %H:%M"),
        "is_complete": record.status is Status.COMPLETE,
        "done": record.num_parts_done,
        "total": record.num_parts,
    }
