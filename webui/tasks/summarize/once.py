"""A summary of which nothing is kept: for programs, which keep what they want themselves."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from webui.engine.pool import EnginePool
from webui.storage import Storage
from webui.tasks.formats import Formats
from webui.tasks.meaning import FindEmbedder
from webui.tasks.summarize.settings import SummarySettings
from webui.tasks.summarize.source import Source
from webui.tasks.summarize.summarizer import RATES_SETTING, RunState, Summarizer, SummaryUpdate


async def summarize_once(
    storage: Storage,
    pool: EnginePool,
    formats: Formats,
    owner: str,
    source: Source,
    settings: SummarySettings,
    model_id: str,
    find_embedder: FindEmbedder,
) -> AsyncGenerator[SummaryUpdate, None]:
    """As Summarizer.run, but errors are raised. `storage` only learns how fast the model is."""
    with tempfile.TemporaryDirectory(prefix="kajogaki-") as folder:
        temporary = await asyncio.to_thread(Storage, Path(folder) / "summary.db")
        try:
            rates = RATES_SETTING + model_id
            temporary.set_setting(owner, rates, storage.setting(owner, rates))
            summarizer = Summarizer(temporary, pool, formats, find_embedder)
            run = summarizer.run(owner, source, settings, model_id=model_id)
            async with aclosing(run) as updates:
                async for update in updates:
                    if update.failure is not None:
                        raise update.failure
                    yield update
                    if update.state is RunState.DONE:
                        storage.set_setting(owner, rates, temporary.setting(owner, rates))
        finally:
            temporary.close()
