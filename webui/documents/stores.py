"""How a vector store is opened: FAISS in this process, or Milvus where a setting names one.

Knows nothing about what is searched.
"""

import hashlib
from pathlib import Path

from webui.documents.retriever import MakeStore
from webui.documents.vectors import FaissStore, VectorStore
from webui.storage import Vectors


def faiss_stores(vectors: Vectors, folder: Path) -> MakeStore:
    """Large ones are kept in a file of `folder` and taken from there after a restart."""

    def make(owner: str, fingerprint: str, num_dimensions: int) -> VectorStore:
        name = hashlib.blake2b(f"{owner}\0{fingerprint}".encode(), digest_size=16).hexdigest()
        store = FaissStore(num_dimensions, folder / f"{name}.faiss")
        store.load(
            lambda count, highest: vectors.count_until(fingerprint, owner, highest) == count,
            lambda highest: vectors.chunks_until(fingerprint, owner, highest),
        )
        return store

    return make
