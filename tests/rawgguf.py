"""GGUF files byte by byte, so that tests can write what no correct writer would."""

import struct
from collections.abc import Sequence

U32, F32, BOOL, STRING, ARRAY, U64 = 4, 6, 7, 8, 9, 10
Entry = tuple[str, bytes]


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def string(key: str, value: str | bytes) -> Entry:
    return key, struct.pack("<I", STRING) + text(value)


def u32(key: str, value: int) -> Entry:
    return key, struct.pack("<II", U32, value)


def array(key: str, kind: int, count: int, elements: bytes) -> Entry:
    return key, struct.pack("<IIQ", ARRAY, kind, count) + elements


def tensor(name: str, dims: Sequence[int], kind: int = 0, offset: int = 0) -> bytes:
    shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return text(name) + shape + struct.pack("<IQ", kind, offset)


def file(
    entries: Sequence[Entry] = (),
    tensors: Sequence[bytes] = (),
    *,
    num_data_bytes: int = 0,
    magic: bytes = b"GGUF",
    version: int = 3,
    n_entries: int | None = None,
    n_tensors: int | None = None,
) -> bytes:
    """A whole file; the counts may lie. The data starts at a multiple of 32, all zeros."""
    n_entries = len(entries) if n_entries is None else n_entries
    n_tensors = len(tensors) if n_tensors is None else n_tensors
    head = magic + struct.pack("<IQQ", version, n_tensors, n_entries)
    head += b"".join(text(key) + value for key, value in entries) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + bytes(num_data_bytes)


def model(*more: Entry, num_data_bytes: int = 256) -> bytes:
    """The smallest file that counts as a model: 32 + 32 weights."""
    entries = [string("general.architecture", "llama"), u32("llama.context_length", 4096), *more]
    tensors = [tensor("a.weight", [32]), tensor("b.weight", [8, 4], offset=128)]
    return file(entries, tensors, num_data_bytes=num_data_bytes)
