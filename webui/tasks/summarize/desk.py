"""SummaryDesk: what each reader has on the table: texts, a plan, a run that goes on by itself.

A run belongs to the server, not to a browser tab: closing the page does not stop it. Used from
one event loop. Knows nothing about pages or HTTP.
"""

import asyncio
import contextlib
import logging
import secrets
import tempfile
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from webui.documents.process import DocumentReader
from webui.errors import AppError
from webui.storage import Status, Storage, SummaryRecord
from webui.strings import Language, text
from webui.tasks.summarize.reading import read_source
from webui.tasks.summarize.result import Summary, summary_from
from webui.tasks.summarize.settings import SummarySettings
from webui.tasks.summarize.source import EmptySourceError, Source, pasted, source_from
from webui.tasks.summarize.summarizer import Planned, Summarizer, SummaryUpdate

MAX_SOURCES = 20  # of one reader
MAX_DESKS = 200

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Desk:
    """One reader's table."""

    sources: dict[str, Source] = field(default_factory=dict)  # by token
    plans: list[Planned] = field(default_factory=list)
    planned_for: SummarySettings | None = None
    is_planning: bool = False
    update: SummaryUpdate | None = None
    position: int = 0  # of the source that is being summarised
    num_sources: int = 0
    finished: list[str] = field(default_factory=list)  # ids, in order
    error: str = ""
    task: "asyncio.Task[None] | None" = None

    @property
    def is_running(self) -> bool:
        return self.task is not None and not self.task.done()


class SummaryDesk:
    def __init__(self, storage: Storage, summarizer: Summarizer, reader: DocumentReader) -> None:
        self._storage = storage
        self._summarizer = summarizer
        self._desks: dict[str, Desk] = {}
        self._reader = reader

    def of(self, owner: str) -> Desk:
        desk = self._desks.setdefault(owner, Desk())
        idle = [name for name, other in self._desks.items() if not other.is_running]
        for name in idle[: len(self._desks) - MAX_DESKS]:
            if name != owner:
                del self._desks[name]
        return desk

    async def close(self) -> None:
        for desk in self._desks.values():
            await self._stop(desk)

    # --- texts -----------------------------------------------------------------------------------

    async def add_file(self, owner: str, name: str, data: bytes, password: str = "") -> str:
        """Read an uploaded file; its token. Raises DocumentError, EmptySourceError."""
        source = await asyncio.to_thread(self._read, name, data, password)
        return self._add(owner, source)

    def remove(self, owner: str, token: str) -> None:
        desk = self.of(owner)
        desk.sources.pop(token, None)
        desk.plans = []

    async def plan(
        self, owner: str, pasted_text: str, settings: SummarySettings, model: str
    ) -> None:
        """Plans for the pasted text, or for the files. Raises AppError."""
        desk = self.of(owner)
        desk.error, desk.update, desk.plans = "", None, []
        desk.is_planning = True
        try:
            if pasted_text.strip():
                source = await asyncio.to_thread(pasted, pasted_text)
                desk.sources = {key: s for key, s in desk.sources.items() if s.file_name}
                self._add(owner, source)
            if not desk.sources:
                raise EmptySourceError("summary.empty")
            desk.plans = [
                await self._planned(owner, source, settings, model)
                for source in desk.sources.values()
            ]
            desk.planned_for = settings
        finally:
            desk.is_planning = False

    # --- runs ------------------------------------------------------------------------------------

    def start(self, owner: str, settings: SummarySettings, model: str, language: Language) -> None:
        """Summarise everything on the table, one after the other. Nothing while one runs."""
        desk = self.of(owner)
        if desk.is_running or not desk.sources:
            return
        sources = list(desk.sources.values())
        desk.error, desk.update, desk.finished, desk.plans = "", None, [], []
        desk.num_sources = len(sources)
        work = self._run(desk, owner, sources, settings, model, language)
        desk.task = asyncio.create_task(work)

    def resume(self, owner: str, summary_id: str, language: Language) -> None:
        """Go on with an unfinished one of the history. Raises NotFoundError."""
        record = self._storage.summaries.get(owner, summary_id)
        desk = self.of(owner)
        if desk.is_running:
            return
        source = source_from(self._storage.summaries.source(owner, summary_id))
        desk.sources = {secrets.token_hex(8): source}
        self.start(owner, SummarySettings.parse(record.settings), record.model_id, language)

    async def cancel(self, owner: str) -> None:
        """Finished parts stay."""
        await self._stop(self.of(owner))

    def clear(self, owner: str) -> None:
        """An empty table, unless something runs."""
        if not self.of(owner).is_running:
            self._desks[owner] = Desk()

    # --- results ---------------------------------------------------------------------------------

    def result(self, owner: str, summary_id: str) -> tuple[Summary, Source]:
        """Raises NotFoundError, also while it is not complete."""
        record = self._storage.summaries.get(owner, summary_id)
        if record.status is not Status.COMPLETE:
            raise AppError("summary.not_complete")
        source = source_from(self._storage.summaries.source(owner, summary_id))
        return summary_from(record.result), source

    def history(self, owner: str) -> list[SummaryRecord]:
        return self._storage.summaries.newest(owner)

    def delete(self, owner: str, summary_id: str) -> None:
        """Raises NotFoundError."""
        self._storage.summaries.delete(owner, summary_id)

    # --- inside ----------------------------------------------------------------------------------

    def _add(self, owner: str, source: Source) -> str:
        desk = self.of(owner)
        if len(desk.sources) >= MAX_SOURCES:
            raise AppError("summary.too_many_files", limit=MAX_SOURCES)
        token = secrets.token_hex(8)
        desk.sources[token] = source
        desk.plans = []
        return token

    def _read(self, name: str, data: bytes, password: str) -> Source:
        with tempfile.TemporaryDirectory(prefix="kajogaki-") as folder:
            path = Path(folder) / "upload"
            path.write_bytes(data)
            return read_source(self._reader, path, name, password=password)

    async def _planned(
        self, owner: str, source: Source, settings: SummarySettings, model: str
    ) -> Planned:
        async with aclosing(self._summarizer.plan(owner, source, settings, model)) as events:
            async for event in events:
                if isinstance(event, Planned):
                    return event
        raise EmptySourceError("summary.empty")

    async def _run(
        self,
        desk: Desk,
        owner: str,
        sources: list[Source],
        settings: SummarySettings,
        model: str,
        language: Language,
    ) -> None:
        try:
            for desk.position, source in enumerate(sources):
                updates = self._summarizer.run(
                    owner, source, settings, model_id=model, language=language
                )
                async with aclosing(updates):
                    async for update in updates:
                        desk.update = update
                if desk.update and desk.update.error:
                    desk.error = desk.update.error
                elif desk.update:
                    desk.finished.append(desk.update.summary_id)
            desk.sources = {} if desk.finished else desk.sources
        except AppError as error:
            desk.error = error.message(language)
        except Exception:
            log.exception("a summary failed")
            desk.error = text("ui.unexpected", language)

    async def _stop(self, desk: Desk) -> None:
        if desk.task is not None:
            desk.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await desk.task
