"""The SQLite file: connections, transactions, and which failure becomes which sentence.

One write connection behind a lock, readers from a pool; WAL, so that readers never wait for the
writer. A committed transaction survives `kill -9`. Knows nothing about what the tables mean.
"""

import logging
import operator
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from webui.errors import AppError
from webui.storage.migrations import APPLICATION_ID, MIGRATIONS

BUSY_TIMEOUT_S = 5.0  # how long to wait for another process
_CHECKPOINT_WAIT_MS = 50  # for readers; whoever wants to write waits as long

_PRAGMAS = (
    "foreign_keys = ON",
    "synchronous = NORMAL",  # with WAL: a kill loses nothing, a power cut at most the last moments
    "secure_delete = ON",  # deleted talk is not left in the file
    "journal_size_limit = 16777216",
)

_log = logging.getLogger(__name__)


class StorageError(AppError):
    """The file cannot be used: one sentence that says why and what to do."""


_SENTENCES = {
    sqlite3.SQLITE_FULL: "storage.disk_full",
    sqlite3.SQLITE_IOERR: "storage.io_error",
    sqlite3.SQLITE_CANTOPEN: "storage.cannot_open",
    sqlite3.SQLITE_PERM: "storage.cannot_open",
    sqlite3.SQLITE_READONLY: "storage.cannot_open",
    sqlite3.SQLITE_NOTADB: "storage.not_a_database",
    sqlite3.SQLITE_CORRUPT: "storage.damaged",
    sqlite3.SQLITE_BUSY: "storage.busy",
    sqlite3.SQLITE_LOCKED: "storage.busy",
}


class Database:
    """An open, migrated database. `read` and `write` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Opens or creates `path`. Raises StorageError."""
        self._path = path
        self._write_lock = threading.Lock()
        self._idle_readers: list[sqlite3.Connection] = []
        self._closed = False
        with self._explained():
            _create_private_file(path)
            self._writer = self._connect()
        try:
            with self._explained():
                self._version(self._writer)  # before anything in the file is changed
                _switch_to_wal(self._writer)
            self._migrate()
        except BaseException:
            self._writer.close()
            raise

    def close(self) -> None:
        """Ends all use. A reader that is still running closes when it is done."""
        with self._write_lock:
            self._closed = True
            self._close_idle_readers()
            self._writer.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that may write: all of it happens, or on any exception none of it."""
        with self._write_lock, self._explained():
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # after a full disk SQLite may have rolled back
                    connection.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the database, for reading only."""
        with self._explained():
            connection = self._take_reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                connection.rollback()
                self._give_back(connection)

    def empty_log(self) -> bool:
        """Moves the write-ahead log into the file and cuts it to nothing; False: not now.

        What was deleted still stands in the log's older pages; `secure_delete` has overwritten it
        in the newer ones.
        """
        with self._explained():
            with closing(self._connect()) as connection:  # the slow part, beside readers and writer
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with self._write_lock:
                self._writer.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
                try:
                    (busy, _, _) = self._writer.execute(
                        "PRAGMA wal_checkpoint(TRUNCATE)"
                    ).fetchone()
                finally:
                    self._writer.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}")
        return not busy

    def _take_reader(self) -> sqlite3.Connection:
        try:
            return self._idle_readers.pop()
        except IndexError:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            connection.create_function("contains", 2, operator.contains, deterministic=True)
            return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle_readers.append(connection)
        if self._closed:  # asked after the append, so that no reader outlives `close`
            self._close_idle_readers()

    def _close_idle_readers(self) -> None:
        while True:
            try:
                self._idle_readers.pop().close()
            except IndexError:
                return

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,  # transactions begin where `read` and `write` say so
            check_same_thread=False,
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self) -> None:
        """Takes the steps that this file has not taken yet, all or none of them."""
        with self.write() as connection:
            version = self._version(connection)
            if version == len(MIGRATIONS):
                return
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _version(self, connection: sqlite3.Connection) -> int:
        """How many steps the file has taken. Raises StorageError when it is not ours to change."""
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (num_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id != APPLICATION_ID and (application_id, version, num_tables) != (0, 0, 0):
            raise StorageError("storage.not_ours", path=self._path)
        if not 0 <= version <= len(MIGRATIONS):
            raise StorageError("storage.newer", path=self._path)
        return int(version)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Failures of the disk or the file become StorageError; our own mistakes stay visible."""
        try:
            yield
        except OSError as error:
            raise StorageError("storage.cannot_open", path=self._path) from error
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code
            if code not in _SENTENCES:
                raise
            _log.error("%s: %s", self._path, error)
            raise StorageError(_SENTENCES[code], path=self._path) from error


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Another process may be creating the same file; for this one step SQLite does not wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _create_private_file(path: Path) -> None:
    """Conversations are private: only this user may read the file, its folder and its journal."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
