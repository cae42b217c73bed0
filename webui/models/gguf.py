"""Reads the header of a GGUF file and trusts nothing in it; never touches the weights.

Every count, length, type and offset is checked before it is used, so that a damaged or hostile
file gives one clear sentence here instead of a crash inside llama.cpp. Layout: docs/gguf.md of
github.com/ggml-org/ggml. The file is read, not mapped: a map would end the process with SIGBUS
when somebody shortens the file meanwhile.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NoReturn

from webui.errors import AppError

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]

MAX_HEADER_BYTES = 1 << 26  # the largest known vocabulary (262,144 pieces and merges) takes 16 MB
MAX_STRING_BYTES = 1 << 23
MAX_KEY_BYTES = (1 << 16) - 1
MAX_ENTRIES = 1 << 16  # metadata keys, and tensors
MAX_ARRAY = 1 << 22
MAX_KEPT_ARRAY = 256  # longer arrays are stepped over; only their length is kept
MAX_DIMS = 4
MAX_ALIGNMENT = 1 << 20
MAX_TENSOR_NAME_BYTES = 63
FIRST_READ_BYTES = 1 << 20

U32, U64 = Struct("<I"), Struct("<Q")
NUMBERS = {
    code: Struct("<" + letter)
    for code, letter in {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f"}.items()
} | {10: Struct("<Q"), 11: Struct("<q"), 12: Struct("<d")}
BOOL, STRING, ARRAY = 7, 8, 9
VOCABULARY = "tokenizer.ggml.tokens"

TENSOR_TYPES = {  # ggml_type: name, weights per block, bytes per block
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2),
    26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip


class BadGgufError(AppError):
    """This file cannot be a model; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """What the table says of one tensor; its data is not read."""

    name: str
    dims: tuple[int, ...]  # fastest first, as in the file
    type_name: str
    num_bytes: int
    offset: int  # from the start of the data

    @property
    def n_params(self) -> int:
        return prod(self.dims)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    version: int
    metadata: dict[str, Value]  # without arrays longer than MAX_KEPT_ARRAY
    array_lengths: dict[str, int]  # of every array
    n_tensors: int
    n_params: int
    weight_type: str  # the tensor type that takes the most bytes, "" without tensors
    tensors: tuple[GgufTensor, ...] = ()
    repeated: frozenset[str] = frozenset()  # keys of vocabularies with a piece twice

    def string(self, key: str) -> str:
        """The value when it is a string, else ""."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def integer(self, key: str) -> int:
        """The value when it is an integer, else 0."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else 0


def read_header(path: Path) -> GgufHeader:
    """The checked header of `path`. Raises BadGgufError, also for files that cannot be read."""
    name = shown_name(path)
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadGgufError("catalog.gguf_not_gguf", name=name)
            return _Reader(file, status.st_size, name).header()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadGgufError("catalog.gguf_unreadable", name=name, reason=reason) from error


def shown_name(path: Path) -> str:
    """The file's name as it may be shown: bytes that are no UTF-8 replaced."""
    return os.fsencode(path.name).decode(errors="replace")


def _open_without_waiting(path: str, flags: int) -> int:
    """A named pipe must not keep us until somebody writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class _Reader:
    """A position in the header of one open file; each method steps over what it returns."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self._file = file
        self._size = size
        self._name = name
        self._data = b""
        self._position = 0
        self._repeated: set[str] = set()

    def header(self) -> GgufHeader:
        version = self._preamble()
        n_tensors = self._count("tensors", MAX_ENTRIES)
        metadata, array_lengths = self._metadata(self._count("metadata keys", MAX_ENTRIES))
        alignment = self._alignment(metadata)
        tensors = list(self._tensors(n_tensors, alignment))
        if tensors:
            self._check_data(tensors, alignment)
        bytes_of_type = Counter[str]()
        for tensor in tensors:
            bytes_of_type[tensor.type_name] += tensor.num_bytes
        return GgufHeader(
            version=version,
            metadata=metadata,
            array_lengths=array_lengths,
            n_tensors=n_tensors,
            n_params=sum(tensor.n_params for tensor in tensors),
            weight_type=bytes_of_type.most_common(1)[0][0] if tensors else "",
            tensors=tuple(tensors),
            repeated=frozenset(self._repeated),
        )

    def _preamble(self) -> int:
        if self._size < 4 or self._take(4) != b"GGUF":
            raise BadGgufError("catalog.gguf_not_gguf", name=self._name)
        raw = self._take(4)
        version = int.from_bytes(raw, "little")
        if version & 0xFFFF == 0 and raw != bytes(4):
            raise BadGgufError("catalog.gguf_big_endian", name=self._name)
        if version not in (2, 3):
            raise BadGgufError("catalog.gguf_version", name=self._name, version=version)
        return version

    def _metadata(self, count: int) -> tuple[dict[str, Value], dict[str, int]]:
        metadata: dict[str, Value] = {}
        array_lengths: dict[str, int] = {}
        seen: set[str] = set()
        for _ in range(count):
            key = self._key()
            if key in seen:
                self._damaged(f"key {key!r} twice")
            seen.add(key)
            kind = self._number(U32)
            if kind != ARRAY:
                metadata[key] = self._scalar(kind)
                continue
            element, length = self._number(U32), self._count("array elements", MAX_ARRAY)
            array_lengths[key] = length
            if length <= MAX_KEPT_ARRAY:
                metadata[key] = tuple(self._scalar(element) for _ in range(length))
            elif key == VOCABULARY and element == STRING:
                self._check_pieces(length)
            else:
                self._skip_array(element, length)
        return metadata, array_lengths

    def _scalar(self, kind: int) -> Scalar:
        if kind == STRING:
            return self._string(MAX_STRING_BYTES).decode(errors="replace")
        if kind == BOOL:
            byte = self._take(1)[0]
            return bool(byte) if byte <= 1 else self._damaged(f"boolean {byte}")
        if kind not in NUMBERS:
            self._damaged(f"value type {kind}")
        value = NUMBERS[kind].unpack(self._take(NUMBERS[kind].size))[0]
        assert isinstance(value, int | float)
        return value

    def _skip_array(self, element: int, length: int) -> None:
        if element == STRING:
            self._skip_strings(length)
        elif element == BOOL or element in NUMBERS:
            self._take(length * (1 if element == BOOL else NUMBERS[element].size))
        else:
            self._damaged(f"array element type {element}")

    def _check_pieces(self, count: int) -> None:
        """llama.cpp ends its process at a piece that is there twice, and reads one up to a NUL."""
        start = self._position
        self._skip_strings(count)
        data, position, seen, num_empty = self._data, start, set[bytes](), 0
        for _ in range(count):
            (length,) = U64.unpack_from(data, position)
            piece = data[position + 8 : position + 8 + length].partition(b"\0")[0]
            num_empty += not piece  # gets a name of its own
            seen.add(piece)
            position += 8 + length
        if len(seen) + max(0, num_empty - 1) < count:
            self._repeated.add(VOCABULARY)

    def _skip_strings(self, count: int) -> None:
        """Vocabularies have 10^5 pieces: no method call for each of them."""
        data, position = self._data, self._position
        for _ in range(count):
            if position + 8 > len(data):
                self._position = position
                self._need(8)
                data = self._data
            (length,) = U64.unpack_from(data, position)
            if length > MAX_STRING_BYTES:
                self._position = position
                self._damaged(f"string of {length} bytes")
            position += 8 + length
        self._position = position
        self._need(0)

    def _alignment(self, metadata: dict[str, Value]) -> int:
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or isinstance(alignment, bool):
            self._damaged("alignment is no integer")
        if not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
            self._damaged(f"alignment {alignment}")
        return alignment

    def _tensors(self, count: int, alignment: int) -> Iterator[GgufTensor]:
        seen: set[bytes] = set()
        for _ in range(count):
            name = self._string(MAX_TENSOR_NAME_BYTES)
            if name in seen:
                self._damaged(f"tensor {name!r} twice")
            seen.add(name)
            n_dims = self._number(U32)
            if not 1 <= n_dims <= MAX_DIMS:
                self._damaged(f"{n_dims} dimensions")
            dims = [self._number(U64) for _ in range(n_dims)]
            kind, offset = self._number(U32), self._number(U64)
            if kind not in TENSOR_TYPES:
                raise BadGgufError("catalog.gguf_unknown_type", name=self._name, type=kind)
            type_name, block, block_bytes = TENSOR_TYPES[kind]
            n_params = prod(dims)
            if n_params == 0 or n_params >= 1 << 63 or dims[0] % block:
                self._damaged(f"tensor shape {dims}")
            if offset % alignment or offset >= 1 << 63:
                self._damaged(f"tensor offset {offset}")
            yield GgufTensor(
                name=name.decode(errors="replace"),
                dims=tuple(dims),
                type_name=type_name,
                num_bytes=n_params // block * block_bytes,
                offset=offset,
            )

    def _check_data(self, tensors: list[GgufTensor], alignment: int) -> None:
        """Tensors must lie beside each other and inside the file."""
        start = -(-self._position // alignment) * alignment
        ordered = sorted(tensors, key=lambda tensor: tensor.offset)
        for tensor, following in pairwise(ordered):
            if tensor.offset + tensor.num_bytes > following.offset:
                self._damaged("tensors overlap")
        expected = sum(-(-t.num_bytes // alignment) * alignment for t in tensors)
        last = ordered[-1]
        if last.offset + last.num_bytes > expected:
            self._damaged(f"tensor offset {last.offset}")
        if (missing := start + last.offset + last.num_bytes - self._size) > 0:
            self._truncated(missing)

    def _key(self) -> str:
        raw = self._string(MAX_KEY_BYTES)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self._damaged("a key that is no UTF-8")

    def _string(self, max_bytes: int) -> bytes:
        length = self._number(U64)
        if length > max_bytes:
            self._damaged(f"string of {length} bytes")
        return self._take(length)

    def _count(self, what: str, maximum: int) -> int:
        count = self._number(U64)
        if count > maximum:
            self._damaged(f"{count} {what}")
        return count

    def _number(self, form: Struct) -> int:
        return int.from_bytes(self._take(form.size), "little")

    def _take(self, count: int) -> bytes:
        self._need(count)
        taken = self._data[self._position : self._position + count]
        self._position += count
        return taken

    def _need(self, count: int) -> None:
        """Have `count` bytes from the position on in memory."""
        end = self._position + count
        if end <= len(self._data):
            return
        if end > self._size:
            self._truncated(end - self._size)
        if end > MAX_HEADER_BYTES:
            self._damaged(f"header of more than {MAX_HEADER_BYTES} bytes")
        wanted = max(end - len(self._data), len(self._data), FIRST_READ_BYTES)
        self._data += self._file.read(min(wanted, self._size - len(self._data)))
        if end > len(self._data):  # somebody shortened the file meanwhile
            self._truncated(end - len(self._data))

    def _truncated(self, missing: int) -> NoReturn:
        raise BadGgufError("catalog.gguf_truncated", name=self._name, missing=missing)

    def _damaged(self, reason: str) -> NoReturn:
        raise BadGgufError(
            "catalog.gguf_damaged", name=self._name, offset=self._position, reason=reason
        )


RANGES = {  # of "<architecture>.<key>", where it is there
    "block_count": (1, 1024),
    "context_length": (1, 1 << 30),
    "embedding_length": (1, 1 << 20),
    "feed_forward_length": (0, 1 << 24),
    "attention.head_count": (0, 1 << 14),
    "attention.head_count_kv": (0, 1 << 14),
    "attention.key_length": (1, 1 << 16),
    "attention.value_length": (1, 1 << 16),
    "expert_count": (0, 1 << 12),
    "expert_used_count": (0, 1 << 12),
    "rope.dimension_count": (0, 1 << 16),
}
TOKENS = "tokenizer.ggml.tokens"
PER_TOKEN = ("tokenizer.ggml.scores", "tokenizer.ggml.token_type")
TOKEN_ID = "tokenizer.ggml."
NO_TOKEN = (-1, 0xFFFFFFFF)


def check_file(path: Path) -> GgufHeader:
    """The header of the model in `path`. Raises BadGgufError."""
    header = read_header(path)
    check_values(header, shown_name(path))
    return header


def check_values(header: GgufHeader, name: str) -> None:
    """Raises BadGgufError naming the first key whose value cannot be meant."""
    for key in _bad_keys(header):
        raise BadGgufError("catalog.gguf_absurd", name=name, entry=key)


def _bad_keys(header: GgufHeader) -> Iterator[str]:
    architecture = header.string("general.architecture")
    for short, (low, high) in RANGES.items():
        key = f"{architecture}.{short}"
        if key in header.metadata and not _is_between(header.metadata[key], low, high):
            yield key
    yield from _bad_vocabulary(header)


def _is_between(value: object, low: int, high: int) -> bool:
    """An integer, or a list of one per layer."""
    values = value if isinstance(value, tuple) else (value,)
    return all(type(item) is int and low <= item <= high for item in values)


def _bad_vocabulary(header: GgufHeader) -> Iterator[str]:
    n_tokens = header.array_lengths.get(TOKENS)
    if n_tokens is None:
        return
    yield from header.repeated
    for key in PER_TOKEN:
        if header.array_lengths.get(key, n_tokens) != n_tokens:
            yield key
    for key, value in header.metadata.items():
        is_id = key.startswith(TOKEN_ID) and key.endswith("_token_id")
        if is_id and not (type(value) is int and (0 <= value < n_tokens or value in NO_TOKEN)):
            yield key
    for tensor in header.tensors:
        if tensor.name == "token_embd.weight" and tensor.dims[1:] and tensor.dims[1] < n_tokens:
            yield TOKENS
