"""The gate before llama.cpp: a header that is sound, and numbers in it that agree with each other.

Called in the worker process just before llama.cpp opens the file, and when models are listed. Knows
GGUF's key names; loads nothing.
"""

from collections.abc import Iterator
from pathlib import Path

from webui.models.gguf import BadGgufError, GgufHeader, read_header, shown_name

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
