"""Convert: a local Hugging Face folder (safetensors) → one GGUF that computes the same.

`convert` here starts `converter` in a child process and gives the file its name at the end;
`architectures` and `metadata` know what llama.cpp expects, `vocabulary` and `specials` the
tokenizer, `check` compares how texts are cut. Knows nothing about the page.
"""

import json
import os
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from webui.models.gguf import check_file
from webui.workshop.convert.architectures import ARCHITECTURES
from webui.workshop.convert.errors import ConvertError
from webui.workshop.making import SPARE_BYTES, making
from webui.workshop.workshop import PART, Step

__all__ = ["ARCHITECTURES", "KINDS", "ConvertError", "Source", "convert", "source_of"]

KINDS = ("F16", "Q8_0")
SHARES = {"F16": 1.0, "Q8_0": 0.54}  # of the bytes of two-byte weights


@dataclass(frozen=True, slots=True)
class Source:
    """What a folder holds, as far as one may say without reading it all."""

    folder: Path
    architecture: str
    num_bytes: int  # of its weights


def source_of(folder: Path) -> Source:
    """Raises ConvertError for a folder that is none of a model."""
    if not folder.is_dir():
        raise ConvertError("convert.no_folder", folder=str(folder)[:200])
    weights = list(folder.glob("*.safetensors"))
    config = folder / "config.json"
    if not config.is_file():
        raise ConvertError("convert.no_file", file="config.json")
    if not weights:
        raise ConvertError("convert.no_weights", folder=folder.name, file="*.safetensors")
    try:
        names = json.loads(config.read_text(encoding="utf-8-sig")).get("architectures") or ["?"]
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        values = {"file": "config.json", "reason": str(error)[:200]}
        raise ConvertError("convert.bad_file", **values) from error
    return Source(folder, str(names[0])[:60], sum(path.stat().st_size for path in weights))


async def convert(source: Path, target: Path, kind: str) -> AsyncGenerator[Step, None]:
    """Write the model in folder `source` to `target`. Closing it cancels; nothing half-made stays.

    Raises ConvertError, WorkshopError, BadGgufError.
    """
    if kind not in KINDS:
        raise ConvertError("convert.unknown_kind", kind=kind[:20], kinds=", ".join(KINDS))
    needed = int(source_of(source).num_bytes * SHARES[kind])
    if target.exists():
        raise ConvertError("downloads.exists", name=target.name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
    except OSError as error:
        raise ConvertError("downloads.not_writable", reason=error.strerror) from error
    if needed + SPARE_BYTES > free:
        values = {"missing_gb": needed / 1e9, "free_gb": free / 1e9}
        raise ConvertError("downloads.no_space", name=target.name, **values)
    part = target.with_name(target.name + PART)
    part.unlink(missing_ok=True)  # an earlier run's; or a link, through which nothing is written
    try:
        arguments = (str(source), str(part), kind)
        async with making("webui.workshop.convert.converter", *arguments) as messages:
            async for message in messages:
                if message["event"] == "progress":
                    yield Step(message["done"], message["total"])
        check_file(part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
