"""Where vectors are searched: the small interface, and FAISS, whose only door this is.

The database has all vectors; a store can always be built from it. Up to FLAT_LIMIT vectors the
search is exact and the store has no file (building takes half a second); above, it is an inverted
file of 8-bit codes, kept in a file with a checksum. Knows nothing about texts or models.
"""

import hashlib
import logging
import math
import os
import struct
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy

from webui.storage import VectorRow

log = logging.getLogger(__name__)

FLAT_LIMIT = 100_000
_NUM_PROBES = 48
_TRAINING_SHARE = 64  # vectors per cell
_GROWTH = 4  # cells are learnt anew when there are this many times more vectors
_EXACT_BELOW = 20_000  # chosen vectors: every cell is looked into
_HEADER = struct.Struct("<8sqqq32s")  # magic, vectors, highest number, dimensions, checksum
_MAGIC = b"kajovec1"

_faiss: Any = faiss  # its stubs lack half of it
faiss.omp_set_num_threads(1)  # one query is faster so, by far on a busy machine


class VectorStore(Protocol):
    """One owner's vectors of one model. Thread-safe. Vectors are float16 of length 1."""

    highest: int  # the highest chunk number that was ever added

    def add(self, rows: Sequence[VectorRow]) -> None:
        """Raises ValueError on another number of dimensions."""

    def delete_doc(self, document_id: str) -> None: ...

    def search(
        self, vector: bytes, limit: int, document_ids: Sequence[str] | None = None
    ) -> list[tuple[int, float]]:
        """The nearest chunks: (number, inner product), best first; of some documents only."""

    def count(self) -> int: ...

    def close(self) -> None:
        """Keep what would be slow to build again."""


class FaissStore:
    """In this process. `file` is used only when there are more than `flat_limit` vectors."""

    def __init__(
        self, num_dimensions: int, file: Path | None = None, flat_limit: int = FLAT_LIMIT
    ) -> None:
        self.num_dimensions = num_dimensions
        self.highest = 0
        self._file = file
        self._flat_limit = flat_limit
        self._lock = threading.Lock()
        self._chunks: dict[str, list[int]] = {}  # by document
        self._index: Any = _flat(num_dimensions)
        self._num_trained = 0  # vectors that the cells were learnt from; 0: flat
        self._is_saved = True

    def count(self) -> int:
        return int(self._index.ntotal)

    def add(self, rows: Sequence[VectorRow]) -> None:
        if not rows:
            return
        vectors = self._matrix(row.vector for row in rows)
        numbers = numpy.array([row.chunk for row in rows], dtype=numpy.int64)
        with self._lock:
            self._index.add_with_ids(vectors, numbers)
            self._remember(rows)
            self._is_saved = False
            if self.count() > max(self._flat_limit, _GROWTH * self._num_trained):
                self._learn_cells()

    def delete_doc(self, document_id: str) -> None:
        with self._lock:
            numbers = self._chunks.pop(document_id, [])
            if numbers:
                self._index.remove_ids(numpy.array(numbers, dtype=numpy.int64))
                self._is_saved = False

    def search(
        self, vector: bytes, limit: int, document_ids: Sequence[str] | None = None
    ) -> list[tuple[int, float]]:
        row = self._matrix([vector])
        with self._lock:
            chosen = None
            if document_ids is not None:
                lists = (self._chunks.get(id, []) for id in document_ids)
                chosen = numpy.array([n for part in lists for n in part], dtype=numpy.int64)
            scores, numbers = self._index.search(
                row, max(1, min(limit, self.count() or 1)), params=self._parameters(chosen)
            )
        found = zip(numbers[0], scores[0], strict=True)
        return [(int(number), float(score)) for number, score in found if number >= 0]

    def close(self) -> None:
        """Write the file, when there is to be one and it is not current."""
        with self._lock:
            if self._file and self._num_trained and not self._is_saved:
                self._save(self._file)

    def load(self, is_current: "IsCurrent", rows: "Rows") -> bool:
        """Take the file, when it is whole and tells of nothing that has gone since.

        `is_current(count, highest)` asks the database; `rows()` gives number and document of what
        the file has. False: build it.
        """
        if self._file is None or not self._file.exists():
            return False
        loaded = _read(self._file, self.num_dimensions)
        if loaded is None or not is_current(*loaded[:2]):
            return False
        with self._lock:
            _, self.highest, self._index = loaded
            self._num_trained = self.count()
            for number, document_id in rows(self.highest):
                self._chunks.setdefault(document_id, []).append(number)
        return True

    def _parameters(self, chosen: Any) -> Any:
        selector = None if chosen is None else _faiss.IDSelectorBatch(chosen)
        if not self._num_trained:
            return None if selector is None else _faiss.SearchParameters(sel=selector)
        num_probes = _NUM_PROBES
        if chosen is not None and len(chosen) < _EXACT_BELOW:
            num_probes = self._index.nlist
        return _faiss.SearchParametersIVF(sel=selector, nprobe=num_probes)

    def _remember(self, rows: Sequence[VectorRow]) -> None:
        for row in rows:
            self._chunks.setdefault(row.document_id, []).append(row.chunk)
        self.highest = max(self.highest, max(row.chunk for row in rows))

    def _learn_cells(self) -> None:
        """From flat to cells, or to more cells; half a minute for a million vectors."""
        numbers = numpy.array(sorted(n for part in self._chunks.values() for n in part))
        if self._num_trained:
            self._index.set_direct_map_type(_faiss.DirectMap.Hashtable)
        vectors = numpy.stack([self._index.reconstruct(int(number)) for number in numbers])
        num_cells = max(1, round(4 * math.sqrt(len(numbers))))
        index = _faiss.index_factory(
            self.num_dimensions, f"IVF{num_cells},SQ8", _faiss.METRIC_INNER_PRODUCT
        )
        chance = numpy.random.default_rng(0)
        sample = min(len(numbers), _TRAINING_SHARE * num_cells)
        index.train(vectors[chance.choice(len(numbers), sample, replace=False)])
        index.add_with_ids(vectors, numbers)
        self._index, self._num_trained = index, len(numbers)
        if self._file:
            self._save(self._file)

    def _save(self, file: Path) -> None:
        data = _faiss.serialize_index(self._index).tobytes()
        header = _HEADER.pack(
            _MAGIC, self.count(), self.highest, self.num_dimensions, _checksum(data)
        )
        temporary = file.with_name(f"{file.name}.new")
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with temporary.open("wb") as target:
                target.write(header + data)
                target.flush()
                os.fsync(target.fileno())
            temporary.replace(file)
            _sync_folder(file.parent)
            self._is_saved = True
        except OSError as error:  # the file only saves time
            log.warning("the vector index was not saved: %s", error)
            temporary.unlink(missing_ok=True)

    def _matrix(self, vectors: Iterable[bytes]) -> Any:
        parts = list(vectors)
        data = b"".join(parts)
        if len(data) != 2 * len(parts) * self.num_dimensions:
            raise ValueError(f"a vector here has {self.num_dimensions} dimensions")
        rows = numpy.frombuffer(data, dtype="<f2").reshape(len(parts), self.num_dimensions)
        return rows.astype(numpy.float32)


class IsCurrent(Protocol):
    def __call__(self, count: int, highest: int) -> bool: ...


class Rows(Protocol):
    def __call__(self, highest: int) -> Iterable[tuple[int, str]]: ...


def _flat(num_dimensions: int) -> Any:
    """Exact: vectors come as float16 and are kept so, at half the memory traffic."""
    index = _faiss.IndexScalarQuantizer(
        num_dimensions, _faiss.ScalarQuantizer.QT_fp16, _faiss.METRIC_INNER_PRODUCT
    )
    return _faiss.IndexIDMap2(index)


def _read(file: Path, num_dimensions: int) -> tuple[int, int, Any] | None:
    """(vectors, highest number, index), or None when the file is damaged or of another kind.

    FAISS itself loads flipped bits without a word, so the checksum is looked at first.
    """
    try:
        data = file.read_bytes()
        magic, count, highest, dimensions, checksum = _HEADER.unpack_from(data)
        body = data[_HEADER.size :]
        if (magic, dimensions, checksum) != (_MAGIC, num_dimensions, _checksum(body)):
            raise ValueError("wrong header or checksum")
        index = _faiss.deserialize_index(numpy.frombuffer(body, dtype=numpy.uint8))
        if index.ntotal != count:
            raise ValueError("wrong count")
    except (OSError, ValueError, struct.error, RuntimeError) as error:
        log.warning("the vector index is built anew: %s: %s", file.name, error)
        return None
    return count, highest, index


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def _sync_folder(folder: Path) -> None:
    """So that the new name survives a power cut; Windows cannot and need not."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
