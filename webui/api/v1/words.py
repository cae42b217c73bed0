"""POST /rerank, /tokenize and /detokenize: what a model's parts can do by themselves."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import Request

from webui.api.auth import owner_of
from webui.api.v1.limits import TokenBudget
from webui.api.v1.response_schemas import DetokenizeRequest, RerankRequest, TokenizeRequest
from webui.documents.library import Library
from webui.engine.pool import EnginePool
from webui.prompts import RenderedPrompt
from webui.tasks.pieces import BadAskError

Object = dict[str, Any]
MAX_CHARS = 2_000_000  # of one rerank's texts


class Words:
    def __init__(self, library: Library, engines: EnginePool, budget: TokenBudget) -> None:
        self._library = library
        self._engines = engines
        self._budget = budget
        self._turn = asyncio.Semaphore(1)

    async def rerank(self, request: Request, body: RerankRequest) -> Object:
        """By the reranker; where there is none, by nearness to the query. Raises AppError."""
        self._budget.check(owner_of(request))
        texts = body.texts()
        if sum(map(len, texts)) > MAX_CHARS:
            raise BadAskError("serving.texts_too_long", "documents", limit=MAX_CHARS)
        async with self._turn:
            name, scores = await asyncio.to_thread(self._scores, body.query, tuple(texts))
        ranked = sorted(enumerate(scores), key=lambda entry: (-entry[1], entry[0]))
        results: list[Object] = [
            {"index": index, "relevance_score": score} for index, score in ranked[: body.top_n]
        ]
        if body.return_documents:
            results = [one | {"document": {"text": texts[one["index"]]}} for one in results]
        num_tokens = sum(len(text) for text in texts) // 3
        self._budget.spend(owner_of(request), num_tokens)
        return {
            "object": "list",
            "model": name,
            "results": results,
            "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens},
        }

    async def tokenize(self, request: Request, body: TokenizeRequest) -> Object:
        """Raises AppError."""
        given = [text for text in (body.content, body.prompt, body.text) if text is not None]
        if len(given) != 1:
            raise BadAskError("serving.one_of", "content", other="prompt")
        is_special = body.add_special_tokens if body.add_special_tokens is not None else None
        with_bos = body.add_special if is_special is None else is_special
        async with self._engines.lease(body.model, owner_of(request)) as engine:
            tokenizer, ready = engine.tokenizer, engine.ready
            assert tokenizer is not None and ready is not None
            if with_bos:
                ids = await asyncio.to_thread(tokenizer.encode, RenderedPrompt(given[0], ()))
            else:
                ids = await asyncio.to_thread(tokenizer.encode_continuation, given[0])
            made: Object = {"tokens": ids, "count": len(ids), "max_model_len": ready.n_ctx}
            pieces = [tokenizer.bytes_of(token_id).decode("utf-8", "replace") for token_id in ids]
        if body.with_pieces:
            made["tokens"] = [
                {"id": token_id, "piece": piece}
                for token_id, piece in zip(ids, pieces, strict=True)
            ]
        if body.return_token_strs:
            made["token_strs"] = pieces
        return made

    async def detokenize(self, request: Request, body: DetokenizeRequest) -> Object:
        """Raises AppError."""
        async with self._engines.lease(body.model, owner_of(request)) as engine:
            tokenizer = engine.tokenizer
            assert tokenizer is not None
            if any(token_id >= tokenizer.n_vocab for token_id in body.tokens):
                raise BadAskError("serving.no_such_token", "tokens", limit=tokenizer.n_vocab)
            text = await asyncio.to_thread(tokenizer.text_of, body.tokens)
        return {"content": text, "prompt": text}

    def _scores(self, query: str, texts: tuple[str, ...]) -> tuple[str, list[float]]:
        """In a thread. Raises AppError."""
        local = self._library.embedder()
        if local is None:
            raise BadAskError("serving.no_reranker", "model")
        reranker: Path | None = self._library.reranker()
        if reranker is not None:
            return reranker.name, list(local.process.rerank(reranker, query, texts))
        asked = np.frombuffer(local.process.embed((query,), is_query=True), "<f4")
        data = local.process.embed(texts, is_query=False)
        vectors = np.frombuffer(data, "<f4").reshape(len(texts), -1)
        return local.name, [float(score) for score in vectors @ asked]
