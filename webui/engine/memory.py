"""How much memory a model will take, from its header and how it is loaded; and whether it fits.

The parts are llama.cpp's own buffers. Their formulas were fitted to llama.cpp 0c1e57098 on x86-64
(docs/log.md) and are checked against the real worker in tests/engine/test_memory.py. For
processors: what a graphics card takes over is not subtracted. Loads nothing.
"""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from math import ceil
from pathlib import Path

import psutil

from webui.config import Settings
from webui.engine.request import LoadModel
from webui.errors import AppError
from webui.models import ModelSpec
from webui.models.gguf import GgufHeader, GgufTensor, read_header

BASE_BYTES = 47_000_000  # Python, NumPy, llama.cpp's libraries
BYTES_PER_PIECE = 180  # of the vocabulary, in llama.cpp's maps
CELL_STEP = 256  # llama.cpp rounds the context up to this
UBATCH = 512
DEFAULT_N_CTX = 8192
KV_BYTES = {"f16": 2.0, "q8_0": 34 / 32}
COMFORTABLE_SHARE = 0.8  # of the memory that is free
RULE_OF_THUMB = 1.5  # file size times this should be free
LIMIT_FILES = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
CONTEXT_STEPS = (32768, 16384, 8192, 4096, 2048, 1024)


class Fit(StrEnum):
    COMFORTABLE = "comfortable"
    TIGHT = "tight"
    IMPOSSIBLE = "impossible"


class Remedy(StrEnum):
    """What makes a model fit."""

    SMALLER_CONTEXT = "smaller_context"
    SMALLER_KV = "smaller_kv"
    SMALLER_FILE = "smaller_file"


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes of resident memory, once the model has computed something."""

    weights: int
    repacked: int  # copies of weights in the order that this processor likes
    kv: int
    compute: int
    base: int
    is_mapped: bool

    @property
    def total(self) -> int:
        return self.weights + self.repacked + self.kv + self.compute + self.base

    @property
    def least(self) -> int:
        """Without the mapped originals of repacked weights: the system may drop those pages."""
        return self.total - (self.repacked if self.is_mapped else 0)


@dataclass(frozen=True, slots=True)
class Suggestion:
    remedy: Remedy
    value: str = ""  # the context, the type of the KV cache
    need: MemoryNeed | None = None  # with it


def predict(header: GgufHeader, load: LoadModel) -> MemoryNeed:
    """The need of `header`'s model when loaded as `load` says (its path is not read)."""
    shape = _Shape(header)
    n_ctx = load.n_ctx or min(shape.n_ctx_train or DEFAULT_N_CTX, DEFAULT_N_CTX)
    n_cells = ceil(n_ctx / CELL_STEP) * CELL_STEP
    weights = sum(tensor.num_bytes for tensor in header.tensors)
    repacked = sum(tensor.num_bytes for tensor in _repacked(header))
    kv = shape.kv_values_per_cell * KV_BYTES[load.kv_type] * n_cells
    return MemoryNeed(
        weights=weights - (0 if load.mmap else repacked),
        repacked=repacked,
        kv=int(kv) + shape.state_bytes * load.n_slots,
        compute=_compute_bytes(shape, load, n_cells),
        base=BASE_BYTES + BYTES_PER_PIECE * shape.n_vocab,
        is_mapped=load.mmap,
    )


def judge(need: MemoryNeed, available: int) -> Fit:
    """Whether `need` fits into `available` bytes."""
    if need.total <= COMFORTABLE_SHARE * available:
        return Fit.COMFORTABLE
    return Fit.TIGHT if need.least <= available else Fit.IMPOSSIBLE


def judge_file(num_bytes: int, available: int) -> Fit:
    """The rule of thumb for a file that is not here yet: free memory of one and a half its size."""
    if num_bytes * RULE_OF_THUMB <= available:
        return Fit.COMFORTABLE
    return Fit.TIGHT if num_bytes * 1.1 + 5e8 <= available else Fit.IMPOSSIBLE


def suggest(header: GgufHeader, load: LoadModel, available: int) -> list[Suggestion]:
    """What would make it fit comfortably, mildest first; a smaller file when nothing else does."""
    found: list[Suggestion] = []
    if load.kv_type == "f16" and load.flash_attn != "off":
        need = predict(header, replace(load, kv_type="q8_0"))
        if judge(need, available) is Fit.COMFORTABLE:
            found.append(Suggestion(Remedy.SMALLER_KV, "q8_0", need))
    now = load.n_ctx or DEFAULT_N_CTX
    for n_ctx in (step for step in CONTEXT_STEPS if step < now):
        need = predict(header, replace(load, n_ctx=n_ctx))
        if judge(need, available) is Fit.COMFORTABLE:
            found.append(Suggestion(Remedy.SMALLER_CONTEXT, str(n_ctx), need))
            break
    return found or [Suggestion(Remedy.SMALLER_FILE)]


def available_bytes(freed: int = 0) -> int:
    """Memory that is free now for this process tree, plus `freed` which will be."""
    free = psutil.virtual_memory().available
    for limit_file, usage_file in LIMIT_FILES:
        try:
            limit = limit_file.read_text(encoding="ascii").strip()
            usage = usage_file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if limit.isdecimal() and usage.isdecimal():  # "max" = none
            free = min(free, max(0, int(limit) - int(usage)))
    return free + freed


def resident_bytes(pid: int) -> int:
    """What process `pid` holds in memory; 0 when there is none."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


class _Shape:
    """The numbers of a header that decide how much memory it takes."""

    def __init__(self, header: GgufHeader) -> None:
        self._header = header
        self._architecture = header.string("general.architecture")
        self.n_ctx_train = self._number("context_length")
        self.n_vocab = header.array_lengths.get("tokenizer.ggml.tokens", 0) or max(
            (t.dims[1] for t in header.tensors if t.name == "token_embd.weight" and t.dims[1:]),
            default=0,
        )
        self.n_embd = self._number("embedding_length")
        self.n_layer = self._number("block_count")
        self.n_head = max(self._list("attention.head_count"), default=0)
        self.n_ff = max(
            max(self._list("feed_forward_length"), default=0),
            self._number("expert_feed_forward_length") * self._number("expert_used_count"),
        )

    @property
    def kv_values_per_cell(self) -> int:
        """Keys and values of one token over all layers that keep them."""
        return sum(self._kv_of(layer) for layer in self._attention_layers())

    @property
    def state_bytes(self) -> int:
        """Of one sequence in all layers that keep a state instead of keys (float32)."""
        attention = set(self._attention_layers()) | set(self._shared_layers())
        recurrent = self.n_layer - len(attention)
        if not recurrent:
            return 0
        inner, state = self._number("ssm.inner_size"), self._number("ssm.state_size")
        conv = max(0, self._number("ssm.conv_kernel") - 1)
        groups = self._number("ssm.group_count")
        short_conv = max(0, self._number("shortconv.l_cache") - 1) * self.n_embd
        values = conv * (inner + 2 * groups * state) + inner * state + short_conv
        return 4 * values * recurrent

    def _attention_layers(self) -> Iterator[int]:
        interval = self._number("full_attention_interval")
        shared = set(self._shared_layers())
        for layer in range(self.n_layer):
            is_attention = self._at("attention.head_count_kv", layer, self.n_head) > 0
            if is_attention and not (interval and (layer + 1) % interval) and layer not in shared:
                yield layer

    def _shared_layers(self) -> range:
        """The last layers of Gemma 3n and 4 read the keys of earlier ones."""
        shared = self._number("attention.shared_kv_layers")
        return range(max(0, self.n_layer - shared), self.n_layer)

    def _kv_of(self, layer: int) -> int:
        heads = self._at("attention.head_count_kv", layer, self.n_head)
        width = self.n_embd // self.n_head if self.n_head else 0
        is_sliding = bool(self._at("attention.sliding_window_pattern", layer, 0))
        swa = "_swa" if is_sliding else ""
        key = self._number(f"attention.key_length{swa}") or self._number("attention.key_length")
        value = self._number(f"attention.value_length{swa}") or self._number(
            "attention.value_length"
        )
        return heads * ((key or width) + (value or width))

    def _number(self, key: str) -> int:
        return max(0, self._header.integer(f"{self._architecture}.{key}"))

    def _list(self, key: str) -> list[int]:
        value = self._header.metadata.get(f"{self._architecture}.{key}", 0)
        values = value if isinstance(value, tuple) else (value,)
        return [max(0, int(item)) for item in values if isinstance(item, int)]

    def _at(self, key: str, layer: int, default: int) -> int:
        """A per-layer value that may also be one for all layers."""
        values = self._list(key)
        if f"{self._architecture}.{key}" not in self._header.metadata or not values:
            return default
        return values[layer] if 1 < len(values) and layer < len(values) else values[0]


def _compute_bytes(shape: _Shape, load: LoadModel, n_cells: int) -> int:
    """Activations of one micro-batch (or the logits, if more), the mask, and the output's copy."""
    n_tokens = min(load.n_batch, UBATCH)
    activations = 4 * n_tokens * (4 * shape.n_embd + 3 * shape.n_ff)
    mask = 2 * n_tokens * n_cells
    if load.flash_attn == "off":
        scores = 4 * n_tokens * n_cells * shape.n_head
        activations = max(activations, scores + mask + 22 * n_tokens * shape.n_embd)
    logits = 4 * load.n_slots * shape.n_vocab
    return max(activations + mask, logits) + logits


def _repacked(header: GgufHeader) -> Iterator[GgufTensor]:
    """The matrices of which llama.cpp makes a copy (ggml-cpu/repack.cpp)."""
    kinds = _repacked_types()
    has_output = any(tensor.name == "output.weight" for tensor in header.tensors)
    for tensor in header.tensors:
        is_matrix = tensor.name.startswith("blk.") or tensor.name == "output.weight"
        is_tied = tensor.name == "token_embd.weight" and not has_output
        fits = len(tensor.dims) >= 2 and tensor.dims[1] % 8 == 0 and tensor.name.endswith(".weight")
        if tensor.type_name in kinds and fits and (is_matrix or is_tied):
            yield tensor


@cache
def _repacked_types() -> frozenset[str]:
    machine = platform.machine().lower()
    if machine in ("arm64", "aarch64"):
        return frozenset({"Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_NL", "MXFP4"})
    flags = _x86_flags()
    kinds = {"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"} if "avx2" in flags else set[str]()
    return frozenset(kinds | ({"Q2_K"} if "avx512f" in flags else set()))


def _x86_flags() -> frozenset[str]:
    """AVX2 is assumed where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset({"avx2"})
    return frozenset(next((line.split() for line in lines if line.startswith("flags")), []))


def host_cache_bytes(cache_mb: int) -> int:
    """For the idle chats of one model, outside its KV cache; -1: a sixteenth of the machine's."""
    if cache_mb >= 0:
        return cache_mb << 20
    return int(psutil.virtual_memory().total / 16)


def physical_cores() -> int:
    """Cores that this process may use; hyper-threads do not make llama.cpp faster."""
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return max(1, min(cores, len(os.sched_getaffinity(0))))
    return cores


MEMORY_SHARE = 0.8  # of the machine's memory, when the user sets no budget
GIB = 1 << 30


def budget_bytes(settings: Settings) -> int:
    """For all loaded models together."""
    if settings.memory_gb:
        return int(settings.memory_gb * GIB)
    return int(psutil.virtual_memory().total * MEMORY_SHARE)


def needed_bytes(spec: ModelSpec, load: LoadModel) -> int:
    """For one model once it is loaded: from its header, or by rule of thumb without one.

    Slow for a large vocabulary: call it in a thread.
    """
    if spec.remote:
        return 0
    try:
        return predict(read_header(spec.path), load).total
    except (AppError, OSError):  # loading it will say what is wrong with the file
        return int(spec.size_bytes * RULE_OF_THUMB)
