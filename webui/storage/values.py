"""The values that storage hands out. Know nothing about SQL."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


class Status(StrEnum):
    WRITING = "writing"  # an answer that is being written now
    COMPLETE = "complete"
    PARTIAL = "partial"  # stopped by the user, or cut by a crash
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class DocumentChoice:
    """Whether to answer from documents, and from which: both lists empty means all of the owner's.

    Ids of documents that have gone stay until they are chosen anew; they find nothing.
    """

    is_on: bool = False
    collection_ids: tuple[str, ...] = ()
    document_ids: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        return not self.collection_ids and not self.document_ids

    def values(self) -> dict[str, Any]:
        """As a JSON object; {} for the usual choice."""
        return {} if self == DocumentChoice() else asdict(self)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation; `leaf_id` names the end of the path through its tree that is shown."""

    id: str  # unguessable
    owner: str
    title: str  # one line
    title_is_auto: bool  # False once a person has chosen it
    system_prompt: str
    sampling: dict[str, Any]  # overrides of SamplingParams fields; {} = defaults
    model_id: str  # "" = the current one
    leaf_id: str | None
    created_at: float  # unix seconds, as all times here
    updated_at: float  # when the last message was added
    documents: DocumentChoice = DocumentChoice()


@dataclass(frozen=True, slots=True)
class Message:
    """One node of a conversation's tree. Siblings are the versions of one turn."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    content: str
    reasoning: str
    status: Status
    model_id: str
    stats: dict[str, Any]  # {} until finished
    created_at: float
    version: int  # 1-based among the siblings, oldest first
    num_versions: int
    evidence: dict[str, Any] = field(default_factory=dict)  # {}: no answer from documents


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """One line of the conversation list."""

    id: str
    title: str
    updated_at: float
    snippet: str  # around the match in the newest matching message; "" if only the title matches
