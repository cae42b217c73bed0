"""Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}} with its status.

Anything that is not an AppError is logged, and the client is told nothing about it.
"""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from webui.documents.process import WorkerDiedError
from webui.engine.client import EngineDeadError, ModelLoadError, PromptTooLongError
from webui.engine.turns import TooBusyError
from webui.errors import AppError
from webui.models import UnknownModelError
from webui.strings import Language
from webui.tasks.complete import BadAskError

log = logging.getLogger(__name__)

INVALID = "invalid_request_error"
MAX_SHOWN = 300
STATUS: dict[type[AppError], tuple[int, str, str | None]] = {
    UnknownModelError: (404, INVALID, "model_not_found"),
    PromptTooLongError: (400, INVALID, "context_length_exceeded"),
    TooBusyError: (429, "rate_limit_error", "too_busy"),
    ModelLoadError: (503, "server_error", "model_not_loaded"),
    WorkerDiedError: (503, "server_error", "embedder_restarting"),
    EngineDeadError: (503, "server_error", "engine_restarting"),
}


def error_body(
    message: str, kind: str = INVALID, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def body_of(error: Exception, language: Language) -> tuple[int, dict[str, Any]]:
    """Status and body for whatever was raised."""
    if not isinstance(error, AppError):
        log.error("a request failed", exc_info=error)
        return 500, error_body("internal error", "server_error")
    status, kind, code = next(
        (entry for kind, entry in STATUS.items() if isinstance(error, kind)), (400, INVALID, None)
    )
    param = error.parameter if isinstance(error, BadAskError) else None
    if isinstance(error, UnknownModelError):
        param = "model"
    return status, error_body(error.message(language), kind, param, code)


def language_of(request: Request) -> Language:
    """English unless the client asks for Japanese."""
    wanted = request.headers.get("accept-language", "")
    return Language.JA if wanted.lower().startswith("ja") else Language.EN


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_app_error)


async def _on_app_error(request: Request, error: Exception) -> JSONResponse:
    status, body = body_of(error, language_of(request))
    headers = {}
    if isinstance(error, TooBusyError):
        headers["Retry-After"] = str(error.retry_after_s)
    return JSONResponse(body, status, headers)


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with the body, with the name of its field."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")[:MAX_SHOWN]
    message = str(first["msg"])[:MAX_SHOWN]
    if first["type"] == "extra_forbidden":
        message = "unknown or unsupported field"
    shown = f"{place}: {message}" if place else message
    return JSONResponse(error_body(shown, param=place or None), 400)


async def _on_http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse(error_body(str(error.detail)), error.status_code, error.headers)
