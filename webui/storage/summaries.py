"""Summaries: what was asked, the parts that are finished, the result; per owner.

A part is saved as soon as it is finished, so that a stopped or killed run goes on where it was.
Knows nothing about models or what is in a part.
"""

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from webui.storage.conversations import NotFoundError, new_id
from webui.storage.database import Database
from webui.storage.stored import stored_choice, stored_object
from webui.storage.texts import clean, clean_title, to_json
from webui.storage.values import Status

MAX_LISTED = 200


@dataclass(frozen=True, slots=True)
class SummaryRecord:
    """One summary. `key` names everything that its parts depend on."""

    id: str
    owner: str
    key: str
    title: str
    model_id: str
    settings: dict[str, Any]
    status: Status
    result: dict[str, Any]  # {} until complete
    num_parts_done: int
    num_parts: int
    created_at: float
    updated_at: float


_COLUMNS = """s.id, s.owner, s.key, s.title, s.model_id, s.settings, s.status, s.result,
    (SELECT count(*) FROM summary_parts p WHERE p.summary_number = s.number), s.num_parts,
    s.created_at, s.updated_at"""


class Summaries:
    """Every method is one transaction. Raises NotFoundError, StorageError, TextTooLongError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self,
        owner: str,
        key: str,
        *,
        title: str,
        model_id: str,
        settings: dict[str, Any],
        source: dict[str, Any],
        num_parts: int,
    ) -> SummaryRecord:
        """The unfinished summary with this key, to be continued, or a new one."""
        now = time.time()
        with self._database.write() as db:
            row = db.execute(
                """SELECT id FROM summaries WHERE owner = ? AND key = ? AND status != 'complete'
                   AND deleted_at IS NULL ORDER BY number DESC LIMIT 1""",
                (clean(owner), key),
            ).fetchone()
            if row:
                db.execute(
                    "UPDATE summaries SET status = ?, updated_at = ? WHERE id = ?",
                    (Status.WRITING, now, row[0]),
                )
                return _get(db, owner, row[0])
            id = new_id()
            db.execute(
                """INSERT INTO summaries (id, owner, key, title, model_id, settings, source,
                       status, result, num_parts, created_at, updated_at)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, '{}', ?, ?, ?)""",
                (
                    *(id, clean(owner), key, clean_title(title), clean(model_id)),
                    *(to_json(settings), to_json(source), Status.WRITING, num_parts, now, now),
                ),
            )
            return _get(db, owner, id)

    def mark_interrupted(self) -> int:
        """At start: what a killed process was making is unfinished; its parts stay."""
        with self._database.write() as db:
            return db.execute(
                "UPDATE summaries SET status = ? WHERE status = ?", (Status.PARTIAL, Status.WRITING)
            ).rowcount

    def get(self, owner: str, summary_id: str) -> SummaryRecord:
        with self._database.read() as db:
            return _get(db, owner, summary_id)

    def source(self, owner: str, summary_id: str) -> dict[str, Any]:
        """The text that was summarised, as it was handed to begin()."""
        with self._database.read() as db:
            (value,) = db.execute(
                "SELECT source FROM summaries WHERE number = ?", (_number(db, owner, summary_id),)
            ).fetchone()
            return stored_object(value)

    def newest(self, owner: str, limit: int = 50) -> list[SummaryRecord]:
        with self._database.read() as db:
            rows = db.execute(
                f"""SELECT {_COLUMNS} FROM summaries s WHERE s.owner = ? AND s.deleted_at IS NULL
                    ORDER BY s.updated_at DESC, s.number DESC LIMIT ?""",
                (clean(owner), min(max(limit, 0), MAX_LISTED)),
            ).fetchall()
        return [_record(row) for row in rows]

    def save_part(
        self, owner: str, summary_id: str, stage: int, position: int, value: dict[str, Any]
    ) -> None:
        with self._database.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO summary_parts VALUES (?, ?, ?, ?)",
                (_number(db, owner, summary_id), stage, position, to_json(value)),
            )

    def parts(self, owner: str, summary_id: str) -> dict[tuple[int, int], dict[str, Any]]:
        """Finished parts by (stage, position)."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT stage, position, value FROM summary_parts WHERE summary_number = ?",
                (_number(db, owner, summary_id),),
            )
            return {(stage, position): stored_object(value) for stage, position, value in rows}

    def end(
        self, owner: str, summary_id: str, status: Status, result: dict[str, Any] | None = None
    ) -> None:
        with self._database.write() as db:
            db.execute(
                """UPDATE summaries SET status = ?, result = coalesce(?, result), updated_at = ?
                   WHERE number = ?""",
                (
                    *(status, None if result is None else to_json(result), time.time()),
                    _number(db, owner, summary_id),
                ),
            )

    def delete(self, owner: str, summary_id: str) -> None:
        """Hidden at once; restore() brings it back."""
        self._hide(owner, summary_id, time.time())

    def restore(self, owner: str, summary_id: str) -> None:
        self._hide(owner, summary_id, None)

    def purge_deleted(self, until: float, owner: str | None = None) -> int:
        """Removes for good what was hidden by that time, with its parts; how many."""
        with self._database.read() as db:
            numbers = db.execute(
                "SELECT number FROM summaries WHERE deleted_at <= ? AND owner = coalesce(?, owner)",
                (until, None if owner is None else clean(owner)),
            ).fetchall()
        for number in numbers:
            with self._database.write() as db:
                db.execute(
                    "DELETE FROM summaries WHERE number = ? AND deleted_at IS NOT NULL", number
                )
        return len(numbers)

    def _hide(self, owner: str, summary_id: str, at: float | None) -> None:
        with self._database.write() as db:
            number = _number(db, owner, summary_id, with_deleted=True)
            db.execute("UPDATE summaries SET deleted_at = ? WHERE number = ?", (at, number))


def _number(
    db: sqlite3.Connection, owner: str, summary_id: str, *, with_deleted: bool = False
) -> int:
    row = db.execute(
        """SELECT number FROM summaries WHERE id = ? AND owner = ?
           AND (deleted_at IS NULL OR ?)""",
        (clean(summary_id), clean(owner), with_deleted),
    ).fetchone()
    if row is None:
        raise NotFoundError
    return int(row[0])


def _get(db: sqlite3.Connection, owner: str, summary_id: str) -> SummaryRecord:
    row = db.execute(
        f"SELECT {_COLUMNS} FROM summaries s WHERE s.number = ?",
        (_number(db, owner, summary_id),),
    ).fetchone()
    return _record(row)


def _record(row: tuple[Any, ...]) -> SummaryRecord:
    id, owner, key, title, model_id, settings, status, result, *rest = row
    return SummaryRecord(
        *(id, owner, key, title, model_id),
        *(stored_object(settings), stored_choice(status, Status.PARTIAL), stored_object(result)),
        *rest,
    )
