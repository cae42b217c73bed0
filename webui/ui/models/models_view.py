"""The モデル view as plain values for the browser: what is here, what fits, what moves.

Knows nothing about Gradio; every text that came from a file or the network is a plain string.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from webui.engine.memory import Fit, MemoryNeed, judge, judge_file, predict, suggest
from webui.engine.options import ModelOptions, load_message
from webui.engine.pool import LoadState
from webui.errors import AppError
from webui.models import FileEntry, ModelEntry, ModelKind, ModelSpec
from webui.models.downloads import Download
from webui.prompts.families import builtin_families
from webui.strings import Language, table
from webui.ui.models.models_desk import Job, ModelsDesk, header_of
from webui.workshop.convert import KINDS
from webui.workshop.plot import plot
from webui.workshop.report import ReportRow, to_csv, to_markdown
from webui.workshop.workshop import BITS, SOURCE_TYPES

SECTION = "models_page."
GIB = 1 << 30
RAM_CLASSES = (4, 8, 16, 32, 64)


def models_view(desk: ModelsDesk, language: Language, *, with_strings: bool) -> dict[str, Any]:
    """Everything that the view shows."""
    available = desk.available()
    specs = desk.application.catalog.models()
    specs += _gone(desk, {spec.id for spec in specs})
    entries = desk.application.catalog.entries()
    here = {spec.path.name.casefold() for spec in specs}
    here |= {entry.id for entry in entries.entries if _is_folder_here(desk, entry)}
    total = psutil.virtual_memory().total
    return {
        "strings": strings(language) if with_strings else None,
        "memory": {"available": available, "total": total},
        "ram_class": max((gb for gb in RAM_CLASSES if gb * 0.9 * GIB <= total), default=4),
        "models": [_model(desk, spec, available, language) for spec in specs],
        "downloads": [_download(download, language) for download in desk.downloads.all()],
        "catalogue": [_entry(desk, entry, here, available, language) for entry in entries.entries],
        "problems": [problem.message(language) for problem in entries.problems],
        "types": [{"name": name, "bits": bits, "use": _use(bits)} for name, bits in BITS.items()],
        "families": _families(),
        "job": _job(desk.job, language),
        "bench": _bench(desk.report(), language),
        "kinds": KINDS,
    }


def _use(bits: float) -> str:
    """What a quantisation of so many bits per weight is good for."""
    steps = ((3.2, "small"), (4.4, "low"), (5.3, "usual"), (8.0, "good"))
    return next((use for limit, use in steps if bits < limit), "exact")


def strings(language: Language) -> dict[str, str]:
    """The view's own sentences, by short name."""
    return {
        key.removeprefix(SECTION): texts[language]
        for key, texts in table().items()
        if key.startswith(SECTION)
    }


def preview(desk: ModelsDesk, model_id: str, options: ModelOptions) -> dict[str, Any]:
    """What the model would need with `options`. Raises AppError."""
    spec = desk.application.catalog.get(model_id)
    return _fit(desk, spec, options, desk.available())


def _model(desk: ModelsDesk, spec: ModelSpec, available: int, language: Language) -> dict[str, Any]:
    state = desk.application.engines.state(spec.id)
    is_loaded = desk.application.engines.loaded(spec.id) is not None
    shown = LoadState.READY if is_loaded else state.state
    if state.state is LoadState.READY and not is_loaded:
        shown = LoadState.UNLOADED  # its worker is gone
    options = desk.chosen(spec.id)
    values: dict[str, Any] = {
        "id": spec.id,
        "name": spec.name,
        "file": spec.path.name,
        "architecture": spec.architecture,
        "quantization": spec.quantization,
        "size": spec.size_bytes,
        "n_params": spec.n_params,
        "n_ctx_train": spec.n_ctx_train,
        "languages": ", ".join(spec.languages),
        "is_ours": spec.is_standin or spec.is_builtin,
        "is_remote": spec.remote is not None,
        "has_template": bool(spec.chat_template),
        "problem": spec.error.message(language) if spec.error else "",
        "state": shown,
        "fraction": state.fraction,
        "failure": state.error.message(language) if state.error else "",
        "memory_now": desk.memory_now(spec.id),
        "options": asdict(options),
        "can_quantize": spec.quantization in SOURCE_TYPES and not spec.is_standin,
    }
    return values | _fit(desk, spec, options, available)


def _gone(desk: ModelsDesk, ids: set[str]) -> list[ModelSpec]:
    """Models whose file is away while they are still in memory: they can be unloaded."""
    engines = desk.application.engines
    found = []
    for model_id in engines.loaded_ids():
        engine = engines.loaded(model_id)
        if engine and model_id not in ids:
            path = Path(engine.load.path)
            error = AppError("models.gone", name=path.name)
            found.append(ModelSpec(id=model_id, path=path, name=model_id, error=error))
    return found


def _fit(
    desk: ModelsDesk, spec: ModelSpec, options: ModelOptions, available: int
) -> dict[str, Any]:
    """The need, how it fits, and what would help; nothing for a file that cannot be read."""
    if spec.error:
        return {"fit": "", "need": None, "suggestions": []}
    try:
        header = header_of(spec)
        load = load_message(desk.application.settings, options, spec)
        need = predict(header, load)
    except (AppError, OSError):  # changed or deleted just now; the next scan says so
        return {"fit": "", "need": None, "suggestions": []}
    fit = judge(need, available)
    helps = suggest(header, load, available) if fit is not Fit.COMFORTABLE else []
    return {
        "fit": fit,
        "need": _need(need),
        "n_ctx": load.n_ctx or min(spec.n_ctx_train or 8192, 8192),
        "suggestions": [{"remedy": help.remedy, "value": help.value} for help in helps],
    }


def _need(need: MemoryNeed) -> dict[str, int]:
    return {
        "weights": need.weights + need.repacked,
        "kv": need.kv,
        "compute": need.compute + need.base,
        "total": need.total,
    }


def _download(download: Download, language: Language) -> dict[str, Any]:
    return {
        "name": download.name,
        "repository": download.request.repository,
        "state": download.state,
        "is_active": download.is_active,
        "done": download.num_done,
        "total": download.num_total,
        "speed": download.bytes_per_s,
        "eta": download.eta_s,
        "error": download.error.message(language) if download.error else "",
    }


def _entry(
    desk: ModelsDesk, entry: ModelEntry, here: set[str], available: int, language: Language
) -> dict[str, Any]:
    info = desk.licenses.get(entry.id)
    default = entry.default_file
    return {
        "id": entry.id,
        "name": entry.name,
        "maker": entry.maker,
        "kind": entry.kind,
        "is_text": entry.kind in (ModelKind.CHAT, ModelKind.COMPLETION),
        "repository": entry.repository,
        "license": entry.license,
        "license_url": entry.license_url,
        "license_text": info.license_text if info else "",
        "is_gated": bool(info and info.is_gated),
        "ram_gb": entry.ram_gb,
        "parameters": entry.parameters,
        "n_ctx": entry.n_ctx,
        "why": entry.why[language],
        "better": entry.better,
        "is_recommended": entry.is_recommended,
        "is_article": entry.is_article,
        "is_user_made": entry.is_user_made,
        "bytes": entry.bytes,
        "unverified": [part.value for part in entry.unverified],
        "is_here": not entry.files and entry.id in here,
        "files": [_file(file, file is default, here, available) for file in entry.files],
    }


def _is_folder_here(desk: ModelsDesk, entry: ModelEntry) -> bool:
    """Models of several files are a folder of the entry's name."""
    return not entry.files and (desk.application.catalog.models_dir / entry.id).is_dir()


def _file(file: FileEntry, is_default: bool, here: set[str], available: int) -> dict[str, Any]:
    name = file.file.rpartition("/")[2]
    return {
        "file": file.file,
        "name": name,
        "quantization": file.quantization,
        "bytes": file.bytes,
        "is_estimate": file.is_estimate,
        "is_default": is_default,
        "is_here": name.casefold() in here,
        "fit": judge_file(file.bytes, available),
    }


def _job(job: Job | None, language: Language) -> dict[str, Any] | None:
    if job is None:
        return None
    error = job.error.message(language) if job.error else ""
    values = {key: getattr(job, key) for key in ("kind", "model_id", "name", "done", "total")}
    return values | {"is_running": job.is_running, "error": error}


def _bench(rows: list[ReportRow], language: Language) -> dict[str, Any]:
    return {
        "rows": [asdict(row) for row in rows],
        "csv": to_csv(rows),
        "markdown": to_markdown(rows),
        "plot": plot(rows, language),
    }


def _families() -> list[dict[str, str]]:
    return [{"name": name, "title": family.title} for name, family in builtin_families().items()]
