"""Reads safetensors files as hostile bytes: a checked table, then rows of one tensor at a time.

Format: https://huggingface.co/docs/safetensors. Our own reader because NumPy has no bfloat16 and
torch must stay out of this process. Knows nothing about models.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from webui.workshop.convert.errors import ConvertError

MAX_HEADER_BYTES = 1 << 27
MAX_DIMS = 4
DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor in one file; `rows` reads it."""

    name: str
    path: Path
    offset: int  # from the start of the file
    dtype: str
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return prod(self.shape) * np.dtype(DTYPES[self.dtype]).itemsize

    def rows(self, wanted: "slice | npt.NDArray[np.int64]") -> npt.NDArray[np.float32]:
        """Some rows (of a vector: elements) as float32."""
        dtype = DTYPES[self.dtype]
        mapped = np.memmap(self.path, dtype, "r", self.offset, self.shape or (1,))
        values = np.array(mapped[wanted])
        if self.dtype == "BF16":  # the upper half of a float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of the model in `folder`, by name. Raises ConvertError."""
    found: dict[str, Tensor] = {}
    for path in _files(folder):
        for tensor in _table(path):
            if tensor.name in found:
                raise ConvertError("convert.bad_weights", file=path.name, reason=tensor.name)
            found[tensor.name] = tensor
    return found


def _files(folder: Path) -> list[Path]:
    """The files that the index names, or the only one."""
    index = folder / INDEX
    if index.is_file():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8-sig"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConvertError("convert.bad_weights", file=INDEX, reason=error) from error
    else:
        names = {SINGLE}
    for name in names:
        if not isinstance(name, str) or "/" in name or "\\" in name or name.startswith("."):
            raise ConvertError("convert.bad_weights", file=INDEX, reason=name)
        if not (folder / name).is_file():
            raise ConvertError("convert.no_weights", folder=folder.name, file=name)
    return [folder / name for name in sorted(names)]


def _table(path: Path) -> list[Tensor]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise ValueError(f"header of {length} bytes")
            header = json.loads(file.read(length))
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        return [_tensor(path, name, entry, 8 + length, size) for name, entry in entries.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise ConvertError("convert.bad_weights", file=path.name, reason=reason) from error


def _tensor(path: Path, name: str, entry: Mapping[str, Any], start: int, size: int) -> Tensor:
    """Raises ValueError and its like when the entry does not fit the file."""
    shape = tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if len(shape) > MAX_DIMS or not all(type(n) is int and 0 < n < 1 << 40 for n in shape):
        raise ValueError(f"{name}: shape {shape}")
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"{name}: {entry['dtype']} ({', '.join(DTYPES)})")
    tensor = Tensor(name, path, start + begin, entry["dtype"], shape)
    if begin < 0 or end - begin != tensor.num_bytes or start + end > size:
        raise ValueError(f"{name}: {begin}–{end}")
    return tensor
