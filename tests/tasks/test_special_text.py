"""No family's marks reach a client, even when the model writes them out as plain text."""

import asyncio
import json
from pathlib import Path

import pytest

from webui.config import Settings
from webui.engine.options import ModelOptions
from webui.engine.pool import EnginePool
from webui.models import Catalog
from webui.prompts.families import builtin_families
from webui.tasks.complete import Ask, Completions, Piece

MESSAGES = ({"role": "user", "content": "こんにちは"},)


@pytest.mark.thorough
def test_what_ends_an_answer_is_never_part_of_it_in_any_family(
    standin: Path, tmp_path: Path
) -> None:
    """A grammar forces the real model to spell each stop, piece by piece, and to go on after it."""
    chosen = ["chatml"]

    async def test() -> int:
        settings = Settings(n_ctx=2048, n_slots=2)
        catalog = Catalog(tmp_path, standin.parent)
        pool = EnginePool(catalog, settings, lambda _: ModelOptions(family=chosen[0]))
        num_tried = 0
        try:
            for name, family in builtin_families().items():
                chosen[0] = name
                for stop in family.format.stops:
                    assert await forced(pool, f"はい{stop}いいえ") == "はい", (name, stop)
                    num_tried += 1
        finally:
            await pool.close()
        return num_tried

    assert asyncio.run(test()) > 30


async def forced(pool: EnginePool, text: str) -> str:
    """What a client sees of an answer that can only be `text`."""
    grammar = f"root ::= {json.dumps(text, ensure_ascii=False)}"
    # With logprobs every token is sampled, instead of coming all at once as forced text.
    ask = Ask(messages=MESSAGES, sampling={"grammar": grammar, "max_tokens": 200, "logprobs": 0})
    events = Completions(pool).run(ask)
    return "".join([event.text async for event in events if isinstance(event, Piece)])
