"""A 40-section document: our map-reduce against the same calls one after another.

    python -m tests.bench.summarize [--sections 40] [--rounds 2] [--plain] [--small]

Both sides read the same prompts and write under the same grammar, greedily, with the same model and
threads; the other side is llama-cpp-python's high-level API with its own prefix reuse. In turns,
`rounds` times a part of the sections each. `--plain`: without a grammar, `--tokens` for each.
Prints one JSON line last. Random weights of a 0.5B shape: only the time counts. Reading is bound by
the processor, so only writing gains from doing several sections at once: the ratio falls as
sections get longer.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import llama_cpp

from tests.bench.engine import MODEL, make_model
from tests.makegguf import random_llama
from tests.places import BUILTIN_DIR
from tests.tasks.summary_world import document
from webui.config import Settings
from webui.engine.client import Engine
from webui.engine.pool import EnginePool
from webui.engine.request import SamplingParams
from webui.models import Catalog
from webui.storage import Storage
from webui.tasks.formats import Formats
from webui.tasks.summarize.grammar import bullet_grammar
from webui.tasks.summarize.planning import MAX_PARALLEL
from webui.tasks.summarize.prompting import Prompting
from webui.tasks.summarize.settings import SummarySettings, limits_of
from webui.tasks.summarize.source import pasted
from webui.tasks.summarize.spans import spans_of

N_CTX = 8192
Ids = tuple[int, ...]
SMALL = {"n_vocab": 8000, "n_embd": 256, "n_layer": 6, "n_head": 4, "n_head_kv": 2, "n_ff": 768}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sections", type=int, default=40)
    parser.add_argument("--section-tokens", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=180, help="most that a call writes")
    parser.add_argument("--plain", action="store_true", help="without a grammar")
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
        print(json.dumps(asyncio.run(_compare(path, options)), ensure_ascii=False))


async def _compare(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    settings = replace(
        Settings(n_ctx=N_CTX, n_threads=options.threads, model=path.stem), models_dir=path.parent
    )
    storage = Storage(path.parent / "kajogaki.db")
    pool = EnginePool(Catalog(path.parent, BUILTIN_DIR), settings)
    wanted = SummarySettings.parse({"num_bullets": 5})
    grammar = "" if options.plain else bullet_grammar(limits_of(wanted))
    try:
        spec = pool.spec(path.stem)
        async with pool.lease(spec.id) as engine:
            assert engine.tokenizer is not None
            prompting = Prompting(
                engine.tokenizer, Formats().choice(spec, engine.tokenizer), wanted
            )
            prompts = _prompts(prompting, options.sections, options.section_tokens)
            theirs = llama_cpp.Llama(
                str(path), n_ctx=N_CTX, n_threads=options.threads, n_batch=512, verbose=False
            )
            rounds = []
            for part in range(options.rounds):
                ids = prompts[part :: options.rounds]
                ours = await _ours(engine, ids, grammar, options)
                rounds.append((ours, _theirs(theirs, ids, grammar, options)))
                print(rounds[-1], file=sys.stderr, flush=True)
    finally:
        await pool.close()
        storage.close()
    ours_s = sum(ours.seconds for ours, _ in rounds)
    theirs_s = sum(theirs.seconds for _, theirs in rounds)
    return {
        "sections": len(prompts),
        "parallel": MAX_PARALLEL,
        "prompt_tokens": sum(map(len, prompts)),
        "cached_tokens": sum(ours.num_cached for ours, _ in rounds),
        "ours_tokens": sum(ours.num_written for ours, _ in rounds),
        "theirs_tokens": sum(theirs.num_written for _, theirs in rounds),
        "ours_s": round(ours_s, 2),
        "theirs_s": round(theirs_s, 2),
        "ratios": [round(theirs.seconds / ours.seconds, 2) for ours, theirs in rounds],
        "ratio": round(theirs_s / ours_s, 2),
        "wanted": ">= 1.6",
    }


@dataclass(slots=True)
class Work:
    seconds: float = 0.0
    num_written: int = 0
    num_cached: int = 0


async def _ours(
    engine: Engine, prompts: Sequence[Ids], grammar: str, options: argparse.Namespace
) -> Work:
    """As many calls at a time as a summary makes."""
    sampling = SamplingParams(
        max_tokens=options.tokens, temperature=0, ignore_eos=not grammar, top_k=0, grammar=grammar
    )
    turns = asyncio.Semaphore(MAX_PARALLEL)
    work = Work()

    async def call(ids: Ids) -> None:
        async with (
            turns,
            aclosing(engine.generate(ids, sampling, is_background=True)) as events,
        ):
            async for event in events:
                if usage := getattr(event, "usage", None):
                    work.num_cached += usage.cached_tokens
                    work.num_written += usage.completion_tokens

    began_at = time.perf_counter()
    await asyncio.gather(*map(call, prompts))
    work.seconds = time.perf_counter() - began_at
    return work


def _theirs(
    model: llama_cpp.Llama, prompts: Sequence[Ids], grammar: str, options: argparse.Namespace
) -> Work:
    """One call after another through llama_cpp.Llama."""
    work = Work()
    began_at = time.perf_counter()
    for ids in prompts:
        rules = llama_cpp.LlamaGrammar.from_string(grammar, verbose=False) if grammar else None
        done: Any = model.create_completion(
            list(ids), max_tokens=options.tokens, temperature=0, top_k=0, grammar=rules
        )
        work.num_written += done["usage"]["completion_tokens"]
    work.seconds = time.perf_counter() - began_at
    return work


def _prompts(prompting: Prompting, count: int, num_tokens: int) -> list[Ids]:
    """`count` Spans of about so many tokens."""
    source = pasted(document(count * max(2, num_tokens // 50)))
    tops = spans_of(source, 1, num_tokens, 12, prompting.count)
    spans = [span for top in tops for span in top.tree() if not span.children][:count]
    assert len(spans) == count
    return [
        prompting.bullet(source.text[span.start : span.end], span.title, "")[0] for span in spans
    ]


if __name__ == "__main__":
    main()
