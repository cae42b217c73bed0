"""What may be asked of /answers and /summaries: every field bounded, unknown ones refused.

These are not OpenAI's; they keep to its manners.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from webui.api.v1.messages import tidy_messages
from webui.api.v1.schemas import MAX_MESSAGES, ChatMessage, Name, Text, Tokens
from webui.tasks.summarize.settings import MAX_BULLETS

MAX_INLINE = 64
MAX_IDS = 1000
MAX_TURNS = 50
MAX_QUESTION = 20_000

Id = Annotated[str, Field(min_length=1, max_length=200)]
Question = Annotated[str, Field(min_length=1, max_length=MAX_QUESTION)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=MAX_IDS)]
TaskLanguage = Literal["ja", "en"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class InlineDocument(_Strict):
    """A document that comes with the question; nothing of it is kept."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    text: Text


class Turn(_Strict):
    """What was asked before, so that a follow-up question can be understood."""

    question: Question
    answer: Annotated[str, Field(max_length=100_000)] = ""


class AnswersRequest(_Strict):
    """Answered from `documents`: texts, or ids of the caller's; with neither these nor
    `collections`, from all documents of the caller."""

    question: Question
    model: Name = ""
    documents: (
        Annotated[list[InlineDocument], Field(min_length=1, max_length=MAX_INLINE)] | Ids | None
    ) = None
    collections: Ids | None = None
    history: Annotated[list[Turn], Field(max_length=MAX_TURNS)] | None = None
    language: TaskLanguage | None = None  # of fixed sentences; the answer is in the question's
    stream: bool | None = None
    max_tokens: Tokens | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    seed: int | None = Field(None, ge=-(1 << 63), lt=1 << 63)


class SummariesRequest(_Strict):
    """Either `text` or `messages`. Nothing of it is kept."""

    model: Name = ""
    text: Text | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)] | None = (
        None
    )
    title: Name = ""
    bullets: int | None = Field(None, ge=1, le=MAX_BULLETS)  # None: by the length of the text
    mode: Literal["abstract", "verbatim"] = "abstract"
    granularity: Literal["terse", "standard", "detailed"] = "standard"
    style: Literal["standard", "executive", "beginner", "minutes"] = "standard"
    language: TaskLanguage = "ja"
    stream: bool | None = None

    @field_validator("messages", mode="before")
    @classmethod
    def _tidy_messages(cls, messages: Any) -> Any:
        return tidy_messages(messages)
