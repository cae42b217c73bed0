"""Rows of the table `conversations`, each under its owner, and the search over them.

Knows nothing about transactions; the caller brings the connection.
"""

import secrets
import sqlite3
from typing import Any

from webui.errors import AppError
from webui.storage.stored import stored_object, stored_text, stored_texts, stored_time
from webui.storage.texts import clean, clean_title, search_key, snippet, to_json
from webui.storage.values import Conversation, ConversationSummary, DocumentChoice


class NotFoundError(AppError):
    """Unknown, deleted or another owner's: one and the same error, so that ids leak nothing."""

    def __init__(self) -> None:
        super().__init__("storage.not_found")


_MAX_PURGED = 500  # messages in one transaction: some tens of milliseconds

_COLUMNS = """id, owner, title, title_is_auto, system_prompt, sampling, model_id, leaf_id,
              created_at, updated_at, documents"""


def new_id() -> str:
    return secrets.token_urlsafe(12)


def get(db: sqlite3.Connection, owner: str, conversation_id: str) -> Conversation:
    row = db.execute(
        f"SELECT {_COLUMNS} FROM conversations WHERE id = ? AND owner = ? AND deleted_at IS NULL",
        (clean(conversation_id), clean(owner)),
    ).fetchone()
    if row is None:
        raise NotFoundError
    return _from_row(row)


def insert(db: sqlite3.Connection, conversation: Conversation) -> None:
    values = _to_row(conversation)
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    db.execute(f"INSERT INTO conversations ({names}) VALUES ({places})", values)


def save(db: sqlite3.Connection, conversation: Conversation) -> None:
    """Writes every field of a conversation that `get` has returned."""
    values = _to_row(conversation)
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    db.execute(f"UPDATE conversations SET {assignments} WHERE id = :id", values)


def set_leaf(
    db: sqlite3.Connection,
    conversation_id: str,
    leaf_id: str | None,
    *,
    updated_at: float | None = None,
) -> None:
    db.execute(
        """UPDATE conversations SET leaf_id = ?, updated_at = coalesce(?, updated_at)
           WHERE id = ?""",
        (leaf_id, updated_at, conversation_id),
    )


def pin_model(db: sqlite3.Connection, conversation_id: str, model_id: str) -> None:
    """Its model from now on, unless it has one already."""
    db.execute(
        "UPDATE conversations SET model_id = ? WHERE id = ? AND model_id = ''",
        (clean(model_id), conversation_id),
    )


def newest(
    db: sqlite3.Connection, owner: str, limit: int, offset: int
) -> list[ConversationSummary]:
    rows = db.execute(
        """SELECT id, title, updated_at FROM conversations
           WHERE owner = ? AND deleted_at IS NULL
           ORDER BY updated_at DESC, number DESC LIMIT ? OFFSET ?""",
        (clean(owner), limit, offset),
    )
    return [_line(*row) for row in rows]


def search(
    db: sqlite3.Connection, owner: str, needle: bytes, limit: int, offset: int
) -> list[ConversationSummary]:
    """The newest conversations whose title or any message contains `needle`, a search key.

    A plain scan: 35 ms for 20,000 messages (20 MB), exact for one character as for twenty, and
    nothing to keep in step. A trigram index would not know the one- and two-character words of
    which Japanese is full.
    """
    rows = db.execute(
        """SELECT c.id, c.title, c.updated_at, (
               SELECT m.number FROM messages m JOIN message_keys k ON k.message_number = m.number
               WHERE m.conversation_id = c.id AND contains(k.key, :needle)
               ORDER BY m.number DESC LIMIT 1
           ) AS hit
           FROM conversations c
           WHERE c.owner = :owner AND c.deleted_at IS NULL
             AND (hit IS NOT NULL OR contains(c.title_key, :needle))
           ORDER BY c.updated_at DESC, c.number DESC LIMIT :limit OFFSET :offset""",
        {"owner": clean(owner), "needle": needle, "limit": limit, "offset": offset},
    ).fetchall()
    return [
        _line(id, title, updated_at, _snippet_of(db, hit, needle))
        for id, title, updated_at, hit in rows
    ]


def _line(id: str, title: object, updated_at: object, snippet: str = "") -> ConversationSummary:
    return ConversationSummary(
        id, clean_title(stored_text(title)), stored_time(updated_at), snippet
    )


def _snippet_of(db: sqlite3.Connection, message_number: int | None, needle: bytes) -> str:
    if message_number is None:
        return ""
    content, key = db.execute(
        """SELECT content, key FROM messages JOIN message_keys ON message_number = number
           WHERE number = ?""",
        (message_number,),
    ).fetchone()
    return snippet(stored_text(content), key, needle)


def ids(db: sqlite3.Connection, owner: str) -> list[str]:
    rows = db.execute(
        """SELECT id FROM conversations WHERE owner = ? AND deleted_at IS NULL
           ORDER BY updated_at DESC, number DESC""",
        (clean(owner),),
    )
    return [id for (id,) in rows]


def hide(db: sqlite3.Connection, conversation_id: str, now: float) -> None:
    db.execute("UPDATE conversations SET deleted_at = ? WHERE id = ?", (now, conversation_id))


def show(db: sqlite3.Connection, owner: str, conversation_id: str) -> bool:
    """Undoes `hide`; False when it was visible all along. Raises NotFoundError."""
    shown = db.execute(
        """UPDATE conversations SET deleted_at = NULL
           WHERE id = ? AND owner = ? AND deleted_at IS NOT NULL""",
        (clean(conversation_id), clean(owner)),
    )
    if shown.rowcount == 0:
        get(db, owner, conversation_id)
    return shown.rowcount > 0


def deleted_ids(db: sqlite3.Connection, until: float, owner: str | None) -> list[str]:
    """Of what was hidden by that time, of one owner or of all."""
    rows = db.execute(
        "SELECT id FROM conversations WHERE deleted_at <= ? AND owner = coalesce(?, owner)",
        (until, None if owner is None else clean(owner)),
    )
    return [id for (id,) in rows]


def purge_some(db: sqlite3.Connection, conversation_id: str) -> bool:
    """Removes the newest messages of a hidden conversation, or at last itself; is any left?

    Children are younger than their parents, so the youngest can always go.
    """
    removed = db.execute(
        """DELETE FROM messages WHERE number IN (
               SELECT m.number FROM messages m JOIN conversations c ON c.id = m.conversation_id
               WHERE c.id = ? AND c.deleted_at IS NOT NULL ORDER BY m.number DESC LIMIT ?)""",
        (conversation_id, _MAX_PURGED),
    )
    if removed.rowcount > 0:
        return True
    db.execute(
        "DELETE FROM conversations WHERE id = ? AND deleted_at IS NOT NULL", (conversation_id,)
    )
    return False


def _to_row(conversation: Conversation) -> dict[str, Any]:
    title = clean_title(conversation.title)
    return {
        "id": conversation.id,
        "owner": clean(conversation.owner),
        "title": title,
        "title_key": search_key(title),
        "title_is_auto": conversation.title_is_auto,
        "system_prompt": clean(conversation.system_prompt),
        "sampling": to_json(conversation.sampling),
        "model_id": clean(conversation.model_id),
        "leaf_id": conversation.leaf_id,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "documents": to_json(conversation.documents.values()),
    }


def _from_row(row: tuple[Any, ...]) -> Conversation:
    id, owner, title, title_is_auto, system, sampling, model, leaf, created, updated, choice = row
    return Conversation(
        id=id,
        owner=owner,
        title=clean_title(stored_text(title)),
        title_is_auto=bool(title_is_auto),
        system_prompt=clean(stored_text(system)),
        sampling=stored_object(sampling),
        model_id=stored_text(model),
        leaf_id=leaf,
        created_at=stored_time(created),
        updated_at=stored_time(updated),
        documents=_choice_from(stored_object(choice)),
    )


def _choice_from(values: dict[str, Any]) -> DocumentChoice:
    ids = (stored_texts(values.get(name)) for name in ("collection_ids", "document_ids"))
    return DocumentChoice(values.get("is_on") is True, *ids)
