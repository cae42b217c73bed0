"""Quantising models and measuring their perplexity, each in a child process of its own.

Knows nothing about llama.cpp; the children are quantizer.py and perplexity.py.
"""

import os
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from webui.engine.memory import physical_cores
from webui.models.gguf import GgufHeader, read_header
from webui.workshop.making import SPARE_BYTES, WorkshopError, making

__all__ = [
    "BITS",
    "PART",
    "SOURCE_TYPES",
    "Perplexity",
    "Step",
    "WorkshopError",
    "estimated_bytes",
    "perplexity",
    "quantize",
]

PART = ".part"
SOURCE_TYPES = ("F32", "F16", "BF16")

BITS = {  # bits per weight, as llama.cpp's own table says for 8B models
    "F16": 16.0, "BF16": 16.0, "Q8_0": 8.5, "Q6_K": 6.56, "Q5_K_M": 5.7, "Q5_K_S": 5.57,
    "Q5_1": 6.0, "Q5_0": 5.54, "Q4_K_M": 4.89, "Q4_K_S": 4.67, "IQ4_NL": 4.68, "IQ4_XS": 4.46,
    "Q4_1": 5.0, "Q4_0": 4.66, "Q3_K_L": 4.3, "Q3_K_M": 4.0, "Q3_K_S": 3.64, "IQ3_M": 3.76,
    "IQ3_S": 3.66, "Q2_K": 3.16, "Q2_K_S": 2.96, "TQ2_0": 2.06, "TQ1_0": 1.69,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Perplexity:
    value: float
    error: float  # one standard error
    losses: tuple[float, ...]  # -log p of each token that counts
    tokens: str  # a hash of those tokens: only equal ones can be compared


def estimated_bytes(header: GgufHeader, kind: str) -> int:
    """Of the file in quantisation `kind`; the real one differs by some percent."""
    return int(header.n_params * BITS[kind] / 8)


async def quantize(source: Path, target: Path, kind: str) -> AsyncGenerator[Step, None]:
    """Write `source` as `kind` to `target`. Closing it cancels; nothing half-made is left.

    Raises WorkshopError, BadGgufError.
    """
    header = read_header(source)
    if kind not in BITS:
        raise WorkshopError("engine.unknown_quantization", kind=kind, kinds=", ".join(BITS))
    if header.weight_type not in SOURCE_TYPES:
        raise WorkshopError("engine.already_quantized", name=source.name, kind=header.weight_type)
    if target.exists():
        raise WorkshopError("downloads.exists", name=target.name)
    needed, free = estimated_bytes(header, kind), shutil.disk_usage(target.parent).free
    if needed + SPARE_BYTES > free:
        values = {"missing_gb": needed / 1e9, "free_gb": free / 1e9}
        raise WorkshopError("downloads.no_space", name=target.name, **values)
    part = target.with_name(target.name + PART)
    part.unlink(missing_ok=True)  # an earlier run's; or a link, through which nothing is written
    try:
        arguments = (str(source), str(part), kind)
        async with making("webui.workshop.quantizer", *arguments) as messages:
            async for message in messages:
                if message["event"] == "progress":
                    yield Step(message["done"], message["total"])
        read_header(part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


async def perplexity(path: Path, text_file: Path) -> AsyncGenerator[Step | Perplexity, None]:
    """How well the model foretells the text; Perplexity comes last. Raises WorkshopError."""
    arguments = (str(path), str(text_file), str(physical_cores()))
    async with making("webui.workshop.perplexity_worker", *arguments) as messages:
        async for message in messages:
            if message["event"] == "progress":
                yield Step(message["done"], message["total"])
            else:
                yield Perplexity(
                    message["perplexity"],
                    message["error"],
                    tuple(message["losses"]),
                    message["tokens"],
                )
