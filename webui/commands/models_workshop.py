"""`app.py models quantize|convert|bench`: making and measuring models from a terminal.

Knows nothing about downloads and the page.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from webui.application import Application
from webui.config import Settings
from webui.engine.client import Engine
from webui.engine.options import ModelOptions, OptionsMemory, load_message
from webui.errors import AppError
from webui.models import Catalog, ModelSpec, UnknownModelError
from webui.strings import Language, text
from webui.workshop.bench import STREAMS, BenchResults, BenchRow, measure
from webui.workshop.convert import convert
from webui.workshop.perplexity import BUILTIN_TEXT, PerplexityResults, measure_perplexity
from webui.workshop.plot import plot
from webui.workshop.report import ReportRow, report, to_csv, to_markdown
from webui.workshop.workshop import BITS, Step, quantize

Result = tuple[Any, list[str]]  # for --json, and for people
Command = Callable[[argparse.Namespace, Application], Result]


class UsageError(AppError):
    """What was asked cannot be done; the sentence says what can."""


def quantize_model(options: argparse.Namespace, application: Application) -> Result:
    settings = application.settings
    spec = usable(options.model, application.catalog)
    kind = options.type.upper()
    if kind not in BITS:
        raise UsageError("engine.unknown_quantization", kind=options.type, kinds=", ".join(BITS))
    target = settings.models_dir / f"{spec.stem}-{kind}.gguf"
    asyncio.run(_shown(quantize(spec.path, target, kind)))
    return _made(target, settings)


def convert_folder(options: argparse.Namespace, application: Application) -> Result:
    settings = application.settings
    folder = Path(options.folder).expanduser().resolve()
    kind = (options.kind or "F16").upper()
    target = settings.models_dir / f"{folder.name}-{kind}.gguf"
    asyncio.run(_shown(convert(folder, target, kind)))
    return _made(target, settings)


def _made(target: Path, settings: Settings) -> Result:
    size = target.stat().st_size
    return {"path": str(target), "size_bytes": size}, [
        text("models.made", Language(settings.language), path=target, size=size / 1e9)
    ]


def add_bench_options(action: argparse.ArgumentParser, language: Language) -> None:
    streams = ",".join(map(str, STREAMS))
    action.add_argument("--streams", default=streams, help=text("models.streams_help", language))
    action.add_argument(
        "--perplexity", nargs="?", const="", default=None, metavar="TEXT",
        help=text("models.perplexity_help", language),
    )  # fmt: skip
    for name in ("plot", "csv"):
        shown = text(f"models.{name}_help", language)
        action.add_argument(f"--{name}", type=Path, metavar="FILE", help=shown)


def bench(options: argparse.Namespace, application: Application) -> Result:
    """All the models in one run, so that they can be compared."""
    settings, storage = application.settings, application.storage
    streams = _streams(options.streams)
    specs = [usable(model, application.catalog) for model in options.model or [settings.model]]
    text_file = _text_file(options.perplexity)
    language = Language(settings.language)
    speeds, perplexities = BenchResults(storage), PerplexityResults(storage)
    for spec in specs:
        chosen = OptionsMemory(storage).of(spec.id)
        speeds.add(asyncio.run(_measured(spec, settings, chosen, streams)))
        if text_file:
            name = "" if text_file == BUILTIN_TEXT else text_file.name
            asyncio.run(_shown(measure_perplexity(spec, text_file, name, perplexities)))
    ids = {spec.id for spec in specs}
    rows = [row for row in _report(speeds, perplexities) if row.model_id in ids]
    _write(options.csv, to_csv(rows))
    _write(options.plot, plot(rows, language))
    return [asdict(row) for row in rows], [to_markdown(rows).rstrip()]


def _report(speeds: BenchResults, perplexities: PerplexityResults) -> list[ReportRow]:
    return report(speeds.rows(), perplexities.rows(), perplexities.ratios())


def _text_file(given: str | None) -> Path | None:
    """None: no perplexity; "": on the text that is shipped. Raises UsageError."""
    if given is None:
        return None
    path = Path(given).expanduser() if given else BUILTIN_TEXT
    if not path.is_file():
        raise UsageError("models.no_text", path=given)
    return path


def _write(path: Path | None, content: str) -> None:
    """Raises UsageError."""
    if path is None:
        return
    if not content:
        raise UsageError("models.nothing_to_plot")
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError("models.not_written", path=path, reason=error.strerror) from error


async def _measured(
    spec: ModelSpec, settings: Settings, options: ModelOptions, streams: Sequence[int]
) -> list[BenchRow]:
    engine = Engine(load_message(settings, options, spec), spec.name)
    try:
        await engine.start()
        return [row async for row in measure(engine, spec, streams=streams)]
    finally:
        await engine.stop()


async def _shown(steps: AsyncGenerator[Step, None]) -> None:
    """Percents on stderr while it goes on."""
    async with aclosing(steps):
        async for step in steps:
            percent = 100 * step.done / step.total
            print(f"\r{percent:5.1f} %", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _streams(given: str) -> list[int]:
    try:
        streams = [int(number) for number in given.split(",")]
    except ValueError as error:
        raise UsageError("models.bad_streams", given=given) from error
    if not streams or not all(1 <= number <= 64 for number in streams):
        raise UsageError("models.bad_streams", given=given)
    return streams


def usable(model_id: str, catalog: Catalog) -> ModelSpec:
    """By id or file name; the default when none is named. Raises AppError."""
    if not model_id:
        spec = catalog.default()
    else:
        try:
            spec = catalog.get(model_id)
        except UnknownModelError:
            spec = catalog.get(Path(model_id).stem)
    if spec.error:
        raise spec.error
    if spec.remote:
        raise UsageError("models.remote", name=spec.name)
    return spec
