"""Whatever stands in a row of the database, the conversation opens, and so does the list (F12).

Settings of the wrong kind made a conversation that could not be opened: エラー on every part.
"""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from webui.application import Application
from webui.config import Settings
from webui.storage import Role
from webui.storage.values import DocumentChoice
from webui.strings import Language
from webui.tasks.chat.export import to_markdown
from webui.ui.chat.conversation import transcript
from webui.ui.chat.conversation_list import list_view
from webui.ui.chat.sampling_values import panel_values

ME, JA = "local", Language.JA
ROWS: dict[str, tuple[str, ...]] = {
    "conversations": ("title", "title_is_auto", "system_prompt", "sampling", "model_id",
                      "documents", "created_at", "updated_at"),
    "messages": ("role", "status", "content", "reasoning", "model_id", "stats", "evidence",
                 "created_at"),
}  # fmt: skip
BAD: list[Any] = [
    "", "x", "null", "[]", "[1]", '"x"', "1", "{", "[" * 100_000, b"\xff\xfe", b"{}", -1, 7,
    1e300, float("inf"), "𠮷\x00", '{"thinking": []}', '{"temperature": {"a": 1}, "top_k": "x"}',
    '{"is_on": 3, "collection_ids": 5, "document_ids": [1, null]}',
    '{"error": {"x": 1}, "too_long": [], "completion_tokens": "x", "tokens_per_s": [1]}',
    '{"passages": [1], "citations": {"a": 1}, "flags": "x", "notice": 3, "abstention": []}',
    json.dumps({"passages": [{}], "citations": [[]], "flags": [None], "question": 1}),
]  # fmt: skip


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("typed")
    (folder / "models").mkdir()
    settings = Settings(data_dir=folder / "data", models_dir=folder / "models", embedder="off")
    application = Application.open(settings)
    yield application
    application.storage.close()


def conversation(application: Application) -> str:
    storage = application.storage
    made = storage.create_conversation(ME, documents=DocumentChoice(is_on=True))
    asked = storage.add_message(ME, made.id, Role.USER, "問いの言葉", parent_id=None)
    storage.add_message(ME, made.id, Role.ASSISTANT, "答えの言葉", parent_id=asked.id)
    return made.id


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in ROWS.items() for column in columns]
)
def test_a_conversation_always_opens(application: Application, table: str, column: str) -> None:
    storage = application.storage
    for value in BAD:
        chat = conversation(application)
        where = "id" if table == "conversations" else "conversation_id"
        try:
            with storage._database.write() as db:
                db.execute(f"UPDATE {table} SET {column} = ? WHERE {where} = ?", (value, chat))
        except sqlite3.IntegrityError:
            continue  # the table itself refuses it
        kept = storage.conversation(ME, chat)
        view = asyncio_run(transcript(application, ME, chat, JA))
        assert len(view["messages"]) == 2, value
        assert json.dumps(view)
        panel_values(kept.system_prompt, kept.sampling)
        listed = list_view(application, ME, JA)
        assert chat in json.dumps(listed), value
        list_view(application, ME, JA, "言葉")
        exported = storage.export_conversation(ME, chat)
        assert json.dumps(exported) and to_markdown(exported, JA)
        storage.delete_conversation(ME, chat)


def test_a_summary_never_hides_the_others(application: Application) -> None:
    summaries = application.storage.summaries
    made = [
        summaries.begin(
            ME, f"key {n}", title=f"題{n}", model_id="", settings={}, source={}, num_parts=1
        ).id
        for n in range(2)
    ]
    for column in ("settings", "status", "result", "source", "model_id"):
        for value in BAD:
            with application.storage._database.write() as db:
                db.execute(f"UPDATE summaries SET {column} = ? WHERE id = ?", (value, made[0]))
            assert {record.id for record in summaries.newest(ME)} == set(made)
            assert isinstance(summaries.source(ME, made[0]), dict)


def test_a_document_that_tells_nonsense_is_listed(application: Application, tmp_path: Path) -> None:
    documents = application.storage.documents
    where = documents.create_collection(ME, "棚").id
    made, _ = documents.add_document(ME, where, "a.txt", sha256="a", num_bytes=1)
    for column in ("status", "problem", "kind"):
        for value in BAD:
            with application.storage._database.write() as db:
                db.execute(f"UPDATE documents SET {column} = ? WHERE id = ?", (value, made.id))
            assert [one.id for one in documents.documents(ME)] == [made.id]


def asyncio_run(work: Any) -> Any:
    """In a thread: in this one a browser's loop may be running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
