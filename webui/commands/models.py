"""`app.py models …`: what the モデル tab does, for terminals and scripts.

Results go to stdout (with --json as one JSON value), progress to stderr. Exit status 2 and one line
on a user's mistake. What makes and measures models is in models_workshop.py.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from webui.application import Application
from webui.commands.models_workshop import (
    Command,
    Result,
    UsageError,
    add_bench_options,
    bench,
    convert_folder,
    quantize_model,
)
from webui.config import Settings
from webui.engine.memory import available_bytes, judge, judge_file, predict
from webui.engine.options import ModelOptions, load_message
from webui.models import Catalog, ModelEntry, ModelSpec
from webui.models.downloads import (
    Download,
    DownloadRequest,
    Downloads,
    DownloadState,
    FolderRequest,
)
from webui.models.gguf import check_file, read_header
from webui.strings import Language, text

POLL_S = 0.2
AddSettings = Callable[[argparse.ArgumentParser], None]


def add_parser(commands: Any, language: Language, add_settings: AddSettings) -> None:
    """The `models` command with its own subcommands."""
    models = commands.add_parser("models", help=text("models.help", language))
    actions = models.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (arguments, run) in ACTIONS.items():
        action = actions.add_parser(name, help=text(f"models.{name}_help", language))
        for argument in arguments:
            title = argument.rstrip("?*")
            shown = text(f"models.argument_{title}", language)
            nargs = argument[-1] if argument != title else None
            action.add_argument(title, metavar=title.upper(), nargs=nargs, help=shown)
        if name in OPTIONS:
            OPTIONS[name](action, language)
        action.add_argument("--json", action="store_true", help=text("models.json_help", language))
        action.set_defaults(run=_printing(run))
        add_settings(action)


def _printing(command: Command) -> Callable[[Settings, argparse.Namespace], int]:
    """`command`, with its result on stdout."""

    def run(settings: Settings, options: argparse.Namespace) -> int:
        application = Application.open(settings)
        try:
            result, lines = command(options, application)
        finally:
            asyncio.run(application.close())
        print(json.dumps(result, ensure_ascii=False) if options.json else "\n".join(lines))
        return 0

    return run


def _list(options: argparse.Namespace, application: Application) -> Result:
    settings, catalog = application.settings, application.catalog
    language = Language(settings.language)
    available = available_bytes()
    here = [_described(spec, settings, available) for spec in catalog.models()]
    entries = catalog.entries()
    names = {spec.entry_id for spec in catalog.models()}
    names |= {entry.id for entry in entries.entries if (settings.models_dir / entry.id).is_dir()}
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
        f"  {row['id']}  {_gigabytes(row['size_bytes'])}  {row['license']}"
        f"  {text('fit.' + row['fit'], language) if row['fit'] else ''}".rstrip()
        for row in offered
    ]
    return {"models": here, "catalogue": offered, "problems": problems}, lines + problems


def _gigabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes else "? GB"


def _described(spec: ModelSpec, settings: Settings, available: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": spec.id,
        "name": spec.name,
        "path": str(spec.path),
        "architecture": spec.architecture,
        "n_params": spec.n_params,
        "quantization": spec.quantization,
        "n_ctx_train": spec.n_ctx_train,
        "has_template": bool(spec.chat_template),
        "languages": spec.languages,
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


def _pull(options: argparse.Namespace, application: Application) -> Result:
    settings = application.settings
    request = _request(options.model, options.file, application.catalog)
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
    return {"path": str(path), "size_bytes": download.num_done}, [
        text("models.pulled", language, path=path)
    ]


def _request(model: str, file: str | None, catalog: Catalog) -> DownloadRequest | FolderRequest:
    """An entry's id with an optional quantisation, or a repository and a file."""
    if "/" in model:
        if not file:
            raise UsageError("models.needs_file", repository=model)
        return DownloadRequest(model, file)
    entry = catalog.entries().get(model)
    if not entry.files:
        return FolderRequest(entry.repository, entry.id)
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


def _verify(options: argparse.Namespace, application: Application) -> Result:
    path = Path(options.model)
    if not path.is_file():
        path = application.catalog.get(options.model).path
    header = check_file(path)
    facts = {
        "path": str(path),
        "architecture": header.string("general.architecture"),
        "n_tensors": header.n_tensors,
        "n_params": header.n_params,
        "size_bytes": path.stat().st_size,
    }
    return facts, [text("models.sound", Language(application.settings.language), name=path.name)]


ACTIONS: dict[str, tuple[tuple[str, ...], Command]] = {  # arguments: "?" optional, "*" any number
    "list": ((), _list),
    "pull": (("model", "file?"), _pull),
    "verify": (("model",), _verify),
    "quantize": (("model", "type"), quantize_model),
    "convert": (("folder", "kind?"), convert_folder),
    "bench": (("model*",), bench),
}
OPTIONS = {"bench": add_bench_options}
