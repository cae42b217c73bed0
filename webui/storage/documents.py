"""Collections, documents, their pages and chunks, and the keyword index, per owner.

A document's pages, chunks and grams come in one transaction, and go in one: nothing is ever half
indexed. Knows nothing about files, models or what is in `places`.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from webui.storage import postings
from webui.storage.conversations import NotFoundError, new_id
from webui.storage.database import Database
from webui.storage.grams import query_grams
from webui.storage.postings import KeywordHits
from webui.storage.stored import stored_choice, stored_list
from webui.storage.texts import MAX_TITLE_CHARS, clean, clean_json, clean_title
from webui.storage.vectors import Vectors

_MAX_IDS = 500  # in one statement


class DocumentStatus(StrEnum):
    WAITING = "waiting"  # to be read
    READING = "reading"
    READY = "ready"  # found by keyword search; vectors may still be missing
    FAILED = "failed"  # see `problem`


@dataclass(frozen=True, slots=True)
class Collection:
    id: str
    name: str
    num_documents: int
    created_at: float


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    owner: str
    collection_id: str
    name: str  # as it was called where it came from
    sha256: str
    num_bytes: int
    status: DocumentStatus
    kind: str  # "" until read
    problem: tuple[str, dict[str, Any]] | None  # key and values of an AppError
    num_pages: int
    num_chunks: int
    created_at: float
    updated_at: float
    replaces: str = ""  # id of the document that goes when this one is ready


@dataclass(frozen=True, slots=True)
class PageRow:
    page: int
    text: str
    places: bytes
    width: float
    height: float
    continues: bool
    problem: str
    is_recognised: bool = False


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """From `char_from` on `page_from` to `char_to` on `page_to`. `number` 0: not yet saved."""

    page_from: int
    char_from: int
    page_to: int
    char_to: int
    title: str
    text: str
    number: int = 0
    document_id: str = ""
    document_name: str = ""


_DOCUMENT = """d.id, d.owner, c.id, d.name, d.sha256, d.num_bytes, d.status, d.kind, d.problem,
    d.num_pages, d.num_chunks, d.created_at, d.updated_at, d.replaces"""
_PAGE = "page, text, places, width, height, continues, problem, is_recognised"
_DOCUMENTS = "documents d JOIN collections c ON c.number = d.collection_number"


class Documents:
    """Every method is one transaction. Raises NotFoundError, StorageError, TextTooLongError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.vectors = Vectors(database)

    # --- collections -----------------------------------------------------------------------------

    def create_collection(self, owner: str, name: str) -> Collection:
        with self._database.write() as db:
            id = new_id()
            db.execute(
                "INSERT INTO collections (id, owner, name, created_at) VALUES (?, ?, ?, ?)",
                (id, clean(owner), clean_title(name), time.time()),
            )
            return _collection(db, owner, id)

    def collections(self, owner: str) -> list[Collection]:
        """Oldest first."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT id FROM collections WHERE owner = ? ORDER BY number", (clean(owner),)
            ).fetchall()
            return [_collection(db, owner, id) for (id,) in rows]

    def rename_collection(self, owner: str, collection_id: str, name: str) -> None:
        with self._database.write() as db:
            number = _collection_number(db, owner, collection_id)
            db.execute(
                "UPDATE collections SET name = ? WHERE number = ?", (clean_title(name), number)
            )

    def delete_collection(self, owner: str, collection_id: str) -> list[str]:
        """With everything in it; returns the ids of its documents."""
        with self._database.write() as db:
            number = _collection_number(db, owner, collection_id)
            rows = db.execute(
                "SELECT number, id FROM documents WHERE collection_number = ?", (number,)
            ).fetchall()
            _forget_content(db, owner, [document_number for document_number, _ in rows])
            db.execute("DELETE FROM collections WHERE number = ?", (number,))
            return [id for _, id in rows]

    # --- documents -------------------------------------------------------------------------------

    def add_document(
        self,
        owner: str,
        collection_id: str,
        name: str,
        *,
        sha256: str,
        num_bytes: int,
        replaces: str = "",
    ) -> tuple[Document, bool]:
        """A new document that waits to be read, or the one with the same content; is it new?

        Where its name is taken in the collection it gets a number. `replaces` is the document
        whose place it takes once it is ready: its name is free, and it goes in the same moment.
        """
        with self._database.write() as db:
            collection = _collection_number(db, owner, collection_id)
            same = db.execute(
                "SELECT id FROM documents WHERE collection_number = ? AND sha256 = ?",
                (collection, sha256),
            ).fetchone()
            if same:
                return _document(db, owner, same[0]), False
            if replaces:
                _document_number(db, owner, replaces)  # raises unless it is the owner's
            free = _free_name(db, collection, clean_title(name), replaces)
            now, id = time.time(), new_id()
            db.execute(
                """
                INSERT INTO documents (id, owner, collection_number, name, sha256, num_bytes,
                    status, kind, problem, num_pages, num_chunks, created_at, updated_at, replaces)
                VALUES (?, ?, ?, ?, ?, ?, 'waiting', '', '[]', 0, 0, ?, ?, ?)
                """,
                (id, clean(owner), collection, free, sha256, num_bytes, now, now, clean(replaces)),
            )
            return _document(db, owner, id), True

    def document(self, owner: str, document_id: str) -> Document:
        with self._database.read() as db:
            return _document(db, owner, document_id)

    def documents(self, owner: str, collection_id: str | None = None) -> list[Document]:
        """Oldest first."""
        with self._database.read() as db:
            condition, values = "d.owner = ?", [clean(owner)]
            if collection_id is not None:
                condition += " AND c.id = ?"
                values.append(clean(collection_id))
            rows = db.execute(
                f"SELECT {_DOCUMENT} FROM {_DOCUMENTS} WHERE {condition} ORDER BY d.number", values
            )
            return [_from_row(row) for row in rows]

    def num_bytes(self, owner: str) -> int:
        """Of all files of this owner."""
        with self._database.read() as db:
            row = db.execute(
                f"SELECT coalesce(sum(d.num_bytes), 0) FROM {_DOCUMENTS} WHERE d.owner = ?",
                (clean(owner),),
            ).fetchone()
            return int(row[0])

    def rename_document(self, owner: str, document_id: str, name: str) -> None:
        """The name it is shown by; the index keeps the one it was added with."""
        with self._database.write() as db:
            number = _document_number(db, owner, document_id)
            db.execute(
                "UPDATE documents SET name = ? WHERE number = ?", (clean_title(name), number)
            )

    def delete_document(self, owner: str, document_id: str) -> None:
        with self._database.write() as db:
            number = _document_number(db, owner, document_id)
            _forget_content(db, owner, [number])
            db.execute("DELETE FROM documents WHERE number = ?", (number,))

    def set_status(
        self,
        owner: str,
        document_id: str,
        status: DocumentStatus,
        problem: tuple[str, dict[str, Any]] | None = None,
    ) -> None:
        with self._database.write() as db:
            number = _document_number(db, owner, document_id)
            db.execute(
                "UPDATE documents SET status = ?, problem = ?, updated_at = ? WHERE number = ?",
                (status, json.dumps(clean_json(problem or [])), time.time(), number),
            )

    def unfinished(self) -> list[Document]:
        """All owners' documents that wait, or were being read when the process ended."""
        with self._database.read() as db:
            rows = db.execute(
                f"SELECT {_DOCUMENT} FROM {_DOCUMENTS} WHERE d.status IN ('waiting', 'reading')"
                " ORDER BY d.number"
            )
            return [_from_row(row) for row in rows]

    def ids(self) -> set[str]:
        """Of all owners' documents: a stored file with another name belongs to nobody."""
        with self._database.read() as db:
            return {id for (id,) in db.execute("SELECT id FROM documents")}

    # --- content ---------------------------------------------------------------------------------

    def save_content(
        self,
        owner: str,
        document_id: str,
        *,
        kind: str,
        pages: Iterable[PageRow],
        chunks: Sequence[ChunkRow],
        problem: tuple[str, dict[str, Any]] | None = None,
    ) -> str:
        """Everything that was read, in place of what was there; the document is ready.

        Returns the id of the document that it replaces, which has gone; "" for none.
        """
        with self._database.write() as db:
            number = _document_number(db, owner, document_id)
            name, replaces = db.execute(
                "SELECT name, replaces FROM documents WHERE number = ?", (number,)
            ).fetchone()
            _forget_content(db, owner, [number])
            replaced = _replace(db, owner, replaces) if replaces else ""
            num_pages = _insert_pages(db, number, pages)
            indexed = [_insert_chunk(db, number, name, chunk) for chunk in chunks]
            postings.add(db, clean(owner), number, indexed)
            db.execute(
                """
                UPDATE documents SET status = 'ready', kind = ?, num_pages = ?, num_chunks = ?,
                    problem = ?, updated_at = ?, replaces = '' WHERE number = ?
                """,
                (
                    kind,
                    num_pages,
                    len(chunks),
                    json.dumps(clean_json(problem or [])),
                    time.time(),
                    number,
                ),
            )
            return replaced

    def pages(self, owner: str, document_id: str) -> list[PageRow]:
        with self._database.read() as db:
            number = _document_number(db, owner, document_id)
            rows = db.execute(
                f"SELECT {_PAGE} FROM pages WHERE document_number = ? ORDER BY page",
                (number,),
            )
            return [_page(row) for row in rows]

    def page(self, owner: str, document_id: str, page: int) -> PageRow:
        with self._database.read() as db:
            number = _document_number(db, owner, document_id)
            row = db.execute(
                f"SELECT {_PAGE} FROM pages WHERE document_number = ? AND page = ?",
                (number, page),
            ).fetchone()
            if row is None:
                raise NotFoundError
            return _page(row)

    def chunks(self, owner: str, numbers: Sequence[int]) -> dict[int, ChunkRow]:
        """The owner's chunks among `numbers`."""
        found: dict[int, ChunkRow] = {}
        with self._database.read() as db:
            for start in range(0, len(numbers), _MAX_IDS):
                part = [int(number) for number in numbers[start : start + _MAX_IDS]]
                rows = db.execute(
                    f"""
                    SELECT k.page_from, k.char_from, k.page_to, k.char_to, k.title, k.text,
                        k.number, d.id, d.name
                    FROM chunks k JOIN documents d ON d.number = k.document_number
                    WHERE d.owner = ? AND k.number IN ({",".join("?" * len(part))})
                    """,
                    (clean(owner), *part),
                )
                found |= {row[6]: ChunkRow(*row) for row in rows}
        return found

    def document_chunks(self, owner: str, document_id: str) -> list[ChunkRow]:
        """In the order of the document."""
        with self._database.read() as db:
            number = _document_number(db, owner, document_id)
            rows = db.execute(
                """
                SELECT k.page_from, k.char_from, k.page_to, k.char_to, k.title, k.text, k.number,
                    d.id, d.name
                FROM chunks k JOIN documents d ON d.number = k.document_number
                WHERE d.number = ? ORDER BY k.number
                """,
                (number,),
            )
            return [ChunkRow(*row) for row in rows]

    def page_problems(self, owner: str, document_id: str) -> list[tuple[int, str, bool]]:
        """Of its pages: (number, problem, is its text recognised?)."""
        with self._database.read() as db:
            number = _document_number(db, owner, document_id)
            rows = db.execute(
                "SELECT page, problem, is_recognised FROM pages WHERE document_number = ?"
                " ORDER BY page",
                (number,),
            )
            return [(page, problem, bool(seen)) for page, problem, seen in rows]

    def chunk_numbers(self, owner: str, document_ids: Sequence[str] | None = None) -> list[int]:
        """Of the owner's chunks, or of those in the documents; unknown ones have none."""
        with self._database.read() as db:
            condition, values = _among(owner, document_ids)
            rows = db.execute(
                "SELECT k.number FROM chunks k JOIN documents d ON d.number = k.document_number"
                f" WHERE {condition} ORDER BY k.number",
                values,
            )
            return [number for (number,) in rows]

    def has_chunks(self) -> bool:
        """Whether anybody has anything indexed."""
        with self._database.read() as db:
            return db.execute("SELECT 1 FROM chunks LIMIT 1").fetchone() is not None

    # --- keyword search --------------------------------------------------------------------------

    def search_keywords(
        self, owner: str, question: str, limit: int, document_ids: Sequence[str] | None = None
    ) -> KeywordHits:
        """The best chunks for the question's words; of some documents, unknown ones have none."""
        with self._database.read() as db:
            whose = clean(owner)
            chosen = None
            if document_ids is not None:
                condition, values = _among(owner, document_ids)
                rows = db.execute(f"SELECT d.number FROM documents d WHERE {condition}", values)
                chosen = [number for (number,) in rows]
            wanted = query_grams(clean(question), postings.num_chunks(db, whose))
            return postings.search(db, whose, wanted, limit, chosen)


def _collection(db: sqlite3.Connection, owner: str, id: str) -> Collection:
    number = _collection_number(db, owner, id)
    name, created_at, num_documents = db.execute(
        """
        SELECT c.name, c.created_at,
            (SELECT count(*) FROM documents d WHERE d.collection_number = c.number)
        FROM collections c WHERE c.number = ?
        """,
        (number,),
    ).fetchone()
    return Collection(id, name, num_documents, created_at)


def _collection_number(db: sqlite3.Connection, owner: str, id: str) -> int:
    row = db.execute(
        "SELECT number FROM collections WHERE id = ? AND owner = ?", (clean(id), clean(owner))
    ).fetchone()
    if row is None:
        raise NotFoundError
    return int(row[0])


def _document_number(db: sqlite3.Connection, owner: str, id: str) -> int:
    row = db.execute(
        "SELECT number FROM documents WHERE id = ? AND owner = ?", (clean(id), clean(owner))
    ).fetchone()
    if row is None:
        raise NotFoundError
    return int(row[0])


def _document(db: sqlite3.Connection, owner: str, id: str) -> Document:
    number = _document_number(db, owner, id)
    row = db.execute(
        f"SELECT {_DOCUMENT} FROM {_DOCUMENTS} WHERE d.number = ?", (number,)
    ).fetchone()
    return _from_row(row)


def _from_row(row: Sequence[Any]) -> Document:
    values = list(row)
    values[6] = stored_choice(row[6], DocumentStatus.FAILED)
    match stored_list(row[8]):
        case [str(key), dict(about)]:
            values[8] = (key, about)
        case _:
            values[8] = None
    return Document(*values)


def _page(row: Sequence[Any]) -> PageRow:
    values = list(row)
    values[5], values[7] = bool(row[5]), bool(row[7])
    return PageRow(*values)


def _among(owner: str, document_ids: Sequence[str] | None) -> tuple[str, list[str]]:
    """The SQL condition for rows joined as `d`, with its values."""
    if document_ids is None:
        return "d.owner = ?", [clean(owner)]
    places = ",".join("?" * len(document_ids))
    return f"d.owner = ? AND d.id IN ({places})", [clean(owner), *map(clean, document_ids)]


def _insert_pages(db: sqlite3.Connection, number: int, pages: Iterable[PageRow]) -> int:
    rows = [
        (
            number,
            page.page,
            clean(page.text),
            page.places,
            page.width,
            page.height,
            page.continues,
            page.problem,
            page.is_recognised,
        )
        for page in pages
    ]
    db.executemany(
        f"INSERT INTO pages (document_number, {_PAGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
    )
    return len(rows)


def _insert_chunk(
    db: sqlite3.Connection, number: int, name: str, chunk: ChunkRow
) -> tuple[int, str]:
    """Its number, and the text that is indexed."""
    indexed = clean(f"{_stem(name)}\n{chunk.title}\n" if chunk.title else f"{_stem(name)}\n")
    text = clean(chunk.text)
    inserted = db.execute(
        """
        INSERT INTO chunks (document_number, page_from, char_from, page_to, char_to, title, text,
            indexed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            number,
            chunk.page_from,
            chunk.char_from,
            chunk.page_to,
            chunk.char_to,
            clean(chunk.title),
            text,
            indexed,
        ),
    )
    return inserted.lastrowid or 0, indexed + text


def _free_name(db: sqlite3.Connection, collection: int, name: str, replaces: str) -> str:
    """`name`, or with a number behind it where another document there is called so."""
    rows = db.execute(
        "SELECT name FROM documents WHERE collection_number = ? AND id != ?",
        (collection, clean(replaces)),
    )
    taken = {taken for (taken,) in rows}
    stem = _stem(name)
    extension = name[len(stem) :]
    count = 1
    free = name
    while free in taken:
        count += 1
        free = f"{stem[: MAX_TITLE_CHARS - 10 - len(extension)]} ({count}){extension}"
    return free


def _replace(db: sqlite3.Connection, owner: str, document_id: str) -> str:
    """Delete a document that another one takes the place of; "" when it has gone already."""
    try:
        number = _document_number(db, owner, document_id)
    except NotFoundError:
        return ""
    _forget_content(db, owner, [number])
    db.execute("DELETE FROM documents WHERE number = ?", (number,))
    return document_id


def _stem(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return stem if dot and len(extension) <= 8 and stem else name


def _forget_content(db: sqlite3.Connection, owner: str, numbers: Sequence[int]) -> None:
    """Pages, chunks, vectors and postings of documents."""
    postings.remove(db, clean(owner), numbers)
    for number in numbers:
        db.execute("DELETE FROM chunks WHERE document_number = ?", (number,))
        db.execute("DELETE FROM pages WHERE document_number = ?", (number,))
