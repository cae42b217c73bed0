"""Uploads to the 要約 view, and finished summaries as files.

The owner is whoever has logged in.
"""

import json
from typing import Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from webui.api.auth import owner_of
from webui.api.files import file_name
from webui.application import Application
from webui.documents.errors import PasswordNeededError
from webui.errors import AppError
from webui.tasks.summarize.exports import MEDIA_TYPES, ExportFormat, exported
from webui.ui.language import language_of

MAX_NAME_CHARS = 200


def summary_routes(application: Application) -> APIRouter:
    """POST /summaries/files (the body is the file), GET /summaries/{id}.{md, txt, docx or json}"""
    router = APIRouter()

    @router.post("/summaries/files")
    async def add_file(request: Request) -> Response:
        language = language_of(request.cookies)
        name = unquote(request.headers.get("x-file-name", ""))[:MAX_NAME_CHARS] or "file"
        password = unquote(request.headers.get("x-password", ""))
        body = await request.body()
        try:
            token = await application.summaries.add_file(owner_of(request), name, body, password)
        except AppError as error:
            needs_password = isinstance(error, PasswordNeededError)
            return _json({"error": error.message(language), "password": needs_password}, 422)
        return _json({"token": token})

    @router.get("/summaries/{summary_id}.{kind}")
    async def export(summary_id: str, kind: str, request: Request) -> Response:
        if kind not in set(ExportFormat):
            return Response(status_code=404)
        language = language_of(request.cookies)
        try:
            summary, _ = await run_in_threadpool(
                application.summaries.result, owner_of(request), summary_id
            )
        except AppError as error:
            return _json({"error": error.message(language)}, 404)
        chosen = ExportFormat(kind)
        name = quote(file_name(summary.title, kind))
        return Response(
            await run_in_threadpool(exported, summary, chosen, language),
            media_type=MEDIA_TYPES[chosen],
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
        )

    return router


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, media_type="application/json")
