"""Length-prefixed frames over a byte stream: 4 bytes little-endian length, then the frame."""

import struct
from typing import BinaryIO

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
