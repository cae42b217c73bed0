"""Uploads to the 資料 view, pictures of pages, and the files as they came.

The owner is whoever has logged in; a document is named by its id, which nobody can guess, and is
looked up among the owner's. Nothing of a name that came from outside is ever a path.
"""

import asyncio
import contextlib
import json
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from webui.api.auth import owner_of
from webui.api.quota import Quota
from webui.application import Application
from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.library import MAX_UPLOAD_BYTES
from webui.documents.under_way import watch_documents
from webui.errors import AppError
from webui.storage import NotFoundError
from webui.strings import Language, text
from webui.ui.language import language_of

UPLOAD_PATH = "/documents/files"
MAX_NAME_CHARS = 2_000  # as sent; the library keeps less
MIN_WIDTH, MAX_WIDTH = 100, 2000  # of a picture, in pixels
MAX_DRAWN_AT_ONCE = 4  # that many threads may wait for the one process that draws
SPARE_BYTES = 50_000_000  # on the disk, for the index
BLOCK_BYTES = 1 << 20
_FIRST = threading.Lock()


def document_routes(application: Application) -> APIRouter:
    """POST /documents/files (the body is the file), GET /documents/{id}/pages/{n}.png, …/file"""
    router = APIRouter()
    drawing = asyncio.Semaphore(MAX_DRAWN_AT_ONCE)
    quota = Quota(application.storage.documents, application.settings.documents_gb)

    @router.post(UPLOAD_PATH)
    async def add(request: Request) -> Response:
        language = language_of(request.cookies)
        try:
            async with _stored(request, application, quota) as path:
                added = await run_in_threadpool(_add, application, request, path, language)
            watch_documents(application.jobs, application.library, owner_of(request))
            return added
        except AppError as error:
            return _problem(error, language)

    @router.get("/documents/{document_id}/pages/{number}.png")
    async def picture(document_id: str, number: int, request: Request, w: int = 1000) -> Response:
        language = language_of(request.cookies)
        width = max(MIN_WIDTH, min(w, MAX_WIDTH))
        try:
            async with drawing:
                png = await run_in_threadpool(
                    application.library.picture, owner_of(request), document_id, number, width
                )
        except AppError as error:
            return _problem(error, language)
        return Response(png, media_type="image/png")

    @router.get("/documents/{document_id}/file")
    async def original(document_id: str, request: Request) -> Response:
        language = language_of(request.cookies)
        try:
            path, name = await run_in_threadpool(
                application.library.original, owner_of(request), document_id
            )
        except AppError as error:
            return _problem(error, language)
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
        return FileResponse(path, media_type="application/octet-stream", headers=headers)

    return router


@contextlib.asynccontextmanager
async def _stored(request: Request, application: Application, quota: Quota) -> AsyncIterator[Path]:
    """The body as a file, gone afterwards unless it was moved away. Raises DocumentError."""
    library = application.library
    declared = int(request.headers.get("content-length") or 0)
    free = shutil.disk_usage(application.settings.data_dir).free - SPARE_BYTES
    if declared > free:
        raise DocumentError(
            "documents.disk_full", need_mb=declared // 1_000_000, free_mb=max(0, free) // 1_000_000
        )
    # What does not say how long it is may be as long as any.
    with quota.reserved(owner_of(request), declared or MAX_UPLOAD_BYTES):
        path = await run_in_threadpool(library.new_upload)
        try:
            await _receive(request, path)
            yield path
        finally:
            path.unlink(missing_ok=True)


async def _receive(request: Request, path: Path) -> None:
    """The body into `path`, a block at a time. Raises DocumentError."""
    block = bytearray()
    num_bytes = 0
    try:
        with path.open("wb") as file:
            async for part in request.stream():
                block += part
                num_bytes += len(part)
                if num_bytes > MAX_UPLOAD_BYTES:
                    limit_mb = MAX_UPLOAD_BYTES // 1_000_000
                    raise DocumentError("documents.too_large", limit_mb=limit_mb)
                if len(block) >= BLOCK_BYTES:
                    await run_in_threadpool(file.write, bytes(block))
                    block.clear()
            file.write(bytes(block))
    except OSError as error:
        raise DocumentError("documents.cannot_store", reason=error.strerror or "") from error


def _add(application: Application, request: Request, path: Path, language: Language) -> Response:
    owner, library = owner_of(request), application.library
    name = unquote(request.headers.get("x-file-name", ""))[:MAX_NAME_CHARS]
    document, is_new = library.add(
        owner,
        _collection(application, request, owner, language),
        name,
        path,
        password=unquote(request.headers.get("x-password", "")),
        replaces=request.headers.get("x-replaces", ""),
    )
    return _json(
        {
            "document": document.id,
            "name": document.name,
            "collection": document.collection_id,
            "is_new": is_new,
        }
    )


def _collection(application: Application, request: Request, owner: str, language: Language) -> str:
    """The one that is named; without a name the reader's first, made when there is none."""
    wanted = request.headers.get("x-collection", "")
    if wanted:
        return wanted
    documents = application.storage.documents
    with _FIRST:  # two uploads at once make one
        known = documents.collections(owner)
        if known:
            return known[0].id
        return documents.create_collection(owner, text("documents.first", language)).id


def _problem(error: AppError, language: Language) -> Response:
    needs_password = isinstance(error, PasswordNeededError)
    status = 404 if isinstance(error, NotFoundError) else 422
    return _json({"error": error.message(language), "password": needs_password}, status)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, media_type="application/json")
