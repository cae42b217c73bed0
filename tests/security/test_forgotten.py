"""What somebody deleted is nowhere in the data folder any more: every byte of it is looked at (F9).

Conversations, messages and summaries stayed in the database for ever; the words of documents in
its write-ahead log.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.api.servers import serving
from webui.storage import ChunkRow, NotFoundError, PageRow, Role, Status, Storage
from webui.tasks.purging import UNDO_S, purge, purge_regularly

ME, OTHER = "me", "somebody else"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path / "kajogaki.db")
    yield storage
    storage.close()


def holds(folder: Path, words: str) -> list[str]:
    """The files below the folder in which the words stand, as the database may write them."""
    needles = [words.encode(), words.encode("utf-16-le"), ascii(words)[1:-1].encode()]
    return [
        path.name
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


def conversation(storage: Storage, words: str, owner: str = ME) -> str:
    made = storage.create_conversation(owner, system_prompt=f"{words}と話す。")
    storage.update_conversation(owner, made.id, title=f"{words}の題")
    asked = storage.add_message(owner, made.id, Role.USER, words * 3, parent_id=None)
    answer = storage.add_message(owner, made.id, Role.ASSISTANT, "", parent_id=asked.id)
    for length in (1, 50, 2000):  # as an answer grows
        storage.update_message(
            owner,
            answer.id,
            content=words * length,
            reasoning=f"{words}について",
            evidence={"quote": words},
            status=Status.COMPLETE,
        )
    return made.id


def summary(storage: Storage, words: str) -> str:
    made = storage.summaries.begin(
        ME,
        f"key of {words}",
        title=f"{words}の要約",
        model_id="m",
        settings={"note": words},
        source={"text": words * 1000},
        num_parts=1,
    )
    storage.summaries.save_part(ME, made.id, 0, 0, {"bullets": [words]})
    storage.summaries.end(ME, made.id, Status.COMPLETE, {"bullets": [words]})
    return made.id


def document(storage: Storage, words: str) -> str:
    documents = storage.documents
    where = documents.create_collection(ME, f"{words}の箱")
    made, _ = documents.add_document(ME, where.id, f"{words}.txt", sha256=words, num_bytes=1)
    page = PageRow(1, words * 200, b"", 1, 1, False, "")
    chunk = ChunkRow(1, 0, 1, 9, f"{words}の節", words * 100)
    documents.save_content(ME, made.id, kind="txt", pages=[page], chunks=[chunk])
    return where.id


def test_deleted_words_are_in_no_file(storage: Storage, tmp_path: Path) -> None:
    words = {kind: f"秘密の{kind}九一八" for kind in ("会話", "発言", "要約", "資料", "残す")}
    chat, kept = conversation(storage, words["会話"]), conversation(storage, words["残す"])
    leaf = storage.conversation(ME, kept).leaf_id
    message = storage.add_message(ME, kept, Role.USER, words["発言"], parent_id=leaf)
    told, box = summary(storage, words["要約"]), document(storage, words["資料"])
    for kind in words.values():
        assert holds(tmp_path, kind), kind
    storage.delete_conversation(ME, chat)
    storage.delete_message(ME, message.id)
    storage.summaries.delete(ME, told)
    storage.documents.delete_collection(ME, box)
    assert purge(storage, older_than_s=0) == 2
    assert {kind: holds(tmp_path, word) for kind, word in words.items()} == {
        "会話": [], "発言": [], "要約": [], "資料": [], "残す": ["kajogaki.db"],
    }  # fmt: skip
    with pytest.raises(NotFoundError):
        storage.restore_conversation(ME, chat)


def test_what_can_still_be_undone_stays(storage: Storage, tmp_path: Path) -> None:
    words = "取り消せる言葉"
    chat, told = conversation(storage, words), summary(storage, words)
    storage.delete_conversation(ME, chat)
    storage.summaries.delete(ME, told)
    assert purge(storage, older_than_s=UNDO_S) == 0
    storage.restore_conversation(ME, chat)
    storage.summaries.restore(ME, told)
    assert storage.conversation(ME, chat).title == f"{words}の題"
    assert storage.summaries.get(ME, told).title == f"{words}の要約"


def test_on_request_only_ones_own_goes_at_once(storage: Storage, tmp_path: Path) -> None:
    mine, others = conversation(storage, "私の言葉"), conversation(storage, "人の言葉", OTHER)
    storage.delete_conversation(ME, mine)
    storage.delete_conversation(OTHER, others)
    assert purge(storage, older_than_s=0, owner=ME) == 1
    assert holds(tmp_path, "私の言葉") == [] and holds(tmp_path, "人の言葉")
    storage.restore_conversation(OTHER, others)


def test_a_conversation_too_large_for_one_step_goes_completely(
    storage: Storage, tmp_path: Path
) -> None:
    chat = storage.create_conversation(ME).id
    parent = None
    for number in range(1200):
        role = Role.ASSISTANT if number % 2 else Role.USER
        added = storage.add_message(ME, chat, role, f"長い会話{number}", parent_id=parent)
        parent = added.id if number % 7 else parent  # with branches
    storage.delete_conversation(ME, chat)
    assert purge(storage, older_than_s=0) == 1
    assert holds(tmp_path, "長い会話") == []


def test_nothing_stays_behind_in_pages_that_were_rearranged(
    storage: Storage, tmp_path: Path
) -> None:
    """Many sizes, edits, deletions in between: SQLite moves cells about inside its pages."""
    random_ = random.Random(7)
    gone: list[str] = []
    for number in range(80):
        words = f"語{number}-{random_.getrandbits(64):x}"
        chat = storage.create_conversation(ME, system_prompt=words).id
        size = random_.choice((1, 30, 300, 3000))
        message = storage.add_message(ME, chat, Role.USER, words + "あ" * size, parent_id=None)
        storage.update_message(ME, message.id, content=words + "い" * random_.randrange(1, 4000))
        if random_.random() < 0.5:
            storage.delete_conversation(ME, chat)
            gone.append(words)
            if random_.random() < 0.5:
                purge(storage, older_than_s=0)
    purge(storage, older_than_s=0)
    assert gone and [words for words in gone if holds(tmp_path, words)] == []


def test_it_happens_by_itself_while_the_server_runs(storage: Storage, tmp_path: Path) -> None:
    async def test() -> None:
        chat = conversation(storage, "ひとりでに消える")
        task = asyncio.create_task(purge_regularly(storage, every_s=0.05, older_than_s=0.2))
        storage.delete_conversation(ME, chat)
        give_up = time.monotonic() + 20
        while holds(tmp_path, "ひとりでに消える") and time.monotonic() < give_up:
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert holds(tmp_path, "ひとりでに消える") == []

    with ThreadPoolExecutor(1) as thread:  # in this one a browser's loop may be running
        thread.submit(asyncio.run, test()).result()


def test_a_reader_in_the_middle_only_delays_it(storage: Storage, tmp_path: Path) -> None:
    chat = conversation(storage, "読まれている間")
    storage.delete_conversation(ME, chat)
    with storage._database.read() as db:
        db.execute("SELECT count(*) FROM messages").fetchone()  # holds the old state
        assert purge(storage, older_than_s=0) == 1  # no error, and no long wait
    purge(storage, older_than_s=0)
    assert holds(tmp_path, "読まれている間") == []


def test_the_page_asks_for_it_and_a_stop_or_start_does_it(standin: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    exported = {
        "kajogaki": 1,
        "conversations": [
            {
                "title": f"会話{words}",
                "title_is_auto": False,
                "system_prompt": words,
                "sampling": {},
                "model_id": "",
                "created_at": 1.0,
                "updated_at": 1.0,
                "messages": [],
                "leaf": None,
            }
            for words in ("すぐ消す言葉", "止めるとき消す言葉", "始めるとき消す言葉", "残す言葉")
        ],
    }
    with serving(tmp_path) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        ids = http.post("/import", json=exported).json()["conversations"]
        second = Storage(data / "kajogaki.db")  # what the page's event does
        second.delete_conversation("local", ids[0])
        assert holds(data, "すぐ消す言葉")
        answer = http.post("/purge", json={})
        assert answer.status_code == 200 and answer.json() == {"purged": 1}
        assert holds(data, "すぐ消す言葉") == []
        second.delete_conversation("local", ids[1])
        second.close()
        assert holds(data, "止めるとき消す言葉")
    assert holds(data, "止めるとき消す言葉") == []
    second = Storage(data / "kajogaki.db")
    second.delete_conversation("local", ids[2])
    with second._database.write() as db:  # some time ago, by a process that was killed
        db.execute("UPDATE conversations SET deleted_at = deleted_at - ?", (UNDO_S + 1,))
    second.close()
    left = data / "kajogaki-temporary" / "kajogaki-x"  # of an upload, by that process
    left.mkdir()
    (left / "upload").write_text("置き去りの言葉", encoding="utf-8")
    with serving(tmp_path):
        assert holds(data, "置き去りの言葉") == []
        give_up = time.monotonic() + 30
        while holds(data, "始めるとき消す言葉") and time.monotonic() < give_up:
            time.sleep(0.1)
        assert holds(data, "始めるとき消す言葉") == []
        assert holds(data, "残す言葉")
