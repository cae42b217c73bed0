"""The JSON export of conversations: its shape, and the strict reading of one. Pure.

    {"kajogaki": 1, "conversations": [{
        "title", "title_is_auto", "system_prompt", "sampling", "model_id", "created_at",
        "updated_at", "leaf": number or null, "documents"?: {"is_on", "collection_ids",
        "document_ids"},
        "messages": [{"id": 1, "parent": number or null, "role", "content", "reasoning",
                      "status", "model_id", "stats", "created_at", "evidence"?: {…}}, …]}, …]}

A field with ? is there only where there is something to say.

Messages are numbered 1, 2, 3 … and a parent stands before its children, so a cycle cannot be
written down. A file comes from anywhere: nothing in it is believed before it has been checked.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, TypeGuard, TypeVar

from webui.errors import AppError
from webui.storage.texts import MAX_TEXT_CHARS, MAX_TITLE_CHARS, clean
from webui.storage.values import Conversation, DocumentChoice, Message, Role, Status

FORMAT_VERSION = 1

MAX_CONVERSATIONS = 10_000
MAX_MESSAGES = 200_000  # in one file
MAX_JSON_DEPTH = 6
MAX_JSON_ITEMS = 10_000
MAX_CHOSEN = 500  # collections, or documents
_ID = re.compile(r"[\w-]{1,100}", re.ASCII)
_MAX_NAME_CHARS = 200
_MAX_TIME = 253_402_214_400.0  # the last day of the year 9999, for date functions
_MAX_INTEGER = 1 << 63

_Choice = TypeVar("_Choice", bound=StrEnum)


class InvalidExportError(AppError):
    """The data is not a usable export; `where` names the place, as in conversations[0].title."""

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(f"storage.import_{problem}", where=clean(where))


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    parent: int | None  # the number of an earlier message, counted from 1
    role: Role
    content: str
    reasoning: str
    status: Status
    model_id: str
    stats: dict[str, Any]
    created_at: float
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArchivedConversation:
    title: str
    title_is_auto: bool
    system_prompt: str
    sampling: dict[str, Any]
    model_id: str
    created_at: float
    updated_at: float
    leaf: int | None  # the number of a message
    messages: tuple[ArchivedMessage, ...]
    documents: DocumentChoice = DocumentChoice()


@dataclass(frozen=True, slots=True)
class Meanings:
    """What storage does not know: which settings, statistics and evidence there are.

    Each takes a small JSON object and gives out what of it is to be kept, or raises AppError.
    """

    settings: Callable[[dict[str, Any]], dict[str, Any]] = dict
    stats: Callable[[dict[str, Any]], dict[str, Any]] = dict
    evidence: Callable[[str, dict[str, Any]], dict[str, Any]] = lambda _content, given: given


_FILE_FIELDS = ("kajogaki", "conversations")
_CONVERSATION_FIELDS = tuple(n for n in ArchivedConversation.__slots__ if n != "documents")
_MESSAGE_FIELDS = ("id", *(name for name in ArchivedMessage.__slots__ if name != "evidence"))


def export_file(conversations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kajogaki": FORMAT_VERSION, "conversations": conversations}


def export_one(conversation: Conversation, messages: Sequence[Message]) -> dict[str, Any]:
    """`messages`: the whole tree, oldest first."""
    numbers: dict[str | None, int | None] = {None: None}
    for number, message in enumerate(messages, start=1):
        numbers[message.id] = number
    choice = conversation.documents.values()
    return {
        "title": conversation.title,
        "title_is_auto": conversation.title_is_auto,
        "system_prompt": conversation.system_prompt,
        "sampling": conversation.sampling,
        "model_id": conversation.model_id,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "leaf": numbers[conversation.leaf_id],
        **({"documents": choice} if choice else {}),
        "messages": [
            {
                "id": numbers[message.id],
                "parent": numbers[message.parent_id],
                "role": message.role.value,
                "content": message.content,
                "reasoning": message.reasoning,
                # In the file nobody goes on writing.
                "status": Status.PARTIAL.value
                if message.status is Status.WRITING
                else message.status.value,
                "model_id": message.model_id,
                "stats": message.stats,
                "created_at": message.created_at,
                **({"evidence": message.evidence} if message.evidence else {}),
            }
            for message in messages
        ],
    }


def read_file(data: object, meanings: Meanings) -> list[ArchivedConversation]:
    """The conversations in `data`. Raises InvalidExportError, TextTooLongError."""
    if not isinstance(data, dict) or "kajogaki" not in data:
        raise InvalidExportError("not_ours")
    if type(data["kajogaki"]) is not int or data["kajogaki"] != FORMAT_VERSION:
        raise InvalidExportError("version")
    items = _Value(data, "").fields(_FILE_FIELDS)["conversations"].items(MAX_CONVERSATIONS)
    conversations: list[ArchivedConversation] = []
    num_messages_left = MAX_MESSAGES
    for item in items:
        conversations.append(_read_conversation(item, num_messages_left, meanings))
        num_messages_left -= len(conversations[-1].messages)
    return conversations


def read_choice(values: object) -> DocumentChoice:
    """Which documents to answer from. Raises InvalidExportError."""
    return _read_choice(_Value(values, "documents"))


def _read_conversation(
    value: "_Value", max_messages: int, meanings: Meanings
) -> ArchivedConversation:
    fields = value.fields(_CONVERSATION_FIELDS, optional="documents")
    messages = fields["messages"].items(max_messages)
    return ArchivedConversation(
        title=fields["title"].text(MAX_TITLE_CHARS),
        title_is_auto=fields["title_is_auto"].flag(),
        system_prompt=fields["system_prompt"].text(),
        sampling=fields["sampling"].json_object(meanings.settings),
        model_id=fields["model_id"].text(_MAX_NAME_CHARS),
        created_at=fields["created_at"].time(),
        updated_at=fields["updated_at"].time(),
        leaf=fields["leaf"].message_number(len(messages)),
        messages=tuple(
            _read_message(item, n, meanings) for n, item in enumerate(messages, start=1)
        ),
        documents=_read_choice(fields["documents"]) if "documents" in fields else DocumentChoice(),
    )


def _read_choice(value: "_Value") -> DocumentChoice:
    fields = value.fields(tuple(DocumentChoice.__slots__))
    ids = [
        tuple(item.id() for item in fields[name].items(MAX_CHOSEN))
        for name in ("collection_ids", "document_ids")
    ]
    return DocumentChoice(fields["is_on"].flag(), *ids)


def _read_message(value: "_Value", number: int, meanings: Meanings) -> ArchivedMessage:
    fields = value.fields(_MESSAGE_FIELDS, optional="evidence")
    if fields["id"].message_number(number) != number:
        raise InvalidExportError("value", fields["id"].where)
    if fields["status"].choice(Status) is Status.WRITING:
        raise InvalidExportError("value", fields["status"].where)
    content = fields["content"].text()
    evidence: dict[str, Any] = {}
    if "evidence" in fields:
        evidence = fields["evidence"].json_object(partial(meanings.evidence, content))
    return ArchivedMessage(
        parent=fields["parent"].message_number(number - 1),
        role=fields["role"].choice(Role),
        content=content,
        reasoning=fields["reasoning"].text(),
        status=fields["status"].choice(Status),
        model_id=fields["model_id"].text(_MAX_NAME_CHARS),
        stats=fields["stats"].json_object(meanings.stats),
        created_at=fields["created_at"].time(),
        evidence=evidence,
    )


@dataclass(frozen=True, slots=True)
class _Value:
    """A value and where it stands; every method checks the value before it gives it out."""

    value: object
    where: str

    def fields(self, names: Sequence[str], optional: str = "") -> dict[str, "_Value"]:
        """An object with exactly these names, and perhaps with the optional one."""
        if not isinstance(self.value, dict):
            raise self._wrong()
        prefix = f"{self.where}." if self.where else ""
        for name in self.value:
            if name not in names and name != optional:
                raise InvalidExportError("unknown", prefix + str(name)[:_MAX_NAME_CHARS])
        for name in names:
            if name not in self.value:
                raise InvalidExportError("missing", prefix + name)
        return {name: _Value(value, prefix + name) for name, value in self.value.items()}

    def items(self, limit: int) -> list["_Value"]:
        if not isinstance(self.value, list):
            raise self._wrong()
        if len(self.value) > limit:
            raise InvalidExportError("too_large", self.where)
        return [_Value(item, f"{self.where}[{i}]") for i, item in enumerate(self.value)]

    def text(self, max_chars: int = MAX_TEXT_CHARS) -> str:
        if not isinstance(self.value, str):
            raise self._wrong()
        if len(self.value) > max_chars:
            raise InvalidExportError("too_large", self.where)
        return clean(self.value)

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self._wrong()
        return self.value

    def time(self) -> float:
        if not _is_number(self.value) or not 0 <= self.value <= _MAX_TIME:
            raise self._wrong()
        return float(self.value)

    def message_number(self, highest: int) -> int | None:
        if self.value is None:
            return None
        if type(self.value) is not int or not 1 <= self.value <= highest:
            raise self._wrong()
        return self.value

    def choice(self, kind: type[_Choice]) -> _Choice:
        if not isinstance(self.value, str) or self.value not in list(kind):
            raise self._wrong()
        return kind(self.value)

    def id(self) -> str:
        if not isinstance(self.value, str) or not _ID.fullmatch(self.value):
            raise self._wrong()
        return self.value

    def json_object(self, meaning: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """An object of a few plain values, not deep, not large, and of that meaning."""
        if not isinstance(self.value, dict) or not _is_small_json(self.value):
            raise self._wrong()
        try:
            return meaning(self.value)
        except AppError as error:
            raise self._wrong() from error

    def _wrong(self) -> InvalidExportError:
        return InvalidExportError("value", self.where)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_small_json(value: object) -> bool:
    """Whether `value` stays within MAX_JSON_DEPTH and MAX_JSON_ITEMS; safe on any input."""
    level: list[object] = [value]
    num_items = 0
    for _ in range(MAX_JSON_DEPTH):
        num_items += len(level)
        if num_items > MAX_JSON_ITEMS or not all(map(_is_plain, level)):
            return False
        level = [child for item in level for child in _children(item)]
        if not level:
            return True
    return False


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _is_plain(value: object) -> bool:
    match value:
        case None | bool() | list():
            return True
        case int():
            return abs(value) < _MAX_INTEGER
        case float():
            return math.isfinite(value)
        case str():
            return len(value) <= MAX_TEXT_CHARS
        case dict():
            return all(isinstance(k, str) and len(k) <= _MAX_NAME_CHARS for k in value)
        case _:
            return False
