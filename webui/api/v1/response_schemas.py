"""What may be asked of /responses, /rerank, /tokenize and /detokenize: every field bounded."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from webui.api.v1.fields import tidied
from webui.api.v1.schemas import Name, Text, TokenIds

MAX_ITEMS = 4096
MAX_DOCUMENTS = 1000
# OpenAI's fields of /responses that change no answer here.
HINTS = frozenset(
    "include truncation background prompt_cache_options max_tool_calls stream_options"
    " context_management moderation".split()
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class ResponsesRequest(_Strict):
    """OpenAI's Responses API. What it shares with /chat/completions is checked there."""

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        known = {key: value for key, value in body.items() if key not in HINTS}
        kept = known.pop("store", None)
        limit = known.pop("max_output_tokens", None)
        reasoning = known.pop("reasoning", None)
        tidy = tidied(known)
        given = {"store": kept, "max_output_tokens": limit, "reasoning": reasoning}
        return tidy | {key: value for key, value in given.items() if value is not None}

    input: Text | Annotated[list[Any], Field(min_length=1, max_length=MAX_ITEMS)]
    model: Name = ""
    instructions: Text | None = None
    previous_response_id: Name | None = None
    store: bool | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    enable_thinking: bool | None = None
    tools: list[Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


class RerankRequest(BaseModel):
    """Jina's and Cohere's form."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)
    query: Annotated[str, Field(min_length=1, max_length=20_000)]
    documents: Annotated[list[Text | dict[str, Any]], Field(min_length=1, max_length=MAX_DOCUMENTS)]
    model: Name = ""
    top_n: int | None = Field(None, ge=1)
    return_documents: bool | None = None

    def texts(self) -> list[str]:
        """An object's text stands in `text`."""
        return [_text_of(document) for document in self.documents]


class TokenizeRequest(BaseModel):
    """llama.cpp's `content`, vLLM's `prompt`; or `messages`, as the template writes them."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
    model: Name = ""
    content: Text | None = None
    prompt: Text | None = None
    text: Text | None = None
    add_special: bool = False
    add_special_tokens: bool | None = None
    with_pieces: bool = False
    return_token_strs: bool | None = None


class DetokenizeRequest(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
    model: Name = ""
    tokens: TokenIds


def _text_of(document: str | Mapping[str, Any]) -> str:
    return document if isinstance(document, str) else str(document.get("text", ""))
