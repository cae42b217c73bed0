"""Milvus's only door: the vector store's four verbs on a server, a cluster, or a milvus-lite file.

One Milvus collection for each model; an owner's vectors are told apart by a field. The database
stays the truth: a collection that does not agree with it is filled anew. Knows nothing about texts.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from webui.documents.errors import DocumentError
from webui.storage import VectorRow

_BATCH = 1000
_MAX_ID = 64  # characters
_MAX_ROWS = 16_384  # of one query


class MilvusStore:
    """Raises DocumentError when the server cannot be reached or refuses."""

    def __init__(self, uri: str, owner: str, fingerprint: str, num_dimensions: int) -> None:
        self.num_dimensions = num_dimensions
        self._name = f"kajogaki_{fingerprint}"
        self._owner = hashlib.blake2b(owner.encode(), digest_size=16).hexdigest()
        try:
            self._client: Any = MilvusClient(uri)
            if not self._client.has_collection(self._name):
                self._create()
            self._client.load_collection(self._name)
        except (MilvusException, OSError, ValueError) as error:
            raise _unusable(error) from error
        self.highest = self._highest()

    def add(self, rows: Sequence[VectorRow]) -> None:
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            data = [
                {
                    "chunk": row.chunk,
                    "owner": self._owner,
                    "document": row.document_id,
                    "vector": self._numbers(row.vector),
                }
                for row in part
            ]
            self._call("upsert", data=data)
            self.highest = max(self.highest, *(row.chunk for row in part))

    def delete_doc(self, document_id: str) -> None:
        self._call("delete", filter=f"{self._mine} and document == {json.dumps(document_id)}")

    def clear(self) -> None:
        """Forget everything of this owner."""
        self._call("delete", filter=self._mine)
        self.highest = 0

    def search(
        self, vector: bytes, limit: int, document_ids: Sequence[str] | None = None
    ) -> list[tuple[int, float]]:
        condition = self._mine
        if document_ids is not None:
            if not document_ids:
                return []
            condition += f" and document in {json.dumps(list(document_ids))}"
        (hits,) = self._call(
            "search",
            data=[self._numbers(vector)],
            filter=condition,
            limit=limit,
            search_params={"metric_type": "IP"},
        )
        return [(int(hit["chunk"]), float(hit["distance"])) for hit in hits]

    def count(self) -> int:
        (row,) = self._call("query", filter=self._mine, output_fields=["count(*)"])
        return int(row["count(*)"])

    def close(self) -> None:
        self._client.close()

    @property
    def _mine(self) -> str:
        return f'owner == "{self._owner}"'

    def _highest(self) -> int:
        """The largest chunk; a query returns some of the rows, so it is asked for larger ones."""
        highest = 0
        while rows := self._call(
            "query",
            filter=f"{self._mine} and chunk > {highest}",
            output_fields=["chunk"],
            limit=_MAX_ROWS,
        ):
            highest = max(int(row["chunk"]) for row in rows)
        return highest

    def _create(self) -> None:
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("chunk", DataType.INT64, is_primary=True)
        schema.add_field("owner", DataType.VARCHAR, max_length=_MAX_ID)
        schema.add_field("document", DataType.VARCHAR, max_length=_MAX_ID)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.num_dimensions)
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
        self._client.create_collection(
            self._name, schema=schema, index_params=index, consistency_level="Strong"
        )

    def _numbers(self, vector: bytes) -> list[float]:
        if len(vector) != 2 * self.num_dimensions:
            raise ValueError(f"a vector here has {self.num_dimensions} dimensions")
        return numpy.frombuffer(vector, dtype="<f2").astype(numpy.float32).tolist()  # type: ignore[no-any-return]

    def _call(self, verb: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, verb)(self._name, **arguments)
        except (MilvusException, OSError) as error:
            raise _unusable(error) from error


def _unusable(error: Exception) -> DocumentError:
    return DocumentError("documents.milvus", reason=" ".join(str(error).split())[:200])
