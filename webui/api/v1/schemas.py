"""What may be asked of /v1. Every field has a type and bounds; an unknown field is an error.

fields.py takes requests as clients send them and leaves only what is named here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from webui.api.v1.fields import tidied
from webui.api.v1.messages import tidy_messages
from webui.engine.request import MAX_GRAMMAR_CHARS, MAX_LOGIT_BIASES, MAX_LOGPROBS

MAX_CHOICES = 16
MAX_MESSAGES = 4096
MAX_PROMPTS = 64
MAX_INPUTS = 2048
MAX_TEXT = 4 << 20
TOKEN_LIMIT = 1 << 24

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Name = Annotated[str, Field(max_length=200)]
Stop = Annotated[str, Field(min_length=1, max_length=1000)]
TokenId = Annotated[int, Field(ge=0, lt=TOKEN_LIMIT)]
TokenIds = Annotated[list[TokenId], Field(min_length=1, max_length=1 << 20)]
Tokens = Annotated[int, Field(ge=1, le=TOKEN_LIMIT)]
Share = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class TextPart(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
    type: Literal["text"]
    text: Text


class FunctionCall(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
    name: Name
    arguments: dict[str, Any] | list[Any] | Text | float | bool | None = None


class ToolCall(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
    id: Name
    function: FunctionCall


class ChatMessage(BaseModel):
    """Whatever else clients put into a message changes nothing; see messages.py."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | Annotated[list[TextPart], Field(max_length=256)] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: Name | None = None
    name: Name | None = None

    def as_text(self) -> dict[str, str]:
        content = self.content or ""
        if isinstance(content, list):
            content = "".join(part.text for part in content)
        return {"role": self.role, "content": content}

    def as_message(self) -> dict[str, Any]:
        """With its calls, or with what it answers."""
        message: dict[str, Any] = self.as_text()
        if self.tool_calls:
            calls = [call.model_dump() | {"type": "function"} for call in self.tool_calls]
            message["tool_calls"] = calls
        if self.role in ("tool", "function"):
            message |= {"tool_call_id": self.tool_call_id or "", "name": self.name or ""}
        return message


class TextFormat(_Strict):
    type: Literal["text"]


class JsonFormat(_Strict):
    type: Literal["json_object"]


class Choices(_Strict):
    """One of these texts, and nothing else."""

    type: Literal["choice"]
    choices: Annotated[list[Text], Field(min_length=1, max_length=1000)]


class Pattern(_Strict):
    """A text that a regular expression matches as a whole."""

    type: Literal["regex"]
    pattern: Annotated[str, Field(min_length=1, max_length=10_000)]


class JsonSchema(_Strict):
    name: Name = "answer"
    description: Text | None = None
    schema_: dict[str, Any] | bool = Field(alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(_Strict):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[
    TextFormat | JsonFormat | JsonSchemaFormat | Choices | Pattern, Field(discriminator="type")
]


class StreamOptions(_Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None  # ignored


class _Generation(_Strict):
    """What chat and plain completions have in common."""

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, body: Any) -> Any:
        return tidied(body) if isinstance(body, dict) else body

    model: Name = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    max_tokens: Tokens | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: Share | None = None
    top_k: int | None = Field(None, ge=0, le=1 << 20)
    min_p: Share | None = None
    repeat_penalty: float | None = Field(None, ge=0.01, le=100)
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: int | None = Field(None, ge=-(1 << 63), lt=1 << 63)
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, max_length=MAX_LOGIT_BIASES
    )
    grammar: str | None = Field(None, max_length=MAX_GRAMMAR_CHARS)
    ignore_eos: bool | None = None
    penalty_last_n: int | None = Field(None, ge=0, le=1 << 16)
    response_format: ResponseFormat | None = None


class ChatRequest(_Generation):
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    enable_thinking: bool | None = None
    template_variables: dict[str, str | float | bool] | None = Field(None, max_length=32)
    modalities: list[Literal["text"]] | None = Field(None, max_length=1)
    tools: list[Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Any] | None = None  # the old name of tools
    function_call: str | dict[str, Any] | None = None

    @field_validator("messages", mode="before")
    @classmethod
    def _tidy_messages(cls, messages: Any) -> Any:
        return tidy_messages(messages)


class EmbeddingRequest(_Strict):
    input: (
        Text
        | TokenIds
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS)]
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_INPUTS)]
    )
    model: Name = ""
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1, le=1 << 16)
    input_type: Literal["query", "document"] | None = None  # ours: with the model's own prompt

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, body: Any) -> Any:
        return tidied(body) if isinstance(body, dict) else body


class CompletionRequest(_Generation):
    prompt: (
        Text
        | TokenIds
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS)]
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_PROMPTS)]
    )
    max_tokens: int | None = Field(None, ge=0, le=TOKEN_LIMIT)  # 0: the prompt is scored only
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    max_completion_tokens: Tokens | None = None
    best_of: int | None = Field(None, ge=1, le=MAX_CHOICES)
    suffix: Text | None = None  # what stands after the gap, for models that fill one
