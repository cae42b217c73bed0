"""What the page's routes answer when something is wrong: {"error": one sentence}, for our scripts.

Knows nothing about what the routes do. `/v1` has its own, in OpenAI's shape.
"""

import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from webui.errors import AppError
from webui.jobs import JobRunsError, NoSuchJobError
from webui.storage import NotFoundError
from webui.strings import text
from webui.ui.language import language_of


def answer_errors(web: FastAPI) -> None:
    """Let every route of `web` raise AppErrors."""

    @web.exception_handler(AppError)
    async def app_error(request: Request, error: AppError) -> Response:
        return json_response({"error": error.message(language_of(request.cookies))}, _status(error))

    @web.exception_handler(RequestValidationError)
    async def bad_request(request: Request, _: RequestValidationError) -> Response:
        return json_response({"error": text("ui.bad_request", language_of(request.cookies))}, 422)


def json_response(content: dict[str, Any], status: int = 200) -> Response:
    """Not to be kept: it is the reader's own."""
    body = json.dumps(content, ensure_ascii=False)
    headers = {"Cache-Control": "no-store"}
    return Response(body, status, headers, media_type="application/json")


def _status(error: AppError) -> int:
    if isinstance(error, NotFoundError | NoSuchJobError):
        return 404
    return 409 if isinstance(error, JobRunsError) else 422
