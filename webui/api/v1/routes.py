"""The /v1 application: its routes, its own error shape, its OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request, Response

from webui.api.v1.answering import Answering
from webui.api.v1.answers import Answers
from webui.api.v1.embedding import Embedding
from webui.api.v1.errors import add_error_handlers
from webui.api.v1.limits import BodyLimit, TokenBudget
from webui.api.v1.schemas import ChatRequest, CompletionRequest, EmbeddingRequest
from webui.api.v1.summaries import Summaries
from webui.api.v1.task_schemas import AnswersRequest, SummariesRequest
from webui.application import Application
from webui.engine.pool import EnginePool, LoadState
from webui.models import ModelSpec, UnknownModelError
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
    answering = Answering(application.completions, budget)
    embeddings = Embeddings(
        application.library.embedder, engines, application.settings.max_waiting_per_user
    )
    embedding = Embedding(embeddings, budget)

    @app.post("/chat/completions", responses=ERRORS)
    async def chat_completions(request: Request, body: ChatRequest) -> Response:
        return await answering.chat(request, body)

    @app.post("/completions", responses=ERRORS)
    async def completions(request: Request, body: CompletionRequest) -> Response:
        return await answering.complete(request, body)

    @app.post("/embeddings", responses=ERRORS)
    async def create_embeddings(request: Request, body: EmbeddingRequest) -> Response:
        return await embedding.embed(request, body)

    answers = Answers(application, budget)
    summaries = Summaries(application, budget)

    @app.post("/answers", responses=ERRORS)
    async def answer(request: Request, body: AnswersRequest) -> Response:
        return await answers.answer(request, body)

    @app.post("/summaries", responses=ERRORS)
    async def summarize(request: Request, body: SummariesRequest) -> Response:
        return await summaries.summarize(request, body)

    @app.get("/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": list(_models(engines, embeddings))}

    @app.get("/models/{model_id:path}", responses={404: ERRORS[404]})
    async def model(model_id: str) -> dict[str, Any]:
        for found in _models(engines, embeddings):
            if found["id"] == model_id:
                return found
        raise UnknownModelError("catalog.unknown_model", model_id=model_id[:200])

    app.add_middleware(BodyLimit)
    return app


def _models(engines: EnginePool, embeddings: Embeddings) -> Iterator[dict[str, Any]]:
    """What writes, then what makes embeddings of documents."""
    for spec in engines.models():
        yield _model(engines, spec)
    if embedder := embeddings.local():
        yield {
            "id": embedder.name,
            "object": "model",
            "created": 0,
            "owned_by": "kajogaki",
            "name": embedder.name,
            "kind": "embedding",
            "state": str(LoadState.READY if embedder.process.is_loaded else LoadState.UNLOADED),
        }


def _model(engines: EnginePool, spec: ModelSpec) -> dict[str, Any]:
    """OpenAI's object, with what we know besides."""
    state = engines.state(spec.id)
    engine = engines.loaded(spec.id)
    return {
        "id": spec.id,
        "object": "model",
        "created": 0,
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
