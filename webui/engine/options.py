"""ModelOptions: how one model is to be loaded where that differs from the settings; remembered.

`load_message` is the one place where settings and options become the worker's first message.
Knows nothing about which model is loaded.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

from webui.config import LOCAL_USER, Settings
from webui.engine.memory import host_cache_bytes, physical_cores
from webui.engine.request import LoadModel
from webui.errors import AppError
from webui.models import ModelSpec

KEY = "model_options:"
RANGES = {
    "n_ctx": (0, 1 << 24),
    "n_slots": (1, 64),
    "n_threads": (0, 1024),
    "n_gpu_layers": (-1, 10_000),
}
CHOICES = {"kv_type": ("f16", "q8_0"), "flash_attn": ("auto", "on", "off")}
MIN_N_CTX = 256  # below this no conversation fits; 0 = the model's own


class BadOptionError(AppError):
    """An option that cannot be used; the sentence names it and what is possible."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """None and "" mean: as the settings say."""

    n_ctx: int | None = None
    n_slots: int | None = None
    n_threads: int | None = None
    n_gpu_layers: int | None = None
    kv_type: str = ""
    flash_attn: str = ""
    family: str = ""  # of prompts, instead of what the file's template says

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (type(value) is int and low <= value <= high):
                raise _bad(name, value, f"{low}–{high:,}")
        if self.n_ctx and self.n_ctx < MIN_N_CTX:
            raise _bad("n_ctx", self.n_ctx, f"0, {MIN_N_CTX}–{RANGES['n_ctx'][1]:,}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in ("", *choices):
                raise _bad(name, getattr(self, name), ", ".join(choices))
        if self.kv_type == "q8_0" and self.flash_attn == "off":
            raise BadOptionError("engine.option_needs_flash")


class KeyValueStore(Protocol):
    """What Storage offers, and what a test can."""

    def setting(self, owner: str, key: str, default: str = "") -> str: ...
    def set_setting(self, owner: str, key: str, value: str) -> None: ...


class OptionsMemory:
    """Remembers the options of each model."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    def of(self, model_id: str) -> ModelOptions:
        """What was chosen. Something unreadable (an older version's) counts as nothing chosen."""
        try:
            values = json.loads(self._store.setting(LOCAL_USER, KEY + model_id) or "{}")
            return options_of(values)
        except (ValueError, TypeError, AttributeError, BadOptionError):
            return ModelOptions()

    def remember(self, model_id: str, options: ModelOptions) -> None:
        chosen = {name: value for name, value in asdict(options).items() if value not in (None, "")}
        self._store.set_setting(LOCAL_USER, KEY + model_id, json.dumps(chosen) if chosen else "")


def options_of(values: Mapping[str, Any]) -> ModelOptions:
    """Raises BadOptionError."""
    known = {item.name for item in fields(ModelOptions)}
    for name in values:
        if name not in known:
            raise _bad(name, values[name], ", ".join(sorted(known)))
    return ModelOptions(**values)


def load_message(settings: Settings, options: ModelOptions, spec: ModelSpec) -> LoadModel:
    """How `spec` is to be loaded: what was chosen for it, else what the settings say."""

    def chosen(name: str) -> Any:
        value = getattr(options, name)
        return getattr(settings, name) if value in (None, "") else value

    n_slots = chosen("n_slots")
    return LoadModel(
        path=str(spec.path),
        n_ctx=chosen("n_ctx"),
        n_slots=n_slots,
        n_batch=max(settings.n_batch, 2 * n_slots),  # everyone writes, and someone reads beside
        n_threads=chosen("n_threads") or physical_cores(),
        n_gpu_layers=chosen("n_gpu_layers"),
        flash_attn=chosen("flash_attn"),
        kv_type=chosen("kv_type"),
        mmap=settings.mmap,
        mlock=settings.mlock,
        host_cache_bytes=host_cache_bytes(settings.cache_mb),
    )


def _bad(name: str, value: object, possible: str) -> BadOptionError:
    return BadOptionError("engine.bad_option", name=name, value=value, possible=possible)
