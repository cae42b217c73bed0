"""The 要約 view's routes: texts in, jobs started, results shown, changed and saved as files.

The owner is whoever has logged in; storage looks every id up among the owner's.
"""

from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from webui.api.auth import owner_of
from webui.api.files import file_name
from webui.api.page_errors import json_response
from webui.api.summary_view import result_view, table_view
from webui.application import Application
from webui.documents.errors import PasswordNeededError
from webui.errors import AppError
from webui.strings import Language
from webui.tasks.summarize.desk import SummaryJob, Wish
from webui.tasks.summarize.editing import MAX_BULLET_CHARS
from webui.tasks.summarize.exports import MEDIA_TYPES, ExportFormat, exported
from webui.tasks.summarize.settings import SummarySettings
from webui.tasks.summarize.source import MAX_CHARS
from webui.ui.chat.conversation import MODEL_SETTING
from webui.ui.language import language_of

MAX_NAME_CHARS = 200
Line = Annotated[str, Field(max_length=4 * MAX_BULLET_CHARS)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Options(_Body):
    mode: str = ""
    num_bullets: int = 0
    granularity: str = ""
    style: str = ""
    language: str = ""

    def settings(self) -> SummarySettings:
        """Raises SummarySettingsError."""
        return SummarySettings.parse({k: v for k, v in self.model_dump().items() if v != ""})


class StartBody(_Body):
    """`text` and what was uploaded; or `again` an earlier summary's text; or `resume` one."""

    text: str = Field(default="", max_length=MAX_CHARS + 1)
    again: str = ""
    resume: str = ""
    model: str = ""
    options: Options = Options()


class BulletBody(_Body):
    was: Line  # what it says on the page: another tab may have changed it
    text: Line = ""


def summary_routes(application: Application) -> APIRouter:
    """/summaries/…: table, files, jobs, results, bullets, exports"""
    router = APIRouter(prefix="/summaries")
    desk, storage = application.summaries, application.storage

    @router.get("")
    async def table(request: Request) -> Response:
        owner, language = owner_of(request), language_of(request.cookies)
        usual = storage.setting(owner, MODEL_SETTING)
        view = table_view(desk, application.engines, owner, usual, language)
        return json_response(view.model_dump())

    @router.post("/files")
    async def add_file(request: Request) -> Response:
        language = language_of(request.cookies)
        name = unquote(request.headers.get("x-file-name", ""))[:MAX_NAME_CHARS] or "file"
        password = unquote(request.headers.get("x-password", ""))
        body = await request.body()
        try:
            token = await desk.add_file(owner_of(request), name, body, password)
        except AppError as error:
            needs_password = isinstance(error, PasswordNeededError)
            return json_response(
                {"error": error.message(language), "password": needs_password}, 422
            )
        return json_response({"token": token})

    @router.delete("/files/{token}")
    async def remove_file(token: str, request: Request) -> Response:
        desk.remove(owner_of(request), token)
        return json_response({})

    @router.post("/jobs")
    async def start(body: StartBody, request: Request) -> Response:
        job = _start(application, owner_of(request), body, language_of(request.cookies))
        return json_response({"job": job.id}, 202)

    @router.post("/jobs/{job_id}/confirm")
    async def confirm(job_id: str, request: Request) -> Response:
        desk.confirm(owner_of(request), job_id)
        return json_response({})

    router.include_router(_result_routes(application))
    router.include_router(_bullet_routes(application))
    return router


def _start(application: Application, owner: str, body: StartBody, language: Language) -> SummaryJob:
    desk = application.summaries
    if body.resume:
        return desk.resume(owner, body.resume, language)
    model = body.model or application.storage.setting(owner, MODEL_SETTING)
    wish = Wish((), body.options.settings(), model, body.text, language)
    return desk.again(owner, body.again, wish) if body.again else desk.start(owner, wish)


def _result_routes(application: Application) -> APIRouter:
    """GET and DELETE /{id}, POST /{id}/restore, GET /{id}.{md, txt, docx or json}"""
    router = APIRouter()
    desk = application.summaries

    @router.get("/{summary_id}.{kind}")
    async def export(summary_id: str, kind: str, request: Request) -> Response:
        if kind not in set(ExportFormat):
            return Response(status_code=404)
        owner, language = owner_of(request), language_of(request.cookies)
        summary, _ = await run_in_threadpool(desk.result, owner, summary_id)
        chosen = ExportFormat(kind)
        name = quote(file_name(summary.title, kind))
        return Response(
            await run_in_threadpool(exported, summary, chosen, language),
            media_type=MEDIA_TYPES[chosen],
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
        )

    @router.get("/{summary_id}")
    async def result(summary_id: str, request: Request) -> Response:
        return await _shown(application, summary_id, request)

    @router.delete("/{summary_id}")
    async def delete(summary_id: str, request: Request) -> Response:
        await run_in_threadpool(desk.delete, owner_of(request), summary_id)
        return json_response({})

    @router.post("/{summary_id}/restore")
    async def restore(summary_id: str, request: Request) -> Response:
        await run_in_threadpool(desk.restore, owner_of(request), summary_id)
        return json_response({})

    return router


def _bullet_routes(application: Application) -> APIRouter:
    """PUT and DELETE /{id}/bullets/{n}, POST /{id}/bullets/restore: the summary as it is then."""
    router = APIRouter(prefix="/{summary_id}/bullets")
    desk = application.summaries

    @router.post("/restore")
    async def restore(summary_id: str, request: Request) -> Response:
        await run_in_threadpool(desk.restore_bullet, owner_of(request), summary_id)
        return await _shown(application, summary_id, request)

    @router.put("/{index}")
    async def edit(summary_id: str, index: int, body: BulletBody, request: Request) -> Response:
        owner = owner_of(request)
        await run_in_threadpool(desk.edit, owner, summary_id, index, body.was, body.text)
        return await _shown(application, summary_id, request)

    @router.delete("/{index}")
    async def remove(summary_id: str, index: int, body: BulletBody, request: Request) -> Response:
        owner = owner_of(request)
        await run_in_threadpool(desk.remove_bullet, owner, summary_id, index, body.was)
        return await _shown(application, summary_id, request)

    return router


async def _shown(application: Application, summary_id: str, request: Request) -> Response:
    owner, language = owner_of(request), language_of(request.cookies)

    def view() -> dict[str, Any]:
        record = application.storage.summaries.get(owner, summary_id)
        summary, source = application.summaries.result(owner, summary_id)
        return result_view(record, summary, source, language).model_dump()

    return json_response(await run_in_threadpool(view))
