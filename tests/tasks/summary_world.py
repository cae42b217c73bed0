"""A summarizer on a real worker and a real database, for tests."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.places import BUILTIN_DIR
from webui.config import Settings
from webui.engine.pool import EnginePool
from webui.models import Catalog
from webui.storage import Storage
from webui.tasks.formats import Formats
from webui.tasks.summarize.planning import Plan
from webui.tasks.summarize.result import Summary
from webui.tasks.summarize.settings import SummarySettings
from webui.tasks.summarize.source import Source, pasted
from webui.tasks.summarize.summarizer import Planned, Summarizer, SummaryUpdate

ME = "local"
SENTENCES = (
    "第{n}章では、製品{n}の売上高が前年より{m}%増えたことを説明する。",
    "担当は第{n}営業部で、予算は{m}万円である。",
    "ただし、原材料の価格が上がったため、利益は{k}億円にとどまった。",
    "次の期限は{day}日で、詳しい計画は別の資料にまとめる。",
)


def document(num_paragraphs: int) -> str:
    """A text of headings and paragraphs in which every sentence is different."""
    parts = []
    for n in range(1, num_paragraphs + 1):
        parts.append(f"第{n}章 製品{n}の報告")
        values = {"n": n, "m": n * 3 + 1, "k": n * 7, "day": n % 28 + 1}
        parts.append("".join(sentence.format(**values) for sentence in SENTENCES))
    return "\n\n".join(parts)


def covers(plan: Plan, source: Source) -> bool:
    """Nothing is cut: between and around what is read there is only white space."""
    borders = [(0, 0), *((s.start, s.end) for s in plan.sections), (len(source.text),) * 2]
    return not any(source.text[before[1] : after[0]].strip() for before, after in pairwise(borders))


@dataclass(slots=True)
class World:
    storage: Storage
    pool: EnginePool
    summarizer: Summarizer

    async def plan(self, source: Source, **settings: Any) -> Planned:
        plans = self.summarizer.plan(ME, source, SummarySettings.parse(settings))
        async with aclosing(plans) as events:
            async for event in events:
                if isinstance(event, Planned):
                    return event
        raise AssertionError("no plan")

    async def updates(self, source: Source, **settings: Any) -> list[SummaryUpdate]:
        run = self.summarizer.run(ME, source, SummarySettings.parse(settings))
        return [update async for update in run]

    async def summarize(self, text: str, **settings: Any) -> Summary:
        last = (await self.updates(pasted(text), **settings))[-1]
        assert last.result is not None, last.error
        return last.result


def in_world(
    models: Path, data: Path, test: Callable[[World], Awaitable[None]], **settings: Any
) -> None:
    """`models`: the built-in folder, or one with the model to use. `data` keeps its database."""

    async def run() -> None:
        empty = data / "none"
        empty.mkdir(parents=True, exist_ok=True)
        models_dir = empty if models == BUILTIN_DIR else models
        chosen = replace(Settings(n_ctx=4096), models_dir=models_dir, **settings)
        storage = Storage(data / "kajogaki.db")
        pool = EnginePool(Catalog(models_dir, BUILTIN_DIR), chosen)
        try:
            await test(World(storage, pool, Summarizer(storage, pool, Formats(storage))))
        finally:
            await pool.close()
            storage.close()

    asyncio.run(run())
