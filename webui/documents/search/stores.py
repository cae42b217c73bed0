"""How a vector store is opened: FAISS in this process, or Milvus where a setting names one.

Knows nothing about what is searched.
"""

import hashlib
from pathlib import Path

from webui.documents.errors import DocumentError
from webui.documents.search.retriever import MakeStore
from webui.documents.search.vectors import FaissStore, VectorStore
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


def milvus_stores(vectors: Vectors, uri: str) -> MakeStore:
    """On a server or cluster by URL, or in a milvus-lite file. Raises DocumentError in `make`.

    What Milvus has is compared with the database once; another count is another truth.
    """

    def make(owner: str, fingerprint: str, num_dimensions: int) -> VectorStore:
        try:
            from webui.documents.search.milvus_store import MilvusStore  # an extra
        except ImportError as error:
            raise DocumentError("documents.no_milvus") from error
        store = MilvusStore(uri, owner, fingerprint, num_dimensions)
        if store.count() != vectors.count_until(fingerprint, owner, store.highest):
            store.clear()
        return store

    return make
