"""What the 要約 view gets: pydantic models of the table, a running job, a finished summary.

Knows nothing about HTTP.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from webui.engine.pool import EnginePool
from webui.errors import AppError
from webui.jobs import AnyJob
from webui.storage import Status, SummaryRecord
from webui.strings import Language, table, text
from webui.tasks.summarize.desk import SummaryDesk, SummaryProgress
from webui.tasks.summarize.exports import made_by, notes_of, place_label
from webui.tasks.summarize.result import Summary
from webui.tasks.summarize.settings import Mode
from webui.tasks.summarize.source import Source
from webui.tasks.summarize.summarizer import RunState, SummaryUpdate
from webui.text.kinds import SUFFIXES

SECTION = "summary."
MAX_LIVE = 12  # sections shown while it runs
MAX_SOURCE_CHARS = 600_000  # of the text beside the bullets; around the quotes when longer


class SourceView(BaseModel):
    token: str
    name: str
    chars: int
    left_out: int  # pages whose text cannot be read


class PastView(BaseModel):
    id: str
    title: str
    when: str
    is_complete: bool
    done: int
    total: int


class ModelChoice(BaseModel):
    id: str
    name: str
    is_builtin: bool


class TableView(BaseModel):
    """What was uploaded, what runs, what was made before."""

    sources: list[SourceView]
    job: str  # id of the running one, "" without
    history: list[PastView]
    models: list[ModelChoice]
    model: str  # that is used unless another is chosen
    strings: dict[str, str]


class SectionView(BaseModel):
    title: str
    bullets: list[str]
    partial: str
    is_done: bool


class ProgressView(BaseModel):
    """`state`: planning | asking | loading | queued | working | merging"""

    state: str
    chars: int
    bullets: int
    plan_s: float  # of the whole plan
    model: str
    resumed: int
    is_standin: bool
    num_sources: int
    position: int  # from 1
    done: int
    total: int
    left_s: float | None  # of this source; None while nobody can say
    sections: list[SectionView]
    finished: list[str]


class ResultView(BaseModel):
    id: str
    title: str
    bullets: list[dict[str, Any]]
    covered: list[float]
    notes: list[str]
    made_by: str
    language_ok: bool
    first_try_share: float
    is_verbatim: bool
    settings: dict[str, Any]
    model: str
    model_id: str
    total_s: float
    text: str
    length: int
    sentences: list[tuple[int, int, int]]  # start, end, page
    places: list[tuple[int, str]]  # where one begins, in a kind without pages


def table_view(
    desk: SummaryDesk, engines: EnginePool, owner: str, usual_model: str, language: Language
) -> TableView:
    job = desk.running(owner)
    return TableView(
        sources=[
            SourceView(
                token=token,
                name=source.file_name or source.title,
                chars=len(source.text),
                left_out=len(source.unusable_pages),
            )
            for token, source in desk.sources(owner).items()
        ],
        job=job.id if job else "",
        history=[_past(record, language) for record in desk.history(owner)],
        models=[
            ModelChoice(id=spec.id, name=spec.name, is_builtin=spec.is_builtin)
            for spec in engines.models()
            if spec.error is None
        ],
        model=_usual(engines, usual_model),
        strings=_strings(language),
    )


def progress_view(job: AnyJob, _: Language) -> ProgressView:
    """Of a job of this kind, as its stream tells it; times go on by the clock."""
    now = job.update or SummaryProgress(0)
    plans, update = now.plans, now.update
    model = plans[0].model if plans else None
    return ProgressView(
        state=_state(now),
        chars=now.num_chars,
        bullets=sum(planned.plan.num_bullets for planned in plans),
        plan_s=now.eta_s,
        model=model.name if model else "",
        resumed=sum(planned.num_resumed for planned in plans),
        is_standin=bool(model and model.is_standin),
        num_sources=now.num_sources,
        position=now.position + 1,
        done=update.num_done if update else 0,
        total=update.num_calls if update else 0,
        left_s=_left_s(job, update),
        sections=_sections(update),
        finished=list(now.finished),
    )


def result_view(
    record: SummaryRecord, summary: Summary, source: Source, language: Language
) -> ResultView:
    """One finished summary with the text it is tied to."""
    values = summary.values()
    for written in values["bullets"]:
        for flag in written["flags"]:
            label = text(f"{SECTION}flag_{flag['kind']}", language, text=flag["text"])
            flag["label"] = label
    for shown, bullet in zip(values["bullets"], summary.bullets, strict=True):
        for one, source_quote in zip(shown["sources"], bullet.sources, strict=True):
            one["at"] = place_label(source_quote, language)
    return ResultView(
        id=record.id,
        title=summary.title or text("ui.untitled", language),
        bullets=list(values["bullets"]),
        covered=list(summary.covered),
        notes=notes_of(summary, language),
        made_by=made_by(summary, language),
        language_ok=summary.language_ok,
        first_try_share=summary.first_try_share,
        is_verbatim=summary.settings["mode"] == Mode.VERBATIM,
        settings=summary.settings,
        model=summary.model,
        model_id=record.model_id,
        total_s=summary.timings["total_s"],
        text=source.text[:MAX_SOURCE_CHARS],
        length=len(source.text),
        sentences=[
            (place.start, place.end, place.page)
            for place in source.sentences
            if place.end <= MAX_SOURCE_CHARS
        ],
        places=[(at, place.label(language)) for at, place in source.marks if at < MAX_SOURCE_CHARS],
    )


def _strings(language: Language) -> dict[str, str]:
    prefix = f"{SECTION}ui_"
    return {"kinds": ",".join(SUFFIXES)} | {
        key.removeprefix(prefix): languages[language]
        for key, languages in table().items()
        if key.startswith(prefix)
    }


def _usual(engines: EnginePool, model_id: str) -> str:
    for wanted in (model_id, ""):
        try:
            return engines.spec(wanted).id
        except AppError:
            continue
    return ""


def _state(now: SummaryProgress) -> str:
    if now.is_asking:
        return "asking"
    if now.update is None:
        if now.waiting is None:
            return "planning"
        return "loading" if now.waiting.is_loading else "queued"
    state = now.update.state
    if state in (RunState.LOADING, RunState.QUEUED, RunState.MERGING):
        return str(state)
    return "working" if now.update.num_calls else "planning"


def _left_s(job: AnyJob, update: SummaryUpdate | None) -> float | None:
    """Less by the second, also while the model says nothing."""
    if update is None or update.eta_s is None:
        return None
    return max(0.0, update.eta_s - job.silent_s)


def _sections(update: SummaryUpdate | None) -> list[SectionView]:
    begun = [s for s in update.sections if s.bullets or s.partial] if update else []
    return [
        SectionView(
            title=section.title,
            bullets=list(section.bullets),
            partial=section.partial,
            is_done=section.is_done,
        )
        for section in begun[-MAX_LIVE:]
    ]


def _past(record: SummaryRecord, language: Language) -> PastView:
    when = datetime.fromtimestamp(record.updated_at)
    return PastView(
        id=record.id,
        title=record.title or text("ui.untitled", language),
        when=when.strftime("%Y-%m-%d %H:%M"),
        is_complete=record.status is Status.COMPLETE,
        done=record.num_parts_done,
        total=record.num_parts,
    )
