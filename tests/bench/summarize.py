"""A 40-section document: our map-reduce against the same calls one after another.

    python -m tests.bench.summarize [--sections 40] [--section-tokens 150] [--threads 2] [--small]

Both sides read the same prompts and write the same number of tokens with the same model and
threads; the other side is llama-cpp-python's high-level API with its own prefix reuse. Prints one
JSON line last. Random weights of a 0.5B shape: only the time counts. Reading is bound by the
processor, so only writing gains from doing several sections at once: the ratio falls as sections
get longer.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as our workers have it: both sides alike

import llama_cpp

from tests.bench.engine import MODEL, make_model
from tests.makegguf import random_llama
from tests.places import BUILTIN_DIR
from tests.tasks.summary_world import document
from webui.catalog import Catalog
from webui.config import Settings
from webui.engine.pool import EnginePool
from webui.engine.request import SamplingParams
from webui.storage import Storage
from webui.tasks.formats import Formats
from webui.tasks.summarize.planning import MAX_PARALLEL
from webui.tasks.summarize.prompting import Prompting
from webui.tasks.summarize.sections import sections_of
from webui.tasks.summarize.settings import SummarySettings
from webui.tasks.summarize.source import pasted

N_CTX = 8192
SMALL = {"n_vocab": 8000, "n_embd": 256, "n_layer": 6, "n_head": 4, "n_head_kv": 2, "n_ff": 768}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sections", type=int, default=40)
    parser.add_argument("--section-tokens", type=int, default=150)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=180, help="written in each call")
    parser.add_argument("--small", action="store_true", help="a small model, to try the bench")
    options = parser.parse_args()
    assert "OMP_THREAD_LIMIT" not in os.environ, "one thread, whatever --threads says"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.gguf"
        if options.small:
            random_llama(path, **SMALL)
        else:
            make_model(MODEL)
            path.symlink_to(MODEL)
        ours = asyncio.run(_ours(path, options))
        prompts = ours.pop("prompts")
        print(json.dumps(ours), file=sys.stderr, flush=True)
        theirs_s = _theirs(path, prompts, options)
    ours["theirs_s"] = round(theirs_s, 2)
    ours["ratio"] = round(theirs_s / ours["ours_s"], 2)
    print(json.dumps(ours, ensure_ascii=False))


async def _ours(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    settings = replace(
        Settings(n_ctx=N_CTX, n_threads=options.threads, model=path.stem), models_dir=path.parent
    )
    storage = Storage(path.parent / "kajogaki.db")
    pool = EnginePool(Catalog(path.parent, BUILTIN_DIR), settings)
    wanted = SummarySettings.parse({"num_bullets": 5})
    try:
        spec = pool.spec(path.stem)
        async with pool.lease(spec.id) as engine:
            assert engine.tokenizer is not None
            choice = Formats().choice(spec, engine.tokenizer)
            prompting = Prompting(engine.tokenizer, choice, wanted)
            prompts = _prompts(prompting, options.sections, options.section_tokens)
            sampling = SamplingParams(
                max_tokens=options.tokens, temperature=0, ignore_eos=True, top_k=0
            )
            turns = asyncio.Semaphore(MAX_PARALLEL)
            cached = 0

            async def call(ids: tuple[int, ...]) -> None:
                nonlocal cached
                async with turns, aclosing(engine.generate(ids, sampling)) as events:
                    async for event in events:
                        if usage := getattr(event, "usage", None):
                            cached += usage.cached_tokens

            began_at = time.perf_counter()
            await asyncio.gather(*map(call, prompts))
            ours_s = time.perf_counter() - began_at
    finally:
        await pool.close()
        storage.close()
    return {
        "sections": len(prompts),
        "parallel": MAX_PARALLEL,
        "prompt_tokens": sum(map(len, prompts)),
        "cached_tokens": cached,
        "tokens_per_call": options.tokens,
        "ours_s": round(ours_s, 2),
        "prompts": prompts,
    }


def _prompts(prompting: Prompting, count: int, num_tokens: int) -> list[tuple[int, ...]]:
    """`count` sections of about so many tokens, one bullet each."""
    source = pasted(document(count * max(2, num_tokens // 50)))
    sections = sections_of(source, num_tokens, prompting.count)[:count]
    assert len(sections) == count
    return [
        prompting.section(source.text[section.start : section.end], section.title, 1)[0]
        for section in sections
    ]


def _theirs(path: Path, prompts: list[tuple[int, ...]], options: argparse.Namespace) -> float:
    """One call after another through llama_cpp.Llama."""
    model = llama_cpp.Llama(
        str(path), n_ctx=N_CTX, n_threads=options.threads, n_batch=512, verbose=False
    )
    began_at = time.perf_counter()
    for ids in prompts:
        for number, _ in enumerate(model.generate(list(ids), temp=0, top_k=0), 1):
            if number == options.tokens:
                break
    return time.perf_counter() - began_at


if __name__ == "__main__":
    main()
