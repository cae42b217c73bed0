"""Storage: what the rest of the program asks for; each call is one transaction, owner checked.

Every method may be called from any thread, and costs under 2 ms with thousands of
conversations (search: tens of ms). Raises NotFoundError for an id that this owner does not have,
StorageError when the disk or the file fails, TextTooLongError above 10 million characters.
"""

import time
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from webui.storage import archive, conversations, messages, preferences
from webui.storage.archive import ArchivedConversation, Meanings
from webui.storage.conversations import NotFoundError, new_id
from webui.storage.database import Database
from webui.storage.documents import Documents
from webui.storage.summaries import Summaries
from webui.storage.texts import clean, search_key
from webui.storage.values import (
    Conversation,
    ConversationSummary,
    DocumentChoice,
    Message,
    Role,
    Status,
)

MAX_LISTED = 1_000
_MAX_OFFSET = 1 << 31


class Storage:
    def __init__(self, path: Path) -> None:
        """Opens or creates the database file. Raises StorageError."""
        self._database = Database(path)
        self.summaries = Summaries(self._database)
        self.documents = Documents(self._database)

    def close(self) -> None:
        self._database.close()

    # --- conversations -------------------------------------------------------------------------

    def create_conversation(
        self,
        owner: str,
        *,
        system_prompt: str = "",
        sampling: dict[str, Any] | None = None,
        model_id: str = "",
        documents: DocumentChoice = DocumentChoice(),  # noqa: B008 -- frozen
    ) -> Conversation:
        now = time.time()
        conversation = Conversation(
            id=new_id(),
            owner=owner,
            title="",
            title_is_auto=True,
            system_prompt=system_prompt,
            sampling=sampling or {},
            model_id=model_id,
            leaf_id=None,
            created_at=now,
            updated_at=now,
            documents=documents,
        )
        with self._database.write() as db:
            conversations.insert(db, conversation)
            return conversations.get(db, owner, conversation.id)

    def conversation(self, owner: str, conversation_id: str) -> Conversation:
        with self._database.read() as db:
            return conversations.get(db, owner, conversation_id)

    def conversations(
        self, owner: str, query: str = "", limit: int = 200, offset: int = 0
    ) -> list[ConversationSummary]:
        """Newest first. `query`: part of the title or of any message, in any width or case."""
        limit = min(max(limit, 0), MAX_LISTED)
        offset = min(max(offset, 0), _MAX_OFFSET)
        needle = search_key(clean(query))
        with self._database.read() as db:
            if needle:
                return conversations.search(db, owner, needle, limit, offset)
            return conversations.newest(db, owner, limit, offset)

    def update_conversation(
        self,
        owner: str,
        conversation_id: str,
        *,
        title: str | None = None,
        title_is_auto: bool | None = None,
        system_prompt: str | None = None,
        sampling: dict[str, Any] | None = None,
        model_id: str | None = None,
        documents: DocumentChoice | None = None,
    ) -> Conversation:
        """Changes what is not None.

        A title given with `title_is_auto=True` never replaces one that a person has chosen,
        however late it comes.
        """
        with self._database.write() as db:
            old = conversations.get(db, owner, conversation_id)
            if title is not None and title_is_auto and not old.title_is_auto:
                title, title_is_auto = None, None
            changes: dict[str, Any] = {
                "title": title,
                "title_is_auto": title_is_auto,
                "system_prompt": system_prompt,
                "sampling": sampling,
                "model_id": model_id,
                "documents": documents,
            }
            new = replace(old, **{k: v for k, v in changes.items() if v is not None})
            conversations.save(db, new)
            return conversations.get(db, owner, conversation_id)

    def delete_conversation(self, owner: str, conversation_id: str) -> None:
        """Hides it everywhere, until restored or purged."""
        with self._database.write() as db:
            conversation = conversations.get(db, owner, conversation_id)
            conversations.hide(db, conversation.id, time.time())

    def restore_conversation(self, owner: str, conversation_id: str) -> None:
        """Undoes delete_conversation. An answer that was being written is now a partial one."""
        with self._database.write() as db:
            if conversations.show(db, owner, conversation_id):
                messages.interrupt(db, conversation_id)

    def purge_deleted(self, older_than_s: float, owner: str | None = None) -> int:
        """Removes for good what was deleted longer ago, of one owner or of all.

        Returns how many conversations and summaries. Many short transactions: nobody waits long.
        """
        until = time.time() - older_than_s
        with self._database.read() as db:
            ids = conversations.deleted_ids(db, until, owner)
        for id in ids:
            has_messages = True
            while has_messages:
                with self._database.write() as db:
                    has_messages = conversations.purge_some(db, id)
        return len(ids) + self.summaries.purge_deleted(until, owner)

    def empty_log(self) -> bool:
        """Writes the log's content into the database: then no file holds what was deleted.

        False when somebody was reading an older state; the next call may do it.
        """
        return self._database.empty_log()

    # --- messages: a tree; the conversation's leaf names the path that is shown ------------------

    def add_message(
        self,
        owner: str,
        conversation_id: str,
        role: Role,
        content: str,
        *,
        parent_id: str | None,
        model_id: str = "",
        status: Status = Status.COMPLETE,
    ) -> Message:
        """Adds the newest version below `parent_id` (None: a first message) and shows it.

        A conversation without a model of its own keeps that of its first answer.
        """
        with self._database.write() as db:
            conversation = conversations.get(db, owner, conversation_id)
            if parent_id is not None:
                parent = messages.get(db, parent_id)
                if parent.conversation_id != conversation.id:
                    raise NotFoundError
            id = messages.insert(
                db,
                conversation.id,
                role,
                content,
                parent_id=parent_id,
                model_id=model_id,
                status=status,
            )
            conversations.set_leaf(db, conversation.id, id, updated_at=time.time())
            if role is Role.ASSISTANT:
                conversations.pin_model(db, conversation.id, model_id)
            return messages.get(db, id)

    def update_message(
        self,
        owner: str,
        message_id: str,
        *,
        content: str | None = None,
        reasoning: str | None = None,
        status: Status | None = None,
        stats: dict[str, Any] | None = None,
        evidence: dict[str, Any] | None = None,
    ) -> None:
        """Changes what is not None."""
        with self._database.write() as db:
            message, _ = _owned(db, owner, message_id)
            messages.update(
                db,
                message.id,
                content=content,
                reasoning=reasoning,
                status=status,
                stats=stats,
                evidence=evidence,
            )

    def message(self, owner: str, message_id: str) -> Message:
        with self._database.read() as db:
            message, _ = _owned(db, owner, message_id)
            return message

    def path(self, owner: str, conversation_id: str) -> list[Message]:
        """The messages that are shown, first to last."""
        with self._database.read() as db:
            conversation = conversations.get(db, owner, conversation_id)
            return messages.path(db, conversation.leaf_id)

    def show_version(self, owner: str, message_id: str, version: int) -> None:
        """Shows that sibling of the message (counted from 1) and the branch last written below it.

        Raises NotFoundError when there is no such version.
        """
        with self._database.write() as db:
            message, _ = _owned(db, owner, message_id)
            ids = messages.version_ids(db, message)
            if not 1 <= version <= len(ids):
                raise NotFoundError
            leaf_id = messages.newest_leaf(db, ids[version - 1])
            conversations.set_leaf(db, message.conversation_id, leaf_id)

    def undo(self, owner: str, conversation_id: str) -> str:
        """Steps back to before the last user message that is shown; returns its text.

        "" when nothing is shown to undo. Deletes nothing.
        """
        with self._database.write() as db:
            conversation = conversations.get(db, owner, conversation_id)
            for message in reversed(messages.path(db, conversation.leaf_id)):
                if message.role is Role.USER:
                    conversations.set_leaf(db, conversation.id, message.parent_id)
                    return message.content
            return ""

    def delete_message(self, owner: str, message_id: str) -> None:
        """Deletes the message and everything below it, on every branch, for good.

        If it was on the shown path, its newest remaining sibling is shown, else its parent.
        """
        with self._database.write() as db:
            message, conversation = _owned(db, owner, message_id)
            was_shown = messages.is_below(db, message.id, conversation.leaf_id)
            messages.delete_subtree(db, message.id)
            if was_shown:
                siblings = messages.version_ids(db, message)
                leaf_id = messages.newest_leaf(db, siblings[-1]) if siblings else message.parent_id
                conversations.set_leaf(db, conversation.id, leaf_id)

    def mark_interrupted(self) -> int:
        """At start: answers and summaries that a killed process left unfinished become partial.

        Returns how many answers.
        """
        self.summaries.mark_interrupted()
        with self._database.write() as db:
            return messages.interrupt(db)

    # --- export and import ---------------------------------------------------------------------

    def export_conversation(self, owner: str, conversation_id: str) -> dict[str, Any]:
        """One conversation with all its branches; the shape is described in archive.py."""
        with self._database.read() as db:
            return archive.export_file([_export(db, owner, conversation_id)])

    def export_all(self, owner: str) -> dict[str, Any]:
        """All conversations that are not deleted, newest first."""
        with self._database.read() as db:
            ids = conversations.ids(db, owner)
            return archive.export_file([_export(db, owner, id) for id in ids])

    def import_conversations(
        self,
        owner: str,
        data: object,
        meanings: Meanings = Meanings(),  # noqa: B008 -- frozen
    ) -> list[str]:
        """Adds all conversations of an export, or none; returns their new ids in its order.

        Raises InvalidExportError naming what is wrong.
        """
        archived = archive.read_file(data, meanings)
        with self._database.write() as db:
            # Last first: where times are equal, the list keeps the order of the file.
            ids = [_import(db, owner, conversation) for conversation in reversed(archived)]
        return ids[::-1]

    # --- presets and settings ------------------------------------------------------------------

    def presets(self, owner: str) -> dict[str, dict[str, Any]]:
        """Named sampling values, by name."""
        with self._database.read() as db:
            return preferences.presets(db, owner)

    def save_preset(self, owner: str, name: str, values: dict[str, Any]) -> None:
        with self._database.write() as db:
            preferences.save_preset(db, owner, name, values)

    def delete_preset(self, owner: str, name: str) -> None:
        with self._database.write() as db:
            preferences.delete_preset(db, owner, name)

    def setting(self, owner: str, key: str, default: str = "") -> str:
        with self._database.read() as db:
            return preferences.setting(db, owner, key, default)

    def set_setting(self, owner: str, key: str, value: str) -> None:
        with self._database.write() as db:
            preferences.set_setting(db, owner, key, value)


def _owned(db: Connection, owner: str, message_id: str) -> tuple[Message, Conversation]:
    message = messages.get(db, message_id)
    return message, conversations.get(db, owner, message.conversation_id)


def _export(db: Connection, owner: str, conversation_id: str) -> dict[str, Any]:
    conversation = conversations.get(db, owner, conversation_id)
    return archive.export_one(conversation, messages.tree(db, conversation.id))


def _import(db: Connection, owner: str, archived: ArchivedConversation) -> str:
    conversation = Conversation(
        id=new_id(),
        owner=owner,
        title=archived.title,
        title_is_auto=archived.title_is_auto,
        system_prompt=archived.system_prompt,
        sampling=archived.sampling,
        model_id=archived.model_id,
        leaf_id=None,
        created_at=archived.created_at,
        updated_at=archived.updated_at,
        documents=archived.documents,
    )
    conversations.insert(db, conversation)
    ids: dict[int | None, str | None] = {None: None}
    for number, message in enumerate(archived.messages, start=1):
        ids[number] = messages.insert(
            db,
            conversation.id,
            message.role,
            message.content,
            parent_id=ids[message.parent],
            status=message.status,
            reasoning=message.reasoning,
            model_id=message.model_id,
            stats=message.stats,
            created_at=message.created_at,
            evidence=message.evidence,
        )
    answered_by = [one.model_id for one in archived.messages if one.role is Role.ASSISTANT]
    conversations.pin_model(db, conversation.id, next(filter(None, reversed(answered_by)), ""))
    conversations.set_leaf(db, conversation.id, ids[archived.leaf])
    return conversation.id
