"""Jobs for the page: all that run, one as a stream that anyone of its owner's tabs can join, Stop.

The owner is whoever has logged in; a job of somebody else is as unknown as one that never was.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from webui.api.auth import owner_of
from webui.api.page_errors import json_response
from webui.api.v1.sse import EventStream, event
from webui.application import Application
from webui.jobs import AnyJob, JobKind, Jobs
from webui.strings import Language, text
from webui.ui.language import language_of

# What a kind of job tells beside what all tell.
Details = Callable[[AnyJob, Language], BaseModel]


class JobView(BaseModel):
    id: str
    kind: str
    name: str  # of the kind, in the reader's language
    title: str
    subject: str
    state: str
    fraction: float | None  # None: nobody can say
    elapsed_s: float
    waits_for: str  # a sentence; "" when it does not wait
    error: str


def job_view(jobs: Jobs, job: AnyJob, language: Language) -> JobView:
    progress = job.progress
    return JobView(
        id=job.id,
        kind=job.kind,
        name=text(f"jobs.kind_{job.kind}", language),
        title=job.title,
        subject=job.subject,
        state=job.state,
        fraction=progress.num_done / progress.num_total if progress.num_total else None,
        elapsed_s=job.elapsed_s,
        waits_for=jobs.waits_for(job, language),
        error=job.error.message(language) if job.error else "",
    )


def job_views(jobs: Jobs, owner: str, language: Language) -> list[dict[str, Any]]:
    """All that run of this owner's."""
    return [job_view(jobs, job, language).model_dump() for job in jobs.running(owner)]


def job_routes(application: Application, details: dict[JobKind, Details]) -> APIRouter:
    """GET /jobs, GET /jobs/{id}/events, POST /jobs/{id}/cancel"""
    router = APIRouter()
    jobs = application.jobs

    @router.get("/jobs")
    async def running(request: Request) -> Response:
        views = job_views(jobs, owner_of(request), language_of(request.cookies))
        return json_response({"jobs": views})

    @router.get("/jobs/{job_id}/events")
    async def events(job_id: str, request: Request) -> Response:
        job = jobs.get(owner_of(request), job_id)
        language = language_of(request.cookies)

        def news() -> dict[str, Any]:
            view = job_view(jobs, job, language).model_dump()
            detail = details.get(job.kind)
            return view | ({"details": detail(job, language).model_dump()} if detail else {})

        return EventStream(_stream(job, news))

    @router.post("/jobs/{job_id}/cancel")
    async def cancel(job_id: str, request: Request) -> Response:
        jobs.get(owner_of(request), job_id).cancel()
        return json_response({})

    return router


async def _stream(job: AnyJob, news: Callable[[], dict[str, Any]]) -> AsyncGenerator[bytes, None]:
    async with aclosing(job.follow()) as updates:
        async for _ in updates:
            yield event(news())
    yield event(news())  # how it ended
