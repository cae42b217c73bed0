"""Quantising models and measuring their perplexity, each in a child process of its own.

Knows nothing about llama.cpp; the children are quantizer.py and perplexity.py.
"""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.engine.hardware import physical_cores
from webui.errors import AppError
from webui.gguf import GgufHeader, read_header

PROJECT_DIR = Path(__file__).parents[2]
SPARE_BYTES = 1 << 28
PART = ".part"
SOURCE_TYPES = ("F32", "F16", "BF16")

BITS = {  # bits per weight, as llama.cpp's own table says for 8B models
    "F16": 16.0, "BF16": 16.0, "Q8_0": 8.5, "Q6_K": 6.56, "Q5_K_M": 5.7, "Q5_K_S": 5.57,
    "Q5_1": 6.0, "Q5_0": 5.54, "Q4_K_M": 4.89, "Q4_K_S": 4.67, "IQ4_NL": 4.68, "IQ4_XS": 4.46,
    "Q4_1": 5.0, "Q4_0": 4.66, "Q3_K_L": 4.3, "Q3_K_M": 4.0, "Q3_K_S": 3.64, "IQ3_M": 3.76,
    "IQ3_S": 3.66, "Q2_K": 3.16, "Q2_K_S": 2.96, "TQ2_0": 2.06, "TQ1_0": 1.69,
}  # fmt: skip


class WorkshopError(AppError):
    """Something could not be made or measured."""


@dataclass(frozen=True, slots=True)
class Step:
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Perplexity:
    value: float
    error: float  # one standard error
    num_tokens: int


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
    try:
        arguments = (str(source), str(part), kind)
        async with _child("webui.engine.quantizer", *arguments) as messages:
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
    async with _child("webui.engine.perplexity", *arguments) as messages:
        async for message in messages:
            if message["event"] == "progress":
                yield Step(message["done"], message["total"])
            else:
                yield Perplexity(message["perplexity"], message["error"], message["num_tokens"])


@asynccontextmanager
async def _child(module: str, *arguments: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Its messages; it is ended with the block. Raises WorkshopError when it says so or dies."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR), "GGML_NO_BACKTRACE": "1"},
    )  # fmt: skip
    try:
        yield _messages(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _messages(process: asyncio.subprocess.Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stdout
    async for line in process.stdout:
        message = json.loads(line)
        if message["event"] == "error":
            raise WorkshopError("engine.workshop_failed", reason=message["reason"])
        yield message
        if message["event"] == "done":
            return
    raise WorkshopError("engine.workshop_failed", reason="llama.cpp ended")
