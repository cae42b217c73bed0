"""The architectures that can be converted: how each names its tensors and what must be changed.

A plan says which GGUF tensor comes from which source tensor. Anything that is not in the tables is
an error: a GGUF that computes something slightly different would look right and be wrong.
Sources: transformers' modeling_<name>.py and llama.cpp's src/models/<name>.cpp.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from webui.workshop.convert.errors import ConvertError
from webui.workshop.convert.hyperparameters import Config
from webui.workshop.convert.safetensors import Tensor

Order = npt.NDArray[np.int64]
LAYER = re.compile(r"layers\.(\d{1,4})\.(.+)")
IGNORED = re.compile(r".*\.rotary_emb\.inv_freq")
PREFIXES = ("language_model.model.", "model.language_model.", "model.")  # longest first
OTHER_PARTS = ("vision_tower.", "multi_modal_projector.", "model.vision_tower.",
               "model.multi_modal_projector.")  # fmt: skip

OUTSIDE = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
LINEAR = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip
NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
HEAD_NORMS = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
SANDWICH = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}  # fmt: skip
GEMMA_3_DEFAULTS = {
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-6,
    "query_pre_attn_scalar": 256, "sliding_window": 4096, "max_position_embeddings": 131_072,
    "rope_theta": 1e6, "hidden_activation": "gelu_pytorch_tanh",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Architecture:
    gguf_name: str
    norms: Mapping[str, str]
    activation: str = "silu"
    biases: frozenset[str] = frozenset()  # which linear layers may have one
    has_paired_heads: bool = False  # llama.cpp turns neighbours, transformers the two halves
    norm_offset: float = 0.0  # Gemma stores a norm's weight less one
    is_tied: bool = False  # where the config does not say
    sliding_every: int = 0  # each so many-th layer sees everything, the others a window
    odd_scale_layers: int = 0  # layers of the one size whose scale is n_embd / n_head
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


QKV = frozenset({"attn_q", "attn_k", "attn_v"})
LLAMA = Architecture("llama", NORMS, biases=frozenset(LINEAR.values()), has_paired_heads=True)
GEMMA_3 = Architecture(
    "gemma3", SANDWICH | HEAD_NORMS, "gelu_pytorch_tanh", norm_offset=1, is_tied=True,
    sliding_every=6, odd_scale_layers=62, defaults=GEMMA_3_DEFAULTS,
)  # fmt: skip
ARCHITECTURES = {
    "LlamaForCausalLM": LLAMA,
    "MistralForCausalLM": LLAMA,
    "Qwen2ForCausalLM": Architecture("qwen2", NORMS, biases=QKV),
    "Qwen3ForCausalLM": Architecture("qwen3", NORMS | HEAD_NORMS),
    "GemmaForCausalLM": Architecture(
        "gemma", NORMS, "gelu_pytorch_tanh", norm_offset=1, is_tied=True
    ),
    "Gemma2ForCausalLM": Architecture(
        "gemma2", SANDWICH, "gelu_pytorch_tanh", norm_offset=1, is_tied=True,
        sliding_every=2, odd_scale_layers=46,
    ),
    "Gemma3ForCausalLM": GEMMA_3,
    "Gemma3ForConditionalGeneration": GEMMA_3,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one model."""

    n_embd: int
    n_layer: int
    n_ff: int
    n_head: int
    n_head_kv: int
    head_dim: int

    def of(self, part: str) -> tuple[int, ...] | None:
        """Of a GGUF tensor inside a layer; None = not known by name."""
        q, kv = self.n_head * self.head_dim, self.n_head_kv * self.head_dim
        sizes = {
            "attn_q": (q, self.n_embd), "attn_k": (kv, self.n_embd), "attn_v": (kv, self.n_embd),
            "attn_output": (self.n_embd, q), "ffn_gate": (self.n_ff, self.n_embd),
            "ffn_up": (self.n_ff, self.n_embd), "ffn_down": (self.n_embd, self.n_ff),
            "attn_q_norm": (self.head_dim,), "attn_k_norm": (self.head_dim,),
        }  # fmt: skip
        stem, _, kind = part.rpartition(".")
        size = sizes.get(stem, (self.n_embd,))
        return size[:1] if kind == "bias" else size


@dataclass(frozen=True, slots=True)
class Planned:
    """One tensor of the GGUF and how it comes from its source: rows in another order, + and ×."""

    name: str
    source: Tensor
    order: Order | None = None
    plus: float = 0.0
    times: float = 1.0


def architecture_of(config: Config) -> Architecture:
    """Raises ConvertError for one that we cannot convert."""
    found = ARCHITECTURES.get(config.architecture)
    if found is None:
        possible = ", ".join(name.removesuffix("ForCausalLM") for name in ARCHITECTURES)
        name = config.architecture[:60] or "?"
        raise ConvertError("convert.unknown_architecture", name=name, possible=possible)
    return found


def shape_of(config: Config, architecture: Architecture) -> Shape:
    """Raises ConvertError when the numbers are missing or do not fit together."""
    default = architecture.defaults.get
    n_embd = config.integer("hidden_size")
    n_head = config.integer("num_attention_heads", default("num_attention_heads", None))
    n_head_kv = config.integer("num_key_value_heads", default("num_key_value_heads", n_head))
    head_dim = config.integer("head_dim", default("head_dim", n_embd // n_head))
    if n_head % n_head_kv or head_dim % 2:
        raise ConvertError("convert.bad_config", entry="num_key_value_heads", value=n_head_kv)
    return Shape(
        n_embd=n_embd,
        n_layer=config.integer("num_hidden_layers"),
        n_ff=config.integer("intermediate_size"),
        n_head=n_head,
        n_head_kv=n_head_kv,
        head_dim=head_dim,
    )


def plan(config: Config, tensors: Mapping[str, Tensor]) -> list[Planned]:
    """What to write, layer by layer. Raises ConvertError for anything left over or missing."""
    architecture = architecture_of(config)
    planner = _Planner(config, architecture, shape_of(config, architecture))
    planned = {one.name: one for tensor in tensors.values() for one in planner.of(tensor)}
    for name in planner.wanted(has_output="output.weight" in planned):
        if name not in planned:
            raise ConvertError("convert.missing_tensor", name=name)
    return sorted(planned.values(), key=_place)


def _place(one: Planned) -> tuple[int, str]:
    layer = re.fullmatch(r"blk\.(\d+)\..+", one.name)
    return (int(layer[1]) if layer else -1), one.name


class _Planner:
    def __init__(self, config: Config, architecture: Architecture, shape: Shape) -> None:
        self._architecture = architecture
        self._shape = shape
        self._is_tied = config.flag("tie_word_embeddings", architecture.is_tied)
        self._query_scale = _query_scale(config, architecture, shape)
        linear = {f"{hf}.weight": f"{name}.weight" for hf, name in LINEAR.items()}
        linear |= {
            f"{hf}.bias": f"{name}.bias"
            for hf, name in LINEAR.items()
            if name in architecture.biases
        }
        norms = {f"{hf}.weight": f"{name}.weight" for hf, name in architecture.norms.items()}
        self._in_layer = linear | norms

    def wanted(self, *, has_output: bool) -> Iterator[str]:
        """Every tensor without which llama.cpp would not load, or guess."""
        yield from OUTSIDE.values()
        if not self._is_tied and not has_output:
            yield "output.weight"
        for layer in range(self._shape.n_layer):
            for name in self._in_layer.values():
                if name.endswith(".weight") or self._architecture.gguf_name == "qwen2":
                    yield f"blk.{layer}.{name}"

    def of(self, tensor: Tensor) -> Iterator[Planned]:
        """Its place in the GGUF; nothing for what is no part of the language model."""
        if tensor.name.startswith(OTHER_PARTS) or IGNORED.fullmatch(tensor.name):
            return
        if tensor.name in ("lm_head.weight", "language_model.lm_head.weight"):
            if not self._is_tied:
                yield Planned("output.weight", tensor)
            return
        prefix = next((p for p in PREFIXES if tensor.name.startswith(p)), "")
        inner = tensor.name.removeprefix(prefix)
        if inner in OUTSIDE:
            yield self._changed(OUTSIDE[inner], OUTSIDE[inner], tensor)
            return
        layer = LAYER.fullmatch(inner)
        part = self._in_layer.get(layer[2]) if layer else None
        if not layer or part is None or int(layer[1]) >= self._shape.n_layer:
            raise ConvertError("convert.unknown_tensor", name=tensor.name[:120])
        if tensor.shape != self._shape.of(part):
            raise ConvertError("convert.bad_shape", name=tensor.name, shape=list(tensor.shape))
        yield self._changed(f"blk.{int(layer[1])}.{part}", part, tensor)

    def _changed(self, name: str, part: str, tensor: Tensor) -> Planned:
        stem = part.rpartition(".")[0]
        order = None
        if self._architecture.has_paired_heads and stem in ("attn_q", "attn_k"):
            n_head = self._shape.n_head if stem == "attn_q" else self._shape.n_head_kv
            order = paired(n_head, self._shape.head_dim)
        has_query_norm = "attn_q_norm" in self._architecture.norms.values()
        is_scaled = stem == ("attn_q_norm" if has_query_norm else "attn_q")
        plus = self._architecture.norm_offset if stem.endswith("norm") else 0.0
        return Planned(name, tensor, order, plus, self._query_scale if is_scaled else 1.0)


def paired(n_head: int, head_dim: int) -> Order:
    """Rows that put the two halves of each head's rotation beside each other."""
    rows = np.arange(n_head * head_dim).reshape(n_head, 2, head_dim // 2)
    return rows.swapaxes(1, 2).reshape(-1)


def _query_scale(config: Config, architecture: Architecture, shape: Shape) -> float:
    """What queries must be multiplied by: llama.cpp's scale is fixed, Gemma's config may differ."""
    wanted = config.optional_number("query_pre_attn_scalar")
    if not architecture.sliding_every or not wanted:
        return 1.0
    is_odd = shape.n_layer == architecture.odd_scale_layers
    fixed = shape.n_embd / shape.n_head if is_odd else shape.head_dim
    return float((fixed / wanted) ** 0.5)
