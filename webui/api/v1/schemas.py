"""What may be asked of /v1. Every field has a type and bounds; an unknown field is an error.

Fields of OpenAI's that change nothing here (user, metadata, …) are taken and ignored; those that
would change the answer and that we cannot do (tools, audio, …) are refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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


class TextPart(_Strict):
    type: Literal["text"]
    text: Text


class ChatMessage(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(max_length=256)] | None = None
    name: Name | None = None  # ignored
    refusal: None = None
    reasoning_content: Text | None = None  # ignored: models do not read their old thoughts
    annotations: list[Any] | None = Field(None, max_length=256)  # as OpenAI returns it; ignored
    audio: None = None
    function_call: None = None
    tool_calls: None = None

    def as_text(self) -> dict[str, str]:
        content = self.content or ""
        if isinstance(content, list):
            content = "".join(part.text for part in content)
        return {"role": self.role, "content": content}


class TextFormat(_Strict):
    type: Literal["text"]


class JsonFormat(_Strict):
    type: Literal["json_object"]


class JsonSchema(_Strict):
    name: Name = "answer"
    description: Text | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(_Strict):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[TextFormat | JsonFormat | JsonSchemaFormat, Field(discriminator="type")]


class StreamOptions(_Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None  # ignored


class _Generation(_Strict):
    """What chat and plain completions have in common."""

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
    # Taken and ignored: they change no answer.
    user: Name | None = None
    metadata: dict[str, Any] | None = Field(None, max_length=64)
    store: bool | None = None
    service_tier: Name | None = None
    safety_identifier: Name | None = None
    prompt_cache_key: Name | None = None


class ChatRequest(_Generation):
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    enable_thinking: bool | None = None
    modalities: list[Literal["text"]] | None = Field(None, max_length=1)
    parallel_tool_calls: bool | None = None  # ignored
    tools: list[Any] | None = Field(None, max_length=0)
    tool_choice: Literal["none", "auto"] | None = None


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
    user: Name | None = None  # ignored


class CompletionRequest(_Generation):
    prompt: (
        Text
        | TokenIds
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS)]
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_PROMPTS)]
    )
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    best_of: int | None = Field(None, ge=1, le=MAX_CHOICES)
    suffix: None = None
