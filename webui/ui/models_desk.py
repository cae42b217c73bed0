"""What the モデル view can do: downloads, loading, options, measuring, quantising. No Gradio here.

One desk for all readers: there is one engine, one folder, one disk. What runs long runs in a task
of its own; the view is asked for again while something moves.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from webui.application import Application
from webui.catalog import ModelEntry, ModelSpec
from webui.downloads import DownloadRequest, Downloads, RepositoryInfo
from webui.engine.memory import available_bytes, resident_bytes
from webui.engine.options import ModelOptions, OptionsMemory, options_of
from webui.engine.workshop import quantize
from webui.errors import AppError
from webui.gguf import GgufHeader, read_header
from webui.tasks.bench import BenchResults, measure

logger = logging.getLogger(__name__)


class BusyError(AppError):
    """Another measurement or quantisation runs; only one at a time, or both would measure wrong."""


@dataclass(slots=True)
class Job:
    """A measurement or a quantisation: running, or how it ended."""

    kind: str  # bench | quantize
    model_id: str
    name: str
    done: int = 0
    total: int = 0
    is_running: bool = True
    error: AppError | None = None


class ModelsDesk:
    def __init__(self, application: Application) -> None:
        self.application = application
        self.downloads = Downloads(application.catalog.models_dir)
        self.options = OptionsMemory(application.storage)
        self.results = BenchResults(application.storage)
        self.job: Job | None = None
        self.licenses: dict[str, RepositoryInfo] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._job_task: asyncio.Task[None] | None = None

    # --- downloads -------------------------------------------------------------------------------

    def download(self, entry_id: str, file: str) -> None:
        """Fetch one file of an entry. Raises AppError."""
        entry = self.application.catalog.entries().get(entry_id)
        for one in entry.files:
            if one.file == file:
                self.downloads.start(DownloadRequest(entry.repository, one.file, one.sha256))
                return
        raise AppError("models.no_such_file", name=entry.name, file=file, kinds="")

    def download_other(self, repository: str, file: str) -> None:
        """Fetch a file that no entry names. Raises AppError."""
        self.downloads.start(DownloadRequest(repository.strip(), file.strip()))

    def resume(self, name: str) -> None:
        self.downloads.resume(name)

    async def inspect(self, entry: ModelEntry) -> None:
        """Ask the hub for licence and sizes. Raises AppError."""
        info = await asyncio.to_thread(self.downloads.inspect, entry.repository)
        self.licenses[entry.id] = info

    # --- loading ---------------------------------------------------------------------------------

    def load(self, model_id: str) -> None:
        """Begin to load it; the pool's state tells how far it is. Raises AppError."""
        spec = self.application.engines.spec(model_id)
        if spec.error:
            raise spec.error
        self._begin(self._load(model_id))

    def unload(self, model_id: str) -> None:
        self._begin(self.application.engines.unload(model_id))

    def remember(self, model_id: str, values: Mapping[str, Any]) -> None:
        """Options for the next load; a loaded model is loaded again. Raises AppError."""
        options = options_of({name: value for name, value in values.items() if value is not None})
        self.application.catalog.get(model_id)
        self.options.remember(model_id, options)
        if self.application.engines.loaded(model_id):
            self._begin(self._reload(model_id))

    async def _load(self, model_id: str) -> None:
        async with self.application.engines.lease(model_id):
            pass

    async def _reload(self, model_id: str) -> None:
        await self.application.engines.unload(model_id)
        await self._load(model_id)

    # --- measuring and making --------------------------------------------------------------------

    def measure(self, model_id: str) -> None:
        """Raises AppError."""
        spec = self._usable(model_id)
        self._begin_job(Job("bench", spec.id, spec.name, total=3), self._measure(spec))

    def quantize(self, model_id: str, kind: str) -> None:
        """Raises AppError."""
        spec = self._usable(model_id)
        target = self.application.catalog.models_dir / f"{spec.stem}-{kind}.gguf"
        self._begin_job(Job("quantize", spec.id, target.name), self._quantize(spec, target, kind))

    def cancel_job(self) -> None:
        if self._job_task:
            self._job_task.cancel()

    async def _measure(self, spec: ModelSpec) -> None:
        job = self._running_job()
        async with self.application.engines.lease(spec.id) as engine:
            async with aclosing(measure(engine, spec)) as measured:
                async for row in measured:
                    self.results.add([row])
                    job.done += 1

    async def _quantize(self, spec: ModelSpec, target: Path, kind: str) -> None:
        job = self._running_job()
        async with aclosing(quantize(spec.path, target, kind)) as steps:
            async for step in steps:
                job.done, job.total = step.done, step.total

    def _usable(self, model_id: str) -> ModelSpec:
        spec = self.application.catalog.get(model_id)
        if spec.error:
            raise spec.error
        return spec

    def _running_job(self) -> Job:
        assert self.job is not None
        return self.job

    def _begin_job(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        if self.job and self.job.is_running:
            work.close()
            raise BusyError("models.busy", name=self.job.name)
        self.job = job
        self._job_task = self._begin(self._ended(job, work))

    async def _ended(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except AppError as error:
            job.error = error
        finally:
            job.is_running = False

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)  # asyncio itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)
        return task

    # --- facts -----------------------------------------------------------------------------------

    def memory_now(self, model_id: str) -> int:
        """Resident bytes of the loaded model, 0 when it is not."""
        engine = self.application.engines.loaded(model_id)
        return resident_bytes(engine.pid) if engine and engine.pid else 0

    def available(self) -> int:
        """Free memory, with that of the loaded models: they make room for another."""
        loaded = self.application.engines.loaded_ids()
        return available_bytes(freed=sum(self.memory_now(model_id) for model_id in loaded))

    def chosen(self, model_id: str) -> ModelOptions:
        return self.options.of(model_id)


def header_of(spec: ModelSpec) -> GgufHeader:
    """Its header, kept while the file is unchanged. Raises AppError, OSError."""
    status = spec.path.stat()
    return _header(spec.path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _header(path: Path, size: int, changed_at: int) -> GgufHeader:
    return read_header(path)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except AppError as error:  # a failed load is the model's state, and shown with it
        logger.info("%s", error)
    except Exception:
        logger.exception("a task of the models view failed")
