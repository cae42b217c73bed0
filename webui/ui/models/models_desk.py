"""What the モデル view can do: downloads, loading, options, measuring, making. No Gradio here.

One desk for all readers: there is one engine, one folder, one disk. What runs long runs in a task
of its own; the view is asked for again while something moves.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from webui.application import Application
from webui.config import Settings
from webui.credentials import login_needed
from webui.engine.memory import available_bytes, resident_bytes
from webui.engine.options import ModelOptions, OptionsMemory, options_of
from webui.errors import AppError
from webui.models import ModelEntry, ModelSpec
from webui.models.downloads import DownloadRequest, Downloads, FolderRequest, RepositoryInfo
from webui.models.gguf import GgufHeader, read_header
from webui.workshop.bench import STREAMS, BenchResults, measure
from webui.workshop.convert import convert
from webui.workshop.perplexity import BUILTIN_TEXT, PerplexityResults, measure_perplexity
from webui.workshop.report import ReportRow, report
from webui.workshop.workshop import Step, quantize

logger = logging.getLogger(__name__)


MAX_TEXT = 300_000  # characters of a text to foretell; more is not read
STEPS = 100  # of one measurement, for the bar


class BusyError(AppError):
    """Something that takes all cores runs; only one at a time, or both would be measured wrong."""


@dataclass(slots=True)
class Job:
    """Something that takes long: running, or how it ended."""

    kind: str  # bench | compare | quantize | convert
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
        self.perplexities = PerplexityResults(application.storage)
        self.job: Job | None = None
        self.licenses: dict[str, RepositoryInfo] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._job_task: asyncio.Task[None] | None = None

    # --- downloads -------------------------------------------------------------------------------

    def download(self, entry_id: str, file: str) -> None:
        """Fetch one file of an entry, or all of a model of several. Raises AppError."""
        entry = self.application.catalog.entries().get(entry_id)
        if not entry.files:
            self.downloads.start(FolderRequest(entry.repository, entry.id))
            return
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
        """Its speed. Raises AppError."""
        spec = self._usable(model_id)
        self._begin_job(Job("bench", spec.id, spec.name, total=STEPS), self._measure(spec, 0))

    def compare(self, model_ids: Sequence[str], text: str | None) -> None:
        """The speed and perplexity of several in one run; "" = on our text, None = only speed.

        Raises AppError.
        """
        specs = [self._usable(model_id) for model_id in dict.fromkeys(model_ids)]
        if not specs:
            raise AppError("models.nothing_chosen")
        names = "、".join(spec.name for spec in specs)
        total = STEPS * len(specs) * (1 if text is None else 2)
        self._begin_job(Job("compare", specs[0].id, names, total=total), self._compare(specs, text))

    def quantize(self, model_id: str, kind: str) -> None:
        """Raises AppError."""
        spec = self._usable(model_id)
        target = self.application.catalog.models_dir / f"{spec.stem}-{kind}.gguf"
        work = self._made(quantize(spec.path, target, kind))
        self._begin_job(Job("quantize", spec.id, target.name), work)

    def convert(self, folder: str, kind: str) -> None:
        """A local Hugging Face folder, where the page may look, into a GGUF. Raises AppError."""
        source = allowed_folder(folder.strip(), self.application.settings)
        target = self.application.catalog.models_dir / f"{source.name}-{kind}.gguf"
        work = self._made(convert(source, target, kind))
        self._begin_job(Job("convert", "", target.name), work)

    def report(self) -> list[ReportRow]:
        """All that was measured."""
        return report(self.results.rows(), self.perplexities.rows(), self.perplexities.ratios())

    def clear_results(self) -> None:
        self.results.clear()
        self.perplexities.clear()

    def cancel_job(self) -> None:
        if self._job_task:
            self._job_task.cancel()

    async def _measure(self, spec: ModelSpec, done_before: int) -> None:
        job = self._running_job()
        async with self.application.engines.lease(spec.id) as engine:
            async with aclosing(measure(engine, spec)) as measured:
                async for row in measured:
                    self.results.add([row])
                    job.done = done_before + STEPS * (STREAMS.index(row.num_streams) + 1) // 3
        job.done = done_before + STEPS

    async def _compare(self, specs: Sequence[ModelSpec], text: str | None) -> None:
        """A model that fails does not keep the others from being measured."""
        job, failed = self._running_job(), list[AppError]()
        for number, spec in enumerate(specs):
            before = job.total * number // len(specs)
            was_loaded = self.application.engines.loaded(spec.id) is not None
            try:
                await self._measure(spec, before)
                if not was_loaded:  # room for the next
                    await self.application.engines.unload(spec.id)
                if text is not None:
                    await self._foretell(spec, text, before + STEPS)
            except AppError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    async def _foretell(self, spec: ModelSpec, text: str, done_before: int) -> None:
        job = self._running_job()
        own = self.application.settings.data_dir / "bench-text.txt"
        if text:
            await asyncio.to_thread(own.write_text, text[:MAX_TEXT], encoding="utf-8")
        file, name = (own, "own") if text else (BUILTIN_TEXT, "")
        try:
            steps = measure_perplexity(spec, file, name, self.perplexities)
            async with aclosing(steps):
                async for step in steps:
                    job.done = done_before + STEPS * step.done // step.total
        finally:
            own.unlink(missing_ok=True)

    async def _made(self, steps: AsyncGenerator[Step, None]) -> None:
        job = self._running_job()
        async with aclosing(steps):
            async for step in steps:
                job.done, job.total = step.done, step.total

    def _usable(self, model_id: str) -> ModelSpec:
        spec = self.application.catalog.get(model_id)
        if spec.error:
            raise spec.error
        if spec.remote:
            raise AppError("models.remote", name=spec.name)
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
        except asyncio.CancelledError:
            self.job = None  # nothing was made, and nothing says that it was
            raise
        except Exception:
            job.error = AppError("ui.unexpected")
            raise
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


def allowed_folder(named: str, settings: Settings) -> Path:
    """The folder that a reader of the page named. Raises AppError, the same whether it exists."""
    allowed = [path.resolve() for path in source_folders(settings)]
    folder = Path.home() / named[2:] if named.startswith("~/") else Path(named)
    try:
        source = folder.resolve()
        is_allowed = folder.is_absolute() and any(map(source.is_relative_to, allowed))
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL
        is_allowed = False
    if not named or not is_allowed:
        raise AppError(
            "convert.folder_not_allowed",
            folder=named[:200],
            allowed=", ".join(map(str, allowed)),
        )
    return source


def source_folders(settings: Settings) -> list[Path]:
    """Where models to be converted may lie: as set, else the models folder, and at one's own
    machine the home folder too."""
    if settings.convert_from:
        return [Path(part.strip()) for part in settings.convert_from.split(",") if part.strip()]
    own = [] if login_needed(settings) else [Path.home()]
    return [settings.models_dir, *own]


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
