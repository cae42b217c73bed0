"""The database file itself: kills, threads, full disks, foreign files, new versions."""

import hashlib
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.places import ROOT
from webui.storage import Role, Status, Storage, StorageError
from webui.storage.migrations import APPLICATION_ID, MIGRATIONS
from webui.strings import Language

ME = "me"

# One entry for each released step. A changed hash means that a released step was edited, and
# databases of our users would differ from ours: write a new step instead.
RELEASED = (
    "945f83e1d4185afd",
    "4c159b07f0e78d84",
    "7ad93383ce377358",
    "00895f1239220f0c",
    "0656f80b6d3bc4dc",
    "a12cde7429933693",
    "53e2dd01883141cc",
)
PINNED = 6  # the step that gives every conversation the model of its last answer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "kajogaki.db"


@pytest.fixture
def storage(path: Path) -> Iterator[Storage]:
    storage = Storage(path)
    yield storage
    storage.close()


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process that runs `code` with `arguments` in sys.argv[1:]."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def check_integrity(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def assert_one_clear_sentence(error: StorageError, path: Path) -> None:
    for language in Language:
        sentence = error.message(language)
        assert str(path) in sentence
        assert "\n" not in sentence and "sqlite" not in sentence.lower()


# --- kills ---------------------------------------------------------------------------------------

WRITE_FOREVER = """
    import os, sys
    from pathlib import Path
    from webui.storage import Role, Status, Storage

    storage = Storage(Path(sys.argv[1]))
    conversation = storage.create_conversation("me")
    parent_id = None
    while True:
        message = storage.add_message(
            "me", conversation.id, Role.USER, "", parent_id=parent_id, status=Status.WRITING
        )
        storage.update_message(
            "me", message.id, content=f"{message.id} 保存した文章。" * 50, status=Status.COMPLETE
        )
        parent_id = message.id
        os.write(1, f"{conversation.id} {message.id}\\n".encode())
"""


@pytest.mark.thorough
def test_twenty_kills_lose_no_message_that_was_acknowledged(path: Path) -> None:
    acknowledged: list[tuple[str, str]] = []
    for _ in range(20):
        process = child(WRITE_FOREVER, path)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(random.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        lines = [first, *process.communicate()[0].splitlines(keepends=True)]
        for line in lines:
            if line.endswith("\n"):
                conversation_id, message_id = line.split()
                acknowledged.append((conversation_id, message_id))
    assert len(acknowledged) >= 20

    storage = Storage(path)
    storage.mark_interrupted()
    assert len(storage.conversations(ME)) == 20
    for conversation_id, message_id in acknowledged:
        message = storage.message(ME, message_id)
        assert message.conversation_id == conversation_id
        assert message.status is Status.COMPLETE
        assert message.content == f"{message_id} 保存した文章。" * 50
    for item in storage.conversations(ME):
        assert all(message.status is not Status.WRITING for message in storage.path(ME, item.id))
    storage.close()
    check_integrity(path)


# --- threads and processes -----------------------------------------------------------------------


@pytest.mark.thorough
def test_many_threads_write_and_read_at_once(storage: Storage, path: Path) -> None:
    shared = storage.create_conversation(ME)
    root = storage.add_message(ME, shared.id, Role.USER, "根", parent_id=None)
    num_threads, num_messages = 8, 40
    is_over = threading.Event()

    def write(thread: int) -> None:
        own = storage.create_conversation(ME)
        parent_id = None
        for number in range(num_messages):
            text = f"スレッド{thread}の{number}"
            parent_id = storage.add_message(ME, own.id, Role.USER, text, parent_id=parent_id).id
            answer = storage.add_message(
                ME, shared.id, Role.ASSISTANT, "", parent_id=root.id, status=Status.WRITING
            )
            storage.update_message(ME, answer.id, content=text, status=Status.COMPLETE)
        assert len(storage.path(ME, own.id)) == num_messages

    def read() -> int:
        num_reads = 0
        while not is_over.is_set():
            for item in storage.conversations(ME, "スレッド"):
                path = storage.path(ME, item.id)
                assert [m.parent_id for m in path[1:]] == [m.id for m in path[:-1]]
                num_reads += 1
        return num_reads

    with ThreadPoolExecutor(num_threads + 2) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        try:
            list(threads.map(write, range(num_threads)))
        finally:
            is_over.set()
        assert all(reader.result() > 0 for reader in readers)

    answers = storage.export_conversation(ME, shared.id)["conversations"][0]["messages"][1:]
    assert sorted(answer["content"] for answer in answers) == sorted(
        f"スレッド{thread}の{number}"
        for thread in range(num_threads)
        for number in range(num_messages)
    )
    assert storage.path(ME, shared.id)[-1].num_versions == num_threads * num_messages
    check_integrity(path)


@pytest.mark.thorough
def test_processes_that_create_the_same_file_at_once_all_succeed(path: Path) -> None:
    code = """
        import sys, time
        from pathlib import Path
        from webui.storage import Storage

        print("ready", flush=True)
        time.sleep(max(0, float(sys.argv[2]) - time.time()))
        storage = Storage(Path(sys.argv[1]))
        storage.create_conversation("me")
        storage.close()
    """
    start = time.time() + 1.0
    processes = [child(code, path, start) for _ in range(4)]
    for process in processes:
        process.communicate(timeout=30)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    storage = Storage(path)
    assert len(storage.conversations(ME)) == 4
    storage.close()


def test_a_reader_never_waits_for_a_writer_in_another_process(storage: Storage, path: Path) -> None:
    storage.create_conversation(ME)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE conversations SET title = 'unseen'")
    (item,) = storage.conversations(ME)
    assert item.title == ""
    other.execute("ROLLBACK")
    other.close()


def test_a_file_that_another_program_keeps_locked_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Storage(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("webui.storage.database.BUSY_TIMEOUT_S", 0.05)
    with pytest.raises(StorageError) as caught:
        Storage(path)
    assert caught.value.key == "storage.busy"
    assert_one_clear_sentence(caught.value, path)
    other.close()
    Storage(path).close()


# --- disks that fail -----------------------------------------------------------------------------


def test_a_full_disk_is_one_sentence_and_loses_nothing_that_was_saved(
    storage: Storage, path: Path
) -> None:
    id = storage.create_conversation(ME).id
    kept = storage.add_message(ME, id, Role.USER, "保存済み", parent_id=None)
    writer = storage._database._writer
    (num_pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {num_pages + 5}")
    for _ in range(3):
        with pytest.raises(StorageError) as caught:
            storage.add_message(ME, id, Role.USER, "長い" * 50_000, parent_id=kept.id)
        assert caught.value.key == "storage.disk_full"
        assert_one_clear_sentence(caught.value, path)
        assert [message.content for message in storage.path(ME, id)] == ["保存済み"]
    writer.execute("PRAGMA max_page_count = 1000000")  # space again
    storage.add_message(ME, id, Role.USER, "長い" * 50_000, parent_id=kept.id)
    assert len(storage.path(ME, id)) == 2
    check_integrity(path)


def test_a_write_that_the_system_refuses_is_one_sentence_and_work_goes_on_after_it(
    path: Path,
) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from webui.storage import Role, Storage, StorageError

        storage = Storage(Path(sys.argv[1]))
        id = storage.create_conversation("me").id
        kept = storage.add_message("me", id, Role.USER, "kept", parent_id=None)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        for _ in range(3):
            try:
                storage.add_message("me", id, Role.USER, "x" * 1_000_000, parent_id=kept.id)
            except StorageError as error:
                print(error.key, len(storage.path("me", id)))
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        storage.add_message("me", id, Role.USER, "x" * 1_000_000, parent_id=kept.id)
        print("after", len(storage.path("me", id)))
        storage.close()
    """
    process = child(code, path)
    lines = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode == 0
    assert lines == ["storage.io_error 1"] * 3 + ["after 2"]
    check_integrity(path)


def test_a_disk_that_fills_up_during_an_import_leaves_nothing_of_it(
    storage: Storage, path: Path
) -> None:
    id = storage.create_conversation(ME).id
    storage.add_message(ME, id, Role.USER, "長い" * 20_000, parent_id=None)
    exported = storage.export_all(ME)
    exported["conversations"] *= 20
    writer = storage._database._writer
    (num_pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {num_pages + 300}")
    with pytest.raises(StorageError):
        storage.import_conversations(ME, exported)
    assert [item.id for item in storage.conversations(ME)] == [id]


@pytest.mark.parametrize("name", ["a_file/kajogaki.db", "a_folder", "/proc/none/kajogaki.db"])
def test_a_place_that_cannot_hold_the_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "a_file").write_text("x", encoding="utf-8")
    (tmp_path / "a_folder").mkdir()
    with pytest.raises(StorageError) as caught:
        Storage(tmp_path / name)
    assert caught.value.key == "storage.cannot_open"
    assert_one_clear_sentence(caught.value, tmp_path / name)


def test_a_folder_and_a_file_without_permission_are_named(tmp_path: Path, path: Path) -> None:
    """In a child, because permissions do not bind the administrator whom CI may run as."""
    Storage(path).close()
    code = """
        import os, sys
        from pathlib import Path
        from webui.storage import Storage, StorageError

        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        for place in map(Path, sys.argv[1:]):
            try:
                Storage(place)
            except StorageError as error:
                print(error.key)
    """
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o500)
    path.chmod(0o400)
    process = child(code, folder / "kajogaki.db", path)
    assert process.communicate(timeout=30)[0].splitlines() == ["storage.cannot_open"] * 2


@pytest.mark.parametrize(
    "content", [b"not a database, just some text\n" * 300, os.urandom(9000), b"short"]
)
def test_a_file_that_is_not_a_database_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StorageError) as caught:
        Storage(path)
    assert caught.value.key == "storage.not_a_database"
    assert_one_clear_sentence(caught.value, path)
    assert path.read_bytes() == content


def test_a_database_cut_in_the_middle_is_called_damaged(path: Path) -> None:
    storage = Storage(path)
    id = storage.create_conversation(ME).id
    for _ in range(20):
        storage.add_message(ME, id, Role.USER, "文章" * 5_000, parent_id=None)
    storage.close()
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(StorageError) as caught:
        damaged = Storage(path)
        try:
            damaged.conversations(ME, "文章")
        finally:
            damaged.close()
    assert caught.value.key == "storage.damaged"
    assert_one_clear_sentence(caught.value, path)


# --- versions ------------------------------------------------------------------------------------


def test_released_steps_are_never_edited() -> None:
    hashes = tuple(
        hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16] for statements in MIGRATIONS
    )
    assert hashes == RELEASED


def test_older_conversations_keep_the_model_that_answered_last(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("webui.storage.database.MIGRATIONS", MIGRATIONS[:PINNED])
        old = Storage(path)
        chats = [old.create_conversation(ME, model_id=id).id for id in ("", "chosen", "")]
        for chat in chats[:2]:
            old.add_message(ME, chat, Role.USER, "問い", parent_id=None)
            for model_id in ("first", "last", ""):
                old.add_message(ME, chat, Role.ASSISTANT, "答", parent_id=None, model_id=model_id)
        old.close()
        connection = sqlite3.connect(path)
        with connection:  # as it was before
            connection.execute("UPDATE conversations SET model_id = '' WHERE model_id = 'first'")
        connection.close()
    storage = Storage(path)
    assert [storage.conversation(ME, chat).model_id for chat in chats] == ["last", "chosen", ""]
    storage.close()


def test_an_old_database_takes_the_steps_it_lacks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Storage(path)
    first.create_conversation(ME)
    first.close()
    steps = (*MIGRATIONS, ("CREATE TABLE later (x)", "INSERT INTO later VALUES (7)"))
    monkeypatch.setattr("webui.storage.database.MIGRATIONS", steps)
    for _ in range(2):  # the step is taken once
        again = Storage(path)
        assert len(again.conversations(ME)) == 1
        again.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT x FROM later").fetchall() == [(7,)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(steps),)
    connection.close()


def test_a_step_that_fails_leaves_the_database_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Storage(path).close()
    with monkeypatch.context() as patch:
        steps = (*MIGRATIONS, ("CREATE TABLE later (x)", "INSERT INTO nowhere VALUES (7)"))
        patch.setattr("webui.storage.database.MIGRATIONS", steps)
        with pytest.raises(sqlite3.OperationalError):
            Storage(path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'later'").fetchall() == []
    connection.close()
    Storage(path).close()


def test_a_database_of_a_newer_version_is_refused_unchanged(path: Path) -> None:
    Storage(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    assert_refused_unchanged(path, "storage.newer")


def test_another_programs_database_is_refused_unchanged(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE moz_places (url)")
    connection.close()
    assert_refused_unchanged(path, "storage.not_ours")


def assert_refused_unchanged(path: Path, key: str) -> None:
    before = path.read_bytes()
    with pytest.raises(StorageError) as caught:
        Storage(path)
    assert caught.value.key == key
    assert_one_clear_sentence(caught.value, path)
    assert path.read_bytes() == before


def test_the_file_says_whose_it_is_and_only_its_owner_reads_it(
    storage: Storage, path: Path
) -> None:
    storage.create_conversation(ME)
    for file in path.parent.iterdir():  # the journal too
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_closing_lets_go_of_every_file(path: Path) -> None:
    storage = Storage(path)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: storage.conversations(ME), range(20)))
    storage.close()
    storage.close()
    # SQLite folds the journal in when the last connection closes.
    assert list(path.parent.iterdir()) == [path]
