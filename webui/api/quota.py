"""Quota: how much of the disk one user's documents may take, those being uploaded too."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from webui.documents.errors import DocumentError
from webui.storage import Documents

GIGABYTE = 1_000_000_000


class Quota:
    """Counts what is under way, so that uploads at once do not pass it together."""

    def __init__(self, documents: Documents, gigabytes: float) -> None:
        self._documents = documents
        self._limit = int(gigabytes * GIGABYTE)  # 0: none
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def reserved(self, owner: str, num_bytes: int) -> Iterator[None]:
        """While an upload of so many bytes is under way. Raises DocumentError."""
        used = self._documents.num_bytes(owner) + self._under_way[owner]
        if self._limit and used + num_bytes > self._limit:
            raise DocumentError(
                "documents.quota",
                need_mb=-(-num_bytes // 1_000_000),
                free_mb=max(0, self._limit - used) // 1_000_000,
            )
        self._under_way[owner] += num_bytes
        try:
            yield
        finally:
            self._under_way[owner] -= num_bytes
            if not self._under_way[owner]:
                del self._under_way[owner]
