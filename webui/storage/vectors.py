"""Vectors of chunks, per embedding model: the truth that any vector index is built from.

Knows nothing about models, or about what the numbers mean.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from webui.storage.conversations import NotFoundError
from webui.storage.database import Database
from webui.storage.texts import clean, clean_title


@dataclass(frozen=True, slots=True)
class EmbedderRow:
    fingerprint: str
    name: str
    num_dimensions: int
    query_prompt: str
    document_prompt: str


@dataclass(frozen=True, slots=True)
class VectorRow:
    chunk: int
    document_id: str
    vector: bytes  # little-endian float16, length 1


class Vectors:
    """Every method is one transaction. Raises NotFoundError, StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_embedder(self, embedder: EmbedderRow) -> None:
        with self._database.write() as db:
            db.execute(
                """
                INSERT INTO embedders (fingerprint, name, num_dimensions, query_prompt,
                    document_prompt) VALUES (?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO UPDATE
                SET name = excluded.name, query_prompt = excluded.query_prompt,
                    document_prompt = excluded.document_prompt
                """,
                (
                    embedder.fingerprint,
                    clean_title(embedder.name),
                    embedder.num_dimensions,
                    clean(embedder.query_prompt),
                    clean(embedder.document_prompt),
                ),
            )

    def embedders(self) -> list[tuple[EmbedderRow, int]]:
        """Every model that has embedded something, with how many vectors it has."""
        with self._database.read() as db:
            rows = db.execute(
                """
                SELECT fingerprint, name, num_dimensions, query_prompt, document_prompt,
                    (SELECT count(*) FROM vectors v WHERE v.embedder_number = e.number)
                FROM embedders e ORDER BY number
                """
            )
            return [(EmbedderRow(*row[:5]), row[5]) for row in rows]

    def others(self, fingerprint: str) -> list[str]:
        """Names of the other models that have vectors here: theirs are never compared with its."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT name FROM embedders e WHERE fingerprint != ? AND EXISTS"
                " (SELECT 1 FROM vectors v WHERE v.embedder_number = e.number) ORDER BY number",
                (fingerprint,),
            )
            return [name for (name,) in rows]

    def keep_only(self, fingerprint: str) -> None:
        """Forget all other models and what they have embedded."""
        with self._database.write() as db:
            db.execute("DELETE FROM embedders WHERE fingerprint != ?", (fingerprint,))

    def missing(self, fingerprint: str, limit: int) -> list[tuple[int, str]]:
        """Chunks of all owners that this model has not embedded: (number, indexed text)."""
        with self._database.read() as db:
            number = _embedder_number(db, fingerprint)
            rows = db.execute(
                """
                SELECT k.number, k.indexed || k.text FROM chunks k WHERE NOT EXISTS
                    (SELECT 1 FROM vectors v
                     WHERE v.embedder_number = ? AND v.chunk_number = k.number)
                ORDER BY k.number LIMIT ?
                """,
                (number, limit),
            )
            return [(chunk, text) for chunk, text in rows]

    def counts(self, fingerprint: str) -> tuple[int, int]:
        """(chunks with a vector of this model, chunks); 0 of a model that is not known."""
        with self._database.read() as db:
            (num_chunks,) = db.execute("SELECT count(*) FROM chunks").fetchone()
            (num_vectors,) = db.execute(
                "SELECT count(*) FROM vectors WHERE embedder_number ="
                " (SELECT number FROM embedders WHERE fingerprint = ?)",
                (fingerprint,),
            ).fetchone()
            return int(num_vectors), int(num_chunks)

    def counts_of(self, fingerprint: str, document_ids: Sequence[str]) -> dict[str, int]:
        """How many chunks of each of these documents have a vector of this model."""
        with self._database.read() as db:
            rows = db.execute(
                f"""
                SELECT d.id, count(v.chunk_number) FROM documents d
                LEFT JOIN chunks k ON k.document_number = d.number
                LEFT JOIN vectors v ON v.chunk_number = k.number AND v.embedder_number =
                    (SELECT number FROM embedders WHERE fingerprint = ?)
                WHERE d.id IN ({",".join("?" * len(document_ids))}) GROUP BY d.number
                """,
                (fingerprint, *document_ids),
            )
            return dict(rows.fetchall())

    def save(self, fingerprint: str, vectors: Sequence[tuple[int, bytes]]) -> int:
        """Those whose chunk is still there; refuses another length. Returns how many."""
        with self._database.write() as db:
            number = _embedder_number(db, fingerprint)
            (num_dimensions,) = db.execute(
                "SELECT num_dimensions FROM embedders WHERE number = ?", (number,)
            ).fetchone()
            if any(len(vector) != 2 * num_dimensions for _, vector in vectors):
                raise ValueError(f"a vector of this embedder has {num_dimensions} dimensions")
            saved = db.executemany(
                "INSERT OR REPLACE INTO vectors (embedder_number, chunk_number, vector)"
                " SELECT ?, number, ? FROM chunks WHERE number = ?",
                [(number, vector, chunk) for chunk, vector in vectors],
            )
            return saved.rowcount

    def of_owner(self, fingerprint: str, owner: str, newer_than: int = 0) -> list[VectorRow]:
        """The owner's vectors of one model, by chunk; none of a model that is not known."""
        with self._database.read() as db:
            rows = db.execute(
                """
                SELECT v.chunk_number, d.id, v.vector FROM vectors v
                JOIN chunks k ON k.number = v.chunk_number
                JOIN documents d ON d.number = k.document_number
                WHERE v.embedder_number = (SELECT number FROM embedders WHERE fingerprint = ?)
                    AND d.owner = ? AND v.chunk_number > ?
                ORDER BY v.chunk_number
                """,
                (fingerprint, clean(owner), newer_than),
            )
            return [VectorRow(*row) for row in rows]

    def num_dimensions(self, fingerprint: str) -> int:
        """0: nothing is known of this model."""
        with self._database.read() as db:
            row = db.execute(
                "SELECT num_dimensions FROM embedders WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()
            return int(row[0]) if row else 0

    def count_until(self, fingerprint: str, owner: str, highest: int) -> int:
        """How many vectors the owner has up to this chunk: with it, the generation of an index."""
        return len(self.chunks_until(fingerprint, owner, highest))

    def chunks_until(self, fingerprint: str, owner: str, highest: int) -> list[tuple[int, str]]:
        """(chunk, document) of the owner's vectors up to this chunk."""
        with self._database.read() as db:
            return db.execute(
                """
                SELECT v.chunk_number, d.id FROM vectors v
                JOIN chunks k ON k.number = v.chunk_number
                JOIN documents d ON d.number = k.document_number
                WHERE v.embedder_number = (SELECT number FROM embedders WHERE fingerprint = ?)
                    AND d.owner = ? AND v.chunk_number <= ?
                """,
                (fingerprint, clean(owner), highest),
            ).fetchall()


def _embedder_number(db: sqlite3.Connection, fingerprint: str) -> int:
    row = db.execute(
        "SELECT number FROM embedders WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    if row is None:
        raise NotFoundError
    return int(row[0])
