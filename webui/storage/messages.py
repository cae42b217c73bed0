"""The message tree of a conversation. Knows nothing about owners or transactions.

Siblings (same parent, or both first) are the versions of one turn, oldest first. A child is
always younger than its parent, so the youngest message of any subtree is a leaf of it, and
sorting by `number` puts every path in order.
"""

import sqlite3
import time
from typing import Any

from webui.storage.conversations import NotFoundError, new_id
from webui.storage.stored import stored_choice, stored_object, stored_text, stored_time
from webui.storage.texts import clean, search_key, to_json
from webui.storage.values import Message, Role, Status

_COLUMNS = """
    m.id, m.conversation_id, m.parent_id, m.role, m.content, m.reasoning, m.status, m.model_id,
    m.stats, m.created_at,
    (SELECT count(*) FROM messages s WHERE s.conversation_id = m.conversation_id
        AND s.parent_id IS m.parent_id AND s.number <= m.number),
    (SELECT count(*) FROM messages s WHERE s.conversation_id = m.conversation_id
        AND s.parent_id IS m.parent_id),
    m.evidence
"""

_SUBTREE = """
    WITH RECURSIVE subtree (id, number) AS (
        SELECT id, number FROM messages WHERE id = ?
        UNION ALL
        SELECT m.id, m.number FROM subtree JOIN messages m ON m.parent_id = subtree.id
    )
"""


def get(db: sqlite3.Connection, message_id: str) -> Message:
    row = db.execute(
        f"SELECT {_COLUMNS} FROM messages m WHERE m.id = ?", (clean(message_id),)
    ).fetchone()
    if row is None:
        raise NotFoundError
    return _from_row(row)


def path(db: sqlite3.Connection, leaf_id: str | None) -> list[Message]:
    """From the first message down to `leaf_id`."""
    rows = db.execute(
        f"""WITH RECURSIVE up (id, parent_id) AS (
                SELECT id, parent_id FROM messages WHERE id = ?
                UNION ALL
                SELECT m.id, m.parent_id FROM up JOIN messages m ON m.id = up.parent_id
            )
            SELECT {_COLUMNS} FROM up JOIN messages m ON m.id = up.id ORDER BY m.number""",
        (leaf_id,),
    )
    return [_from_row(row) for row in rows]


def tree(db: sqlite3.Connection, conversation_id: str) -> list[Message]:
    """Every message of the conversation, oldest first, so parents before children."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM messages m WHERE m.conversation_id = ? ORDER BY m.number",
        (conversation_id,),
    )
    return [_from_row(row) for row in rows]


def version_ids(db: sqlite3.Connection, message: Message) -> list[str]:
    """`message` and its siblings, oldest first."""
    rows = db.execute(
        """SELECT id FROM messages WHERE conversation_id = ? AND parent_id IS ?
           ORDER BY number""",
        (message.conversation_id, message.parent_id),
    )
    return [id for (id,) in rows]


def newest_leaf(db: sqlite3.Connection, message_id: str) -> str:
    """The end of the branch below `message_id` that was written last; itself when none is."""
    (id,) = db.execute(
        f"{_SUBTREE} SELECT id FROM subtree ORDER BY number DESC LIMIT 1", (message_id,)
    ).fetchone()
    return str(id)


def is_below(db: sqlite3.Connection, message_id: str, other_id: str | None) -> bool:
    """Whether `other_id` is `message_id` or one of its descendants."""
    found = db.execute(f"{_SUBTREE} SELECT 1 FROM subtree WHERE id = ?", (message_id, other_id))
    return found.fetchone() is not None


def insert(
    db: sqlite3.Connection,
    conversation_id: str,
    role: Role,
    content: str,
    *,
    parent_id: str | None,
    status: Status = Status.COMPLETE,
    reasoning: str = "",
    model_id: str = "",
    stats: dict[str, Any] | None = None,
    created_at: float | None = None,
    evidence: dict[str, Any] | None = None,
) -> str:
    """Adds the youngest child of `parent_id`; returns its id."""
    content = clean(content)
    id = new_id()
    cursor = db.execute(
        """INSERT INTO messages (id, conversation_id, parent_id, role, content, reasoning, status,
                                 model_id, stats, created_at, evidence)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            id,
            conversation_id,
            parent_id,
            role,
            content,
            clean(reasoning),
            status,
            clean(model_id),
            to_json(stats or {}),
            time.time() if created_at is None else created_at,
            to_json(evidence or {}),
        ),
    )
    db.execute(
        "INSERT INTO message_keys (message_number, key) VALUES (?, ?)",
        (cursor.lastrowid, search_key(content)),
    )
    return id


def update(
    db: sqlite3.Connection,
    message_id: str,
    *,
    content: str | None,
    reasoning: str | None,
    status: Status | None,
    stats: dict[str, Any] | None,
    evidence: dict[str, Any] | None,
) -> None:
    """Changes what is not None."""
    content = None if content is None else clean(content)
    db.execute(
        """UPDATE messages SET content = coalesce(?, content), reasoning = coalesce(?, reasoning),
                               status = coalesce(?, status), stats = coalesce(?, stats),
                               evidence = coalesce(?, evidence)
           WHERE id = ?""",
        (
            content,
            None if reasoning is None else clean(reasoning),
            status,
            None if stats is None else to_json(stats),
            None if evidence is None else to_json(evidence),
            message_id,
        ),
    )
    if content is not None:
        db.execute(
            """UPDATE message_keys SET key = ?
               WHERE message_number = (SELECT number FROM messages WHERE id = ?)""",
            (search_key(content), message_id),
        )


def delete_subtree(db: sqlite3.Connection, message_id: str) -> None:
    db.execute(
        f"{_SUBTREE} DELETE FROM messages WHERE id IN (SELECT id FROM subtree)", (message_id,)
    )


def interrupt(db: sqlite3.Connection, conversation_id: str | None = None) -> int:
    """Answers that nobody writes any more become partial; returns how many."""
    return db.execute(
        """UPDATE messages SET status = 'partial'
           WHERE status = 'writing' AND conversation_id = coalesce(?, conversation_id)""",
        (conversation_id,),
    ).rowcount


def _from_row(row: tuple[Any, ...]) -> Message:
    id, conversation_id, parent_id, role, content, reasoning, status, model_id, *rest = row
    stats, created_at, version, num_versions, evidence = rest
    return Message(
        id=id,
        conversation_id=conversation_id,
        parent_id=parent_id,
        role=stored_choice(role, Role.ASSISTANT),
        content=clean(stored_text(content)),
        reasoning=clean(stored_text(reasoning)),
        status=stored_choice(status, Status.PARTIAL),
        model_id=stored_text(model_id),
        stats=stored_object(stats),
        created_at=stored_time(created_at),
        version=version,
        num_versions=num_versions,
        evidence=stored_object(evidence),
    )
