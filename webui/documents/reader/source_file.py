"""SourceFile: a file to read, from the disk or from inside another. Knows no kind of file."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from webui.documents.errors import DocumentError

HEAD_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class SourceFile:
    name: str  # as it is called where it comes from; may lie about what it is
    stream: BinaryIO
    size: int
    path: Path | None = None  # where it lies on the disk, unless it is inside another file

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> "SourceFile":
        return cls(name, BytesIO(data), len(data))

    @property
    def suffix(self) -> str:
        return Path(self.name.lower()).suffix

    def head(self) -> bytes:
        self.stream.seek(0)
        return self.stream.read(HEAD_BYTES)

    def data(self, limit: int) -> bytes:
        """All of it. Raises DocumentError when that is more than `limit` bytes."""
        if self.size > limit:
            raise DocumentError("documents.too_large", limit_mb=limit // 1_000_000)
        self.stream.seek(0)
        return self.stream.read(limit + 1)
