"""What a request is, and every message that crosses the pipe between engine client and worker.

Token ids only: nothing here knows about text, templates or stop strings.
Frames on the pipe are `encode(message)`: JSON, never pickle, so that a worker which a hostile
model file took over can at worst send wrong numbers.
"""

import math
import typing
from dataclasses import dataclass
from enum import StrEnum

from webui.processes.wire import Codec

MAX_LOGIT_BIASES = 1024
MAX_GRAMMAR_CHARS = 200_000
MAX_LOGPROBS = 20


class FinishReason(StrEnum):
    STOP = "stop"  # end-of-generation token, stop token or stop string
    LENGTH = "length"  # max_tokens reached
    ABORT = "abort"  # cancelled by the caller
    ERROR = "error"  # this sequence failed; see `error`


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen. Raises ValueError on a value that llama.cpp must never see."""

    max_tokens: int = 1024
    temperature: float = 0.7  # 0 = greedy
    top_k: int = 40  # 0 = off
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0  # 1 = off
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_last_n: int = 64
    seed: int | None = None  # None = a new one each time
    logit_bias: tuple[tuple[int, float], ...] = ()
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    grammar: str = ""  # GBNF; "" = none
    must_close: bool = False  # end the grammar's text within max_tokens, by its shortest way
    logprobs: int = -1  # likeliest alternatives to report with each token; -1 = report nothing
    scores_prompt: bool = False  # report them for the prompt's tokens too; reads it without cache

    def __post_init__(self) -> None:
        _check("max_tokens", self.max_tokens, 1, 1 << 24)
        _check("temperature", self.temperature, 0, 100)
        _check("top_k", self.top_k, 0, 1 << 20)
        _check("top_p", self.top_p, 0, 1)
        _check("min_p", self.min_p, 0, 1)
        _check("repeat_penalty", self.repeat_penalty, 0.01, 100)
        _check("presence_penalty", self.presence_penalty, -100, 100)
        _check("frequency_penalty", self.frequency_penalty, -100, 100)
        _check("penalty_last_n", self.penalty_last_n, 0, 1 << 16)
        if self.seed is not None:
            _check("seed", self.seed, 0, (1 << 32) - 1)
        _check("logprobs", self.logprobs, -1, MAX_LOGPROBS)
        if len(self.logit_bias) > MAX_LOGIT_BIASES:
            raise ValueError(f"logit_bias: at most {MAX_LOGIT_BIASES} entries")
        for token_id, bias in self.logit_bias:
            _check("logit_bias token", token_id, 0, 1 << 24)
            if math.isnan(bias) or bias > 1000:
                raise ValueError(f"logit_bias: {bias} is not a usable bias")
        if len(self.grammar) > MAX_GRAMMAR_CHARS:
            raise ValueError(f"grammar: at most {MAX_GRAMMAR_CHARS} characters")


def _check(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name}: {value} is not between {low} and {high}")


# --- front process -> worker -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadModel:
    """How to load the model; the first message a worker gets."""

    path: str
    n_ctx: int  # KV cells shared by all slots; 0 = as trained, at most 8192
    n_slots: int
    n_batch: int
    n_threads: int
    n_gpu_layers: int
    flash_attn: str  # auto | on | off
    kv_type: str  # f16 | q8_0
    mmap: bool
    mlock: bool
    host_cache_bytes: int = 0  # for idle sequences, outside the KV cache


@dataclass(frozen=True, slots=True)
class Request:
    """One generation: prompt token ids in, sampled token ids out."""

    id: int
    prompt_ids: tuple[int, ...]
    sampling: SamplingParams
    is_background: bool = False  # nobody reads along: its words may pause while others read


@dataclass(frozen=True, slots=True)
class Abort:
    request_id: int


@dataclass(frozen=True, slots=True)
class UseThreads:
    """Compute with so many threads from the next step on."""

    count: int


@dataclass(frozen=True, slots=True)
class CheckIntegrity:
    """Ask the worker to prove its invariants now; answered by Integrity."""


# --- worker -> front process -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loading:
    fraction: float  # 0..1 of the weights read


@dataclass(frozen=True, slots=True)
class Ready:
    n_ctx: int
    n_ctx_train: int
    n_vocab: int
    n_params: int
    n_slots: int
    description: str  # llama.cpp's own, such as "qwen2 0.5B Q4_K - Medium"
    partial_reuse: bool  # False: memory cannot be cut at any point (recurrent, hybrid)


@dataclass(frozen=True, slots=True)
class LoadFailed:
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Statistics of one request; times in seconds."""

    queue_s: float  # arrival to admission
    prompt_tokens: int
    cached_tokens: int  # prompt tokens taken from the cache instead of computed
    completion_tokens: int
    time_to_first_token_s: float  # arrival to first sampled token
    tokens_per_s: float  # after the first token


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """How likely the model itself (before any sampling setting) found a token, and others."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...]  # the likeliest ids first


@dataclass(frozen=True, slots=True)
class SequenceOutput:
    """News of one request after a step."""

    request_id: int
    new_ids: tuple[int, ...]
    num_prompt_done: int  # prompt tokens computed or cached so far
    num_waiting_ahead: int  # -1 once admitted
    finish_reason: FinishReason | None = None
    error: str = ""
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()  # of new_ids, when asked for
    prompt_logprobs: tuple[TokenLogprob, ...] = ()  # of the prompt's next tokens, when asked for


@dataclass(frozen=True, slots=True)
class Outputs:
    outputs: tuple[SequenceOutput, ...]


@dataclass(frozen=True, slots=True)
class Integrity:
    problems: tuple[str, ...]  # empty when every invariant holds
    num_free: int
    num_resident: int
    num_running: int
    num_waiting: int


Message = (
    LoadModel
    | Request
    | Abort
    | UseThreads
    | CheckIntegrity
    | Loading
    | Ready
    | LoadFailed
    | Outputs
    | Integrity
)
_CODEC = Codec(*typing.get_args(Message))


def encode(message: Message) -> bytes:
    """`message` as one JSON frame. Inverse: decode."""
    return _CODEC.encode(message)


def decode(frame: bytes) -> Message:
    """The message in `frame`. Raises ValueError on anything that is not one of ours."""
    return typing.cast(Message, _CODEC.decode(frame))
