"""Reads a SentencePiece tokenizer.model: its pieces, and how it treats spaces.

Just the fields we need of sentencepiece_model.proto, from the bytes: no library of its own for
three numbers. Knows nothing about GGUF.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import unpack

from webui.workshop.convert.errors import ConvertError

MAX_BYTES = 1 << 26
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
UNIGRAM, BPE = 1, 2
Field = tuple[int, int | bytes]


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    score: float
    kind: int  # as in GGUF: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte


@dataclass(frozen=True, slots=True)
class SentencePieceModel:
    pieces: tuple[Piece, ...]
    kind: int  # UNIGRAM, BPE, …
    add_dummy_prefix: bool


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Raises ConvertError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("too large")
        return _model(path.read_bytes())
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise ConvertError("convert.bad_file", file=path.name, reason=error) from error


def _model(data: bytes) -> SentencePieceModel:
    pieces: list[Piece] = []
    kind, add_dummy_prefix = UNIGRAM, True
    for number, value in _fields(data):
        if number == 1:
            pieces.append(_piece(_bytes(value)))
        elif number == 2:
            kind = dict(_fields(_bytes(value))).get(3, UNIGRAM)  # type: ignore[assignment]
        elif number == 3:
            add_dummy_prefix = bool(dict(_fields(_bytes(value))).get(3, 1))
    if not pieces:
        raise ValueError("no pieces")
    return SentencePieceModel(tuple(pieces), kind, add_dummy_prefix)


def _piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    score, kind = fields.get(2, bytes(4)), fields.get(3, 1)
    if not isinstance(kind, int) or not 1 <= kind <= 6:
        raise ValueError(f"a piece of kind {kind!r}")
    return Piece(_bytes(fields[1]).decode(), unpack("<f", _bytes(score))[0], kind)


def _fields(data: bytes) -> Iterator[Field]:
    """Number and value of each field: https://protobuf.dev/programming-guides/encoding/."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == BYTES:
            length, position = _varint(data, position)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(data):
            raise ValueError("cut short")
        yield number, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number that does not end")


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where bytes belong")
    return value
