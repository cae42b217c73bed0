"""`app.py models …`: what the モデル tab does, for terminals and scripts.

Results go to stdout (with --json as one JSON value), progress to stderr. Exit status 2 and one line
on a user's mistake.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from webui.catalog import Catalog, ModelEntry, ModelSpec, UnknownModelError
from webui.config import PROJECT_DIR, Settings
from webui.downloads import Download, DownloadRequest, Downloads, DownloadState
from webui.engine.client import Engine
from webui.engine.memory import available_bytes, judge, judge_file, predict
from webui.engine.options import ModelOptions, OptionsMemory, load_message
from webui.engine.workshop import BITS, quantize
from webui.errors import AppError
from webui.gguf import read_header
from webui.soundness import check_file
from webui.storage import Storage
from webui.strings import Language, text
from webui.tasks.bench import STREAMS, BenchResults, BenchRow, measure, to_markdown

POLL_S = 0.2
AddSettings = Callable[[argparse.ArgumentParser], None]


class UsageError(AppError):
    """What was asked cannot be done; the sentence says what can."""


def add_parser(commands: Any, language: Language, add_settings: AddSettings) -> None:
    """The `models` command with its own subcommands."""
    models = commands.add_parser("models", help=text("models.help", language))
    actions = models.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, arguments, run in (
        ("list", (), _list),
        ("pull", ("model", "file?"), _pull),
        ("verify", ("model",), _verify),
        ("quantize", ("model", "type"), _quantize),
        ("bench", ("model?",), _bench),
    ):
        action = actions.add_parser(name, help=text(f"models.{name}_help", language))
        for argument in arguments:
            title = argument.rstrip("?")
            shown = text(f"models.argument_{title}", language)
            nargs = "?" if argument.endswith("?") else None
            action.add_argument(title, metavar=title.upper(), nargs=nargs, help=shown)
        if name == "bench":
            default = ",".join(map(str, STREAMS))
            action.add_argument(
                "--streams", default=default, help=text("models.streams_help", language)
            )
        action.add_argument("--json", action="store_true", help=text("models.json_help", language))
        action.set_defaults(run=_printing(run))
        add_settings(action)


def _printing(command: "Command") -> Callable[[Settings, argparse.Namespace], int]:
    """`command`, with its result on stdout."""

    def run(settings: Settings, options: argparse.Namespace) -> int:
        catalog = Catalog(settings.models_dir, PROJECT_DIR / "models" / "builtin")
        result, lines = command(options, settings, catalog)
        print(json.dumps(result, ensure_ascii=False) if options.json else "\n".join(lines))
        return 0

    return run


Result = tuple[Any, list[str]]  # for --json, and for people
Command = Callable[[argparse.Namespace, Settings, Catalog], Result]


def _list(options: argparse.Namespace, settings: Settings, catalog: Catalog) -> Result:
    language = Language(settings.language)
    available = available_bytes()
    here = [_described(spec, settings, available) for spec in catalog.models()]
    entries = catalog.entries()
    names = {spec.entry_id for spec in catalog.models()}
    offered = [_offered(entry, available) for entry in entries.entries if entry.id not in names]
    problems = [error.message(language) for error in entries.problems]
    lines = [text("models.here", language)]
    lines += [
        f"  {row['id']}  {row['size_bytes'] / 1e9:.2f} GB  {row['quantization']}"
        f"  {row['problem'] or text('fit.' + row['fit'], language)}"
        for row in here
    ]
    lines.append(text("models.offered", language))
    lines += [
        f"  {row['id']}  {row['size_bytes'] / 1e9:.2f} GB  {row['license']}"
        f"  {text('fit.' + row['fit'], language) if row['fit'] else ''}".rstrip()
        for row in offered
    ]
    return {"models": here, "catalogue": offered, "problems": problems}, lines + problems


def _described(spec: ModelSpec, settings: Settings, available: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": spec.id,
        "name": spec.name,
        "path": str(spec.path),
        "architecture": spec.architecture,
        "n_params": spec.n_params,
        "quantization": spec.quantization,
        "n_ctx_train": spec.n_ctx_train,
        "size_bytes": spec.size_bytes,
        "entry": spec.entry_id,
        "problem": spec.problem,
        "fit": "",
        "memory_bytes": 0,
    }
    if spec.error is None:
        need = predict(read_header(spec.path), load_message(settings, ModelOptions(), spec))
        row |= {"fit": judge(need, available), "memory_bytes": need.total}
    return row


def _offered(entry: ModelEntry, available: int) -> dict[str, Any]:
    file = entry.default_file
    size = file.bytes if file else entry.bytes
    return {
        "id": entry.id,
        "name": entry.name,
        "kind": entry.kind,
        "repository": entry.repository,
        "license": entry.license,
        "ram_gb": entry.ram_gb,
        "size_bytes": size,
        "fit": judge_file(size, available) if size else "",
        "files": [asdict(file) for file in entry.files],
    }


def _pull(options: argparse.Namespace, settings: Settings, catalog: Catalog) -> Result:
    request = _request(options.model, options.file, catalog)
    downloads = Downloads(settings.models_dir)
    language = Language(settings.language)
    try:
        downloads.start(request)
        while (download := downloads.get(request.name)).is_active:
            _show_progress(download)
            time.sleep(POLL_S)
    finally:
        downloads.close()
        print(file=sys.stderr)
    if download.error:
        raise download.error
    assert download.state is DownloadState.DONE
    path = settings.models_dir / request.name
    return {"path": str(path), "size_bytes": path.stat().st_size}, [
        text("models.pulled", language, path=path)
    ]


def _request(model: str, file: str | None, catalog: Catalog) -> DownloadRequest:
    """An entry's id with an optional quantisation, or a repository and a file."""
    if "/" in model:
        if not file:
            raise UsageError("models.needs_file", repository=model)
        return DownloadRequest(model, file)
    entry = catalog.entries().get(model)
    if not entry.files:
        raise UsageError("models.no_gguf", name=entry.name)
    wanted = file or (entry.default_file.quantization if entry.default_file else "")
    for one in entry.files:
        if wanted.casefold() in (one.quantization.casefold(), one.file.casefold()):
            return DownloadRequest(entry.repository, one.file, one.sha256)
    kinds = ", ".join(one.quantization for one in entry.files)
    raise UsageError("models.no_such_file", name=entry.name, file=wanted, kinds=kinds)


def _show_progress(download: Download) -> None:
    eta = download.eta_s
    print(
        f"\r{download.state} {100 * download.fraction:5.1f} %"
        f"  {download.num_done / 1e6:,.0f}/{download.num_total / 1e6:,.0f} MB"
        f"  {download.bytes_per_s / 1e6:.1f} MB/s  {f'{eta:.0f} s' if eta else '':10}",
        end="",
        file=sys.stderr,
        flush=True,
    )


def _verify(options: argparse.Namespace, settings: Settings, catalog: Catalog) -> Result:
    path = Path(options.model)
    if not path.is_file():
        path = catalog.get(options.model).path
    header = check_file(path)
    facts = {
        "path": str(path),
        "architecture": header.string("general.architecture"),
        "n_tensors": header.n_tensors,
        "n_params": header.n_params,
        "size_bytes": path.stat().st_size,
    }
    return facts, [text("models.sound", Language(settings.language), name=path.name)]


def _quantize(options: argparse.Namespace, settings: Settings, catalog: Catalog) -> Result:
    spec = _usable(options.model, catalog)
    kind = options.type.upper()
    if kind not in BITS:
        raise UsageError("engine.unknown_quantization", kind=options.type, kinds=", ".join(BITS))
    stem = spec.path.stem
    for suffix in (spec.quantization, spec.quantization.lower()):
        stem = stem.removesuffix(f"-{suffix}").removesuffix(f".{suffix}") if suffix else stem
    target = settings.models_dir / f"{stem}-{kind}.gguf"

    async def work() -> None:
        async with aclosing(quantize(spec.path, target, kind)) as steps:
            async for step in steps:
                print(f"\r{step.done}/{step.total}", end="", file=sys.stderr, flush=True)

    asyncio.run(work())
    print(file=sys.stderr)
    size = target.stat().st_size
    return {"path": str(target), "size_bytes": size}, [
        text("models.made", Language(settings.language), path=target, size=size / 1e9)
    ]


def _bench(options: argparse.Namespace, settings: Settings, catalog: Catalog) -> Result:
    streams = _streams(options.streams)
    spec = _usable(options.model or settings.model, catalog)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    storage = Storage(settings.data_dir / "kajogaki.db")
    try:
        chosen = OptionsMemory(storage).of(spec.id)
        rows = asyncio.run(_measured(spec, settings, chosen, streams))
        BenchResults(storage).add(rows)
    finally:
        storage.close()
    return [asdict(row) | {"rating": row.rating} for row in rows], [to_markdown(rows).rstrip()]


async def _measured(
    spec: ModelSpec, settings: Settings, options: ModelOptions, streams: Iterable[int]
) -> list[BenchRow]:
    engine = Engine(load_message(settings, options, spec), spec.name)
    try:
        await engine.start()
        return [row async for row in measure(engine, spec, streams=tuple(streams))]
    finally:
        await engine.stop()


def _streams(given: str) -> list[int]:
    try:
        streams = [int(number) for number in given.split(",")]
    except ValueError as error:
        raise UsageError("models.bad_streams", given=given) from error
    if not streams or not all(1 <= number <= 64 for number in streams):
        raise UsageError("models.bad_streams", given=given)
    return streams


def _usable(model_id: str, catalog: Catalog) -> ModelSpec:
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
    return spec
