"""POST /embeddings: from a checked body to OpenAI's object."""

import asyncio
import base64
import json
from typing import Any

import numpy as np
from fastapi import Request, Response

from webui.api.auth import owner_of
from webui.api.v1.limits import TokenBudget
from webui.api.v1.schemas import EmbeddingRequest
from webui.api.v1.sse import CLIENT_GONE, while_connected
from webui.tasks.embed import EmbedAsk, Embedded, Embeddings, Input


class Embedding:
    def __init__(self, embeddings: Embeddings, budget: TokenBudget) -> None:
        self._embeddings = embeddings
        self._budget = budget

    async def embed(self, request: Request, body: EmbeddingRequest) -> Response:
        """Raises AppError."""
        owner = owner_of(request)
        self._budget.check(owner)
        ask = EmbedAsk(
            inputs_of(body.input), body.model, owner, body.dimensions or 0, body.input_type or ""
        )
        made = await while_connected(request, self._embeddings.run(ask))
        if made is None:
            return Response(status_code=CLIENT_GONE)
        self._budget.spend(owner, made.num_tokens)
        content = await asyncio.to_thread(_written, made, body.encoding_format == "base64")
        return Response(content, media_type="application/json")


def inputs_of(given: str | list[int] | list[str] | list[list[int]]) -> tuple[Input, ...]:
    """A text, token ids, or a list of either, as a tuple of inputs."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given[0], int):
        return (tuple(item for item in given if isinstance(item, int)),)
    return tuple(row if isinstance(row, str) else tuple(row) for row in given)


def _written(made: Embedded, as_base64: bool) -> bytes:
    """In a thread: two thousand vectors are twenty megabytes of JSON."""
    usage = {"prompt_tokens": made.num_tokens, "total_tokens": made.num_tokens}
    data = [
        {"object": "embedding", "index": index, "embedding": _shown(vector, as_base64)}
        for index, vector in enumerate(made.vectors)
    ]
    whole = {"object": "list", "data": data, "model": made.model_id, "usage": usage}
    return json.dumps(whole, separators=(",", ":")).encode()


def _shown(vector: np.ndarray, as_base64: bool) -> Any:
    values = vector.astype("<f4")
    return base64.b64encode(values.tobytes()).decode("ascii") if as_base64 else values.tolist()
