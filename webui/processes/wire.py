"""Frames and messages over the pipe to a worker process. Knows nothing about what they mean.

A frame is 4 bytes little-endian length, then the bytes. A message is a frozen dataclass as JSON,
never pickle, so that a worker which a hostile file took over can at worst send wrong values.
"""

import json
import struct
import types
import typing
from array import array
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, BinaryIO

HEADER = struct.Struct("<I")
MAX_FRAME_BYTES = 64 << 20


def write_frame(stream: BinaryIO, frame: bytes) -> None:
    stream.write(HEADER.pack(len(frame)) + frame)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame, or None when the other end is gone. Raises ValueError on an absurd length."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {length} bytes is not ours")
    frame = stream.read(length)
    return frame if len(frame) == length else None


class Codec:
    """Messages of the given dataclasses ↔ frames."""

    def __init__(self, *kinds: type) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def encode(self, message: Any) -> bytes:
        """`message` as one JSON frame. Inverse: decode."""
        return json.dumps([type(message).__name__, asdict(message)], default=_listed).encode()

    def decode(self, frame: bytes) -> Any:
        """The message in `frame`. Raises ValueError on anything that is not one of ours."""
        try:
            name, values = json.loads(frame)
            return _build(self._kinds[name], values)
        except (
            TypeError, KeyError, OverflowError, UnicodeDecodeError, json.JSONDecodeError,
        ) as error:  # fmt: skip
            raise ValueError(f"not one of our messages: {error!r}") from error


def _listed(value: Any) -> list[int]:
    """An array of C integers as JSON knows it."""
    if not isinstance(value, array):
        raise TypeError(f"{value!r} is in no message")
    return value.tolist()


def _build(kind: Any, value: Any) -> Any:
    """`value` from JSON as the annotated type `kind`."""
    if is_dataclass(kind):
        hints = _hints(typing.cast(Any, kind))
        return typing.cast(Any, kind)(
            **{f.name: _build(hints[f.name], value[f.name]) for f in fields(kind)}
        )
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _build(arguments[0], value)
    if origin is dict:
        return dict(value)
    if kind is array:
        return array("i", value)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is not Ellipsis:
            return tuple(_build(k, v) for k, v in zip(arguments, value, strict=True))
        if arguments[0] in (int, float):  # the hot path: token ids, places on paper
            return tuple(value)
        return tuple(_build(arguments[0], item) for item in value)
    return kind(value)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)
