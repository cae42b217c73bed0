"""Export and import of conversations, what the engines do, the page's files, as plain routes.

The owner is whoever has logged in.
"""

import json
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from webui.api.auth import owner_of
from webui.api.jobs import job_views
from webui.application import Application
from webui.errors import AppError
from webui.storage import InvalidExportError, NotFoundError
from webui.storage.json_size import has_more_values
from webui.strings import Language
from webui.tasks.chat.export import to_markdown
from webui.tasks.chat.importing import import_conversations
from webui.tasks.purging import purge
from webui.ui.boot import ASSETS_PATH, assets
from webui.ui.chat.activity_view import activity_view
from webui.ui.language import language_of

MAX_FILE_NAME_CHARS = 60
MAX_IMPORTED_VALUES = 1_000_000  # of a message about ten; in memory at most some 100 bytes each
_ONE_IMPORT = threading.Lock()
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" '
    'rx="9" fill="#34509b"/><g stroke="#fff" stroke-width="2.6" stroke-linecap="round"><path '
    'd="M14 10h9M14 16h9M14 22h6"/></g><g fill="#ff8a65"><circle cx="9" cy="10" r="2"/><circle '
    'cx="9" cy="16" r="2"/><circle cx="9" cy="22" r="2"/></g></svg>'
)


def file_routes(application: Application) -> APIRouter:
    """GET /export/{id or all}.{md or json}, POST /import and /purge, GET /activity, /page/…"""
    router = APIRouter()

    @router.get("/export/{name}.{kind}")
    async def export(name: str, kind: str, request: Request) -> Response:
        if kind not in ("md", "json"):
            return Response(status_code=404)
        language = language_of(request.cookies)
        try:
            return await run_in_threadpool(
                _export, application, owner_of(request), name, kind, language
            )
        except NotFoundError as error:
            return _error(error, language, 404)

    @router.post("/import")
    async def import_file(request: Request) -> Response:
        language = language_of(request.cookies)
        body = await request.body()
        try:
            ids = await run_in_threadpool(_import, application, owner_of(request), body)
        except AppError as error:
            return _error(error, language, 422)
        return _json({"conversations": ids})

    router.post("/purge")(_purge(application))

    @router.get("/activity")
    async def activity(request: Request) -> Response:
        owner = owner_of(request)
        jobs = job_views(application.jobs, owner, language_of(request.cookies))
        return JSONResponse({**activity_view(application, owner), "jobs": jobs})

    @router.get(ASSETS_PATH + "/icon.svg")
    async def icon() -> Response:
        return Response(ICON, media_type="image/svg+xml")

    @router.get(ASSETS_PATH + "/{version}/{name}")
    async def asset(version: str, name: str) -> Response:
        found = assets().get(name)
        if found is None:
            return Response(status_code=404)
        return Response(found.content, media_type=found.media_type)

    return router


def file_name(title: str, kind: str) -> str:
    """A safe name for a download: no path, no control characters, no reserved signs."""
    allowed = "".join(
        "_" if character in '<>:"/\\|?*' or not character.isprintable() else character
        for character in title
    )
    stem = " ".join(allowed.split())[:MAX_FILE_NAME_CHARS].strip(". ") or "kajogaki"
    return f"{stem}.{kind}"


def _export(
    application: Application, owner: str, name: str, kind: str, language: Language
) -> Response:
    storage = application.storage
    everything = name == "all"
    exported = storage.export_all(owner) if everything else storage.export_conversation(owner, name)
    title = "kajogaki" if everything else exported["conversations"][0]["title"]
    if kind == "json":
        content = json.dumps(exported, ensure_ascii=False, indent=1)
    else:
        content = to_markdown(exported, language, datetime.now().astimezone().tzinfo or UTC)
    media_type = "application/json" if kind == "json" else "text/markdown; charset=utf-8"
    return Response(
        content.encode("utf-8", "replace"),
        media_type=media_type,
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file_name(title, kind))}"
        },
    )


def _purge(application: Application) -> Callable[[Request], Awaitable[Response]]:
    async def purge_now(request: Request) -> Response:
        """What the asker has deleted leaves the disk at once."""
        storage, owner = application.storage, owner_of(request)
        try:
            num_purged = await run_in_threadpool(purge, storage, older_than_s=0, owner=owner)
        except AppError as error:
            return _error(error, language_of(request.cookies), 503)
        return _json({"purged": num_purged})

    return purge_now


def _import(application: Application, owner: str, body: bytes) -> list[str]:
    with _ONE_IMPORT:  # each may take some hundred megabytes
        if has_more_values(body, MAX_IMPORTED_VALUES):
            raise InvalidExportError("too_large", "conversations")
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidExportError("not_ours") from error
        return import_conversations(application.storage, owner, data)


def _error(error: AppError, language: Language, status: int) -> Response:
    return _json({"error": error.message(language)}, status)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, media_type="application/json")
