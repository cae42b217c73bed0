"""Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}} with its status.

Anything that is not an AppError is logged, and the client is told nothing about it.
"""

import difflib
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from webui.documents.process import WorkerDiedError
from webui.engine.client import EngineDeadError, ModelLoadError, PromptTooLongError
from webui.engine.turns import TooBusyError
from webui.errors import AppError
from webui.models import UnknownModelError
from webui.strings import Language, text
from webui.tasks.pieces import BadAskError

log = logging.getLogger(__name__)

INVALID = "invalid_request_error"
MAX_SHOWN = 300
LIMIT = "limit"
# pydantic's name of a fault: our sentence, and which of its values the sentence needs.
SENTENCES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "missing": ("field_missing", ()),
    "string_type": ("text_wanted", ()),
    "int_type": ("integer_wanted", ()),
    "int_from_float": ("integer_wanted", ()),
    "float_type": ("number_wanted", ()),
    "finite_number": ("number_wanted", ()),
    "bool_type": ("bool_wanted", ()),
    "list_type": ("plain_list_wanted", ()),
    "dict_type": ("object_wanted", ()),
    "model_type": ("object_wanted", ()),
    "model_attributes_type": ("object_wanted", ()),
    "literal_error": ("choice_wanted", (("choices", "expected"),)),
    "union_tag_invalid": ("choice_wanted", (("choices", "expected_tags"),)),
    "union_tag_not_found": ("type_missing", ()),
    "greater_than_equal": ("at_least", ((LIMIT, "ge"),)),
    "greater_than": ("more_than", ((LIMIT, "gt"),)),
    "less_than_equal": ("at_most", ((LIMIT, "le"),)),
    "less_than": ("less_than", ((LIMIT, "lt"),)),
    "string_too_long": ("text_too_long", ((LIMIT, "max_length"),)),
    "string_too_short": ("text_empty", ()),
    "too_long": ("list_too_long", ((LIMIT, "max_length"),)),
    "too_short": ("list_empty", ()),
}
STATUS: dict[type[AppError], tuple[int, str, str | None]] = {
    UnknownModelError: (404, INVALID, "model_not_found"),
    PromptTooLongError: (400, INVALID, "context_length_exceeded"),
    TooBusyError: (429, "rate_limit_error", "too_busy"),
    ModelLoadError: (503, "server_error", "model_not_loaded"),
    WorkerDiedError: (503, "server_error", "embedder_restarting"),
    EngineDeadError: (503, "server_error", "engine_restarting"),
}


FIELD_NAMES = sorted(
    "messages model stream stream_options n max_tokens max_completion_tokens temperature top_p"
    " top_k min_p repeat_penalty presence_penalty frequency_penalty seed stop logit_bias grammar"
    " ignore_eos response_format logprobs top_logprobs reasoning_effort enable_thinking tools"
    " tool_choice parallel_tool_calls prompt echo suffix best_of input dimensions"
    " encoding_format".split()
)


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
    if isinstance(error, PromptTooLongError):
        param = "messages"
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


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with the body, with the name of its field."""
    assert isinstance(error, RequestValidationError)
    first = min(error.errors(), key=lambda entry: -len(_place(entry["loc"], error.body)))
    language = language_of(request)
    if first["type"] == "json_invalid":
        reason = str(first.get("ctx", {}).get("error", ""))[:MAX_SHOWN]
        message = text("serving.bad_json", language, reason=reason)
        return JSONResponse(error_body(message), 400)
    place = ".".join(_place(first["loc"], error.body))[:MAX_SHOWN]
    message = _sentence(first, place, language)
    return JSONResponse(error_body(message, param=place or None), 400)


def _place(location: tuple[Any, ...], body: Any) -> list[str]:
    """Where the fault lies in the body as it was sent, without the names of pydantic's types."""
    found: list[str] = []
    parts = [part for part in location if part != "body"]
    for number, part in enumerate(parts):
        if isinstance(body, dict) and part in body:
            body = body[part]
        elif isinstance(body, list) and isinstance(part, int) and part < len(body):
            body = body[part]
        elif number < len(parts) - 1 or not isinstance(body, dict):
            continue  # the name of a type among several
        found.append(str(part))
    return found


def _sentence(fault: Any, place: str, language: Language) -> str:
    kind, values = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(place, FIELD_NAMES, 1)
        key = "serving.unknown_field_close" if close else "serving.unknown_field"
        return text(key, language, parameter=place, close=close[0] if close else "")
    key, names = SENTENCES.get(kind, ("not_usable", ()))
    given = {name: str(values.get(pydantic, ""))[:MAX_SHOWN] for name, pydantic in names}
    if not place and kind in ("model_attributes_type", "dict_type", "model_type"):
        return text("serving.no_object", language)
    return text(f"serving.{key}", language, parameter=place or "body", **given)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    code = None
    if error.status_code in (404, 405):
        known = [route.path for route in request.app.routes if isinstance(route, APIRoute)]
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        close = difflib.get_close_matches(path, known, 1, 0.5)
        key = "wrong_method" if error.status_code == 405 else "no_such_path"
        key = key if close or error.status_code == 405 else "no_path"
        shown = {"path": path[:100], "close": f"/v1{close[0]}" if close else ""}
        message = text(f"serving.{key}", language_of(request), method=request.method, **shown)
        code = "unknown_url"
    return JSONResponse(error_body(message, code=code), error.status_code, error.headers)
