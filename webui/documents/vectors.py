"""FAISS's only door: nearest vectors by inner product. Knows nothing about texts or owners.

Flat, exact, in memory: up to 100,000 vectors it is built anew from the database in half a second,
so it has no file that could disagree with it (docs/decisions). float16 in, float32 inside.
"""

import threading
from collections.abc import Sequence
from typing import Any

import faiss
import numpy

_faiss: Any = faiss  # its stubs lack half of it
faiss.omp_set_num_threads(1)  # one query is faster so, by far on a busy machine


class VectorIndex:
    """Vectors of `num_dimensions` by number. Safe to use from several threads."""

    def __init__(self, num_dimensions: int) -> None:
        self.num_dimensions = num_dimensions
        self.highest = 0  # the highest number in it
        self._lock = threading.Lock()
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(num_dimensions))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Numbered vectors as little-endian float16. Raises ValueError on another length."""
        if not vectors:
            return
        numbers = numpy.array([number for number, _ in vectors], dtype=numpy.int64)
        rows = self._rows(b"".join(vector for _, vector in vectors), len(vectors))
        with self._lock:
            self._index.add_with_ids(rows, numbers)
            self.highest = max(self.highest, int(numbers.max()))

    def remove(self, numbers: Sequence[int]) -> None:
        with self._lock:
            self._index.remove_ids(numpy.array(numbers, dtype=numpy.int64))

    def search(
        self, vector: bytes, limit: int, among: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """The nearest ones: (number, inner product), best first; exact, also `among` some."""
        row = self._rows(vector, 1)
        parameters: Any = None
        if among is not None:
            selector = _faiss.IDSelectorBatch(numpy.array(among, dtype=numpy.int64))
            parameters = _faiss.SearchParameters(sel=selector)
        with self._lock:
            scores, numbers = self._index.search(
                row, max(1, min(limit, len(self) or 1)), params=parameters
            )
        found = zip(numbers[0], scores[0], strict=True)
        return [(int(number), float(score)) for number, score in found if number >= 0]

    def _rows(self, data: bytes, num_rows: int) -> Any:
        if len(data) != 2 * num_rows * self.num_dimensions:
            raise ValueError(f"a vector here has {self.num_dimensions} dimensions")
        rows = numpy.frombuffer(data, dtype="<f2").reshape(num_rows, self.num_dimensions)
        return rows.astype(numpy.float32)
