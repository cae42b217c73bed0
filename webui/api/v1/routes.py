"""The /v1 application: its routes, its own error shape, its OpenAPI document."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from webui.api.v1.answering import Answering
from webui.api.v1.answers import Answers
from webui.api.v1.embedding import Embedding
from webui.api.v1.errors import add_error_handlers
from webui.api.v1.limits import BodyLimit, RequestIds, TokenBudget
from webui.api.v1.response_schemas import (
    DetokenizeRequest,
    RerankRequest,
    ResponsesRequest,
    TokenizeRequest,
)
from webui.api.v1.responses import ResponseStore
from webui.api.v1.schemas import ChatRequest, CompletionRequest, EmbeddingRequest
from webui.api.v1.summaries import Summaries
from webui.api.v1.task_schemas import AnswersRequest, SummariesRequest
from webui.api.v1.words import Words
from webui.application import Application
from webui.credentials import max_waiting_of_one
from webui.engine.pool import EnginePool, LoadState
from webui.models import ModelSpec
from webui.tasks.embed import Embeddings

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": description}
    for status, description in (
        (400, "The request cannot be computed as it is; `message` says why."),
        (401, "The API key is missing or wrong."),
        (404, "There is no such model."),
        (413, "The body is too large."),
        (429, "Too many requests wait; see Retry-After."),
        (503, "The model cannot be loaded, or its process has just ended."),
    )
}


STARTED_AT = time.time()


def create_v1(application: Application) -> FastAPI:
    """To be mounted at /v1."""
    app = FastAPI(
        title="Kajogaki",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        separate_input_output_schemas=False,
    )
    add_error_handlers(app)
    engines = application.engines
    budget = TokenBudget(application.settings.tokens_per_minute)
    store = ResponseStore(application.settings.responses_kept)
    embeddings = Embeddings(
        application.library.embedder, engines, max_waiting_of_one(application.settings)
    )
    _add_answers(app, Answering(application.completions, budget, store))
    _add_words(app, Words(application.library, engines, budget), Embedding(embeddings, budget))
    _add_tasks(app, Answers(application, budget), Summaries(application, budget))
    _add_models(app, engines, embeddings)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestIds)
    return app


def _add_answers(app: FastAPI, answering: Answering) -> None:
    @app.post("/chat/completions", responses=ERRORS)
    async def chat_completions(request: Request, body: ChatRequest) -> Response:
        return await answering.chat(request, body)

    @app.post("/completions", responses=ERRORS)
    async def completions(request: Request, body: CompletionRequest) -> Response:
        return await answering.complete(request, body)

    @app.post("/responses", responses=ERRORS)
    async def responses(request: Request, body: ResponsesRequest) -> Response:
        return await answering.respond(request, body)

    @app.get("/responses/{response_id}", responses={400: ERRORS[400]})
    async def response(request: Request, response_id: str) -> dict[str, Any]:
        return answering.stored(request, response_id)

    @app.delete("/responses/{response_id}", responses={400: ERRORS[400]})
    async def forget_response(request: Request, response_id: str) -> dict[str, Any]:
        return answering.forget(request, response_id)


def _add_words(app: FastAPI, words: Words, embedding: Embedding) -> None:
    @app.post("/embeddings", responses=ERRORS)
    async def create_embeddings(request: Request, body: EmbeddingRequest) -> Response:
        return await embedding.embed(request, body)

    @app.post("/rerank", responses=ERRORS)
    async def rerank(request: Request, body: RerankRequest) -> dict[str, Any]:
        return await words.rerank(request, body)

    @app.post("/tokenize", responses=ERRORS)
    async def tokenize(request: Request, body: TokenizeRequest) -> dict[str, Any]:
        return await words.tokenize(request, body)

    @app.post("/detokenize", responses=ERRORS)
    async def detokenize(request: Request, body: DetokenizeRequest) -> dict[str, Any]:
        return await words.detokenize(request, body)


def _add_tasks(app: FastAPI, answers: Answers, summaries: Summaries) -> None:
    @app.post("/answers", responses=ERRORS)
    async def answer(request: Request, body: AnswersRequest) -> Response:
        return await answers.answer(request, body)

    @app.post("/summaries", responses=ERRORS)
    async def summarize(request: Request, body: SummariesRequest) -> Response:
        return await summaries.summarize(request, body)


def _add_models(app: FastAPI, engines: EnginePool, embeddings: Embeddings) -> None:
    @app.get("/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": list(_models(engines, embeddings))}

    @app.get("/models/{model_id:path}", responses={404: ERRORS[404]})
    async def model(model_id: str) -> dict[str, Any]:
        for found in _models(engines, embeddings):
            if found["id"] == model_id:
                return found
        return _model(engines, engines.catalog.get(model_id))


def _models(engines: EnginePool, embeddings: Embeddings) -> Iterator[dict[str, Any]]:
    """What writes, then what makes embeddings of documents."""
    for spec in engines.models():
        yield _model(engines, spec)
    if embedder := embeddings.local():
        yield {
            "id": embedder.name,
            "object": "model",
            "created": int(STARTED_AT),
            "owned_by": "kajogaki",
            "name": embedder.name,
            "kind": "embedding",
            "state": str(LoadState.READY if embedder.process.is_loaded else LoadState.UNLOADED),
        }


def _created(path: Path) -> int:
    """When the file was last changed; 0 when it is gone."""
    try:
        return int(path.stat().st_mtime)
    except OSError:
        return 0


def _model(engines: EnginePool, spec: ModelSpec) -> dict[str, Any]:
    """OpenAI's object, with what we know besides."""
    state = engines.state(spec.id)
    engine = engines.loaded(spec.id)
    return {
        "id": spec.id,
        "object": "model",
        "created": _created(spec.path),
        "owned_by": "kajogaki",
        "name": spec.name,
        "kind": "remote" if spec.remote else "text",
        "state": str(state.state),
        "load_fraction": round(state.fraction, 3),
        "n_ctx": engine.ready.n_ctx if engine and engine.ready else None,
        "n_ctx_train": spec.n_ctx_train,
        "n_params": spec.n_params,
        "size_bytes": spec.size_bytes,
        "quantization": spec.quantization,
        "problem": spec.problem,
    }
