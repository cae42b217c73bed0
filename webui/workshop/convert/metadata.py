"""What a GGUF says of a model's numbers, from its config; and the numbers we cannot convert.

Knows nothing about tensors' data and tokenizers.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from webui.workshop.convert.architectures import Architecture, architecture_of, shape_of
from webui.workshop.convert.errors import ConvertError
from webui.workshop.convert.hyperparameters import Config, Rope, as_number

Metadata = dict[str, bool | int | float | str]


def metadata_of(config: Config) -> Metadata:
    """Keys without the architecture's name in front. Raises ConvertError."""
    architecture = architecture_of(config)
    shape = shape_of(config, architecture)
    _check(config, architecture)
    values: Metadata = {
        "context_length": _context(config, architecture),
        "embedding_length": shape.n_embd,
        "block_count": shape.n_layer,
        "feed_forward_length": shape.n_ff,
        "attention.head_count": shape.n_head,
        "attention.head_count_kv": shape.n_head_kv,
        "attention.key_length": shape.head_dim,
        "attention.value_length": shape.head_dim,
        "attention.layer_norm_rms_epsilon": config.number("rms_norm_eps", 1e-6),
        "rope.dimension_count": shape.head_dim,
    }
    values |= _windows(config, architecture)
    return values | _rope(config, architecture)


def rope_factors(config: Config) -> npt.NDArray[np.float32] | None:
    """Llama 3's slowing of each frequency, as rope_freqs.weight has it; None for other kinds."""
    rope = config.rope()
    if rope.kind != "llama3":
        return None
    architecture = architecture_of(config)
    shape = shape_of(config, architecture)
    factor, low, high, length = (
        _value(rope, name)
        for name in ("factor", "low_freq_factor", "high_freq_factor",
                     "original_max_position_embeddings")
    )  # fmt: skip
    powers = np.arange(0, shape.head_dim, 2, dtype=np.float64) / shape.head_dim
    wavelengths = 2 * math.pi * rope.theta**powers
    smooth = np.clip((length / wavelengths - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def _check(config: Config, architecture: Architecture) -> None:
    """Raises ConvertError for a variant that llama.cpp would compute differently."""
    activation = config.get("hidden_activation", None) or config.get(
        "hidden_act", architecture.activation
    )
    if activation not in (architecture.activation, "gelu")[: 1 + (architecture.norm_offset > 0)]:
        raise _unsupported("hidden_act", activation)
    if config.flag("use_sliding_window"):
        raise _unsupported("use_sliding_window", True)
    if config.flag("use_bidirectional_attention"):
        raise _unsupported("use_bidirectional_attention", True)
    if config.get("quantization_config", None) is not None:
        raise _unsupported("quantization_config", "…")
    if architecture.gguf_name == "gemma3":
        for name in ("attn_logit_softcapping", "final_logit_softcapping"):
            if config.get(name, None) is not None:
                raise _unsupported(name, config.get(name))
    _check_windows(config, architecture)


def _check_windows(config: Config, architecture: Architecture) -> None:
    """Which layers see a window is fixed in llama.cpp."""
    every = architecture.sliding_every
    kinds = config.get("layer_types", None)
    if isinstance(kinds, list):
        fixed = [
            "full_attention" if not every or (layer + 1) % every == 0 else "sliding_attention"
            for layer in range(len(kinds))
        ]
        if kinds != fixed:
            raise _unsupported("layer_types", kinds)
    pattern = config.get("sliding_window_pattern", None)
    if every and pattern not in (None, every):
        raise _unsupported("sliding_window_pattern", pattern)


def _context(config: Config, architecture: Architecture) -> int:
    """Mistral's first models see a window in every layer, llama.cpp everything: equal up to it."""
    default = architecture.defaults.get("max_position_embeddings", None)
    n_ctx = config.integer("max_position_embeddings", default)
    window = config.get("sliding_window", None)
    if architecture.gguf_name == "llama" and window is not None:
        return min(n_ctx, config.integer("sliding_window"))
    return n_ctx


def _windows(config: Config, architecture: Architecture) -> Metadata:
    if not architecture.sliding_every:
        return {}
    default = architecture.defaults.get("sliding_window", 4096)
    values: Metadata = {"attention.sliding_window": config.integer("sliding_window", default)}
    if architecture.gguf_name == "gemma2":
        values["attn_logit_softcapping"] = config.number("attn_logit_softcapping", 50.0)
        values["final_logit_softcapping"] = config.number("final_logit_softcapping", 30.0)
    return values


def _rope(config: Config, architecture: Architecture) -> Metadata:
    rope = config.rope()
    values: Metadata = {"rope.freq_base": rope.theta}
    if architecture.gguf_name == "gemma3":
        values |= _gemma_3_bases(config, architecture)
    if rope.kind == "linear":
        values |= {"rope.scaling.type": "linear", "rope.scaling.factor": _value(rope, "factor")}
    elif rope.kind == "yarn":
        values |= _yarn(rope, config)
    elif rope.kind not in ("default", "llama3"):
        raise _unsupported("rope_type", rope.kind)
    return values


def _yarn(rope: Rope, config: Config) -> Metadata:
    given: Mapping[str, Any] = rope.values or {}
    for name, usual in (("beta_fast", 32), ("beta_slow", 1)):
        if given.get(name, usual) != usual:
            raise _unsupported(name, given[name])
    for name in ("mscale", "mscale_all_dim", "attention_factor"):
        if given.get(name) is not None:
            raise _unsupported(name, given[name])
    length = given.get("original_max_position_embeddings") or config.integer(
        "max_position_embeddings"
    )
    return {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": _value(rope, "factor"),
        "rope.scaling.original_context_length": int(as_number("rope_scaling", length)),
    }


def _gemma_3_bases(config: Config, architecture: Architecture) -> Metadata:
    """Layers with a window have a base of their own."""
    own = config.get("rope_parameters", None)
    if isinstance(own, dict) and "full_attention" in own:
        local = config.rope("sliding_attention")
        if local.kind != "default":
            raise _unsupported("rope_type", local.kind)
        return {"rope.freq_base_swa": local.theta}
    theta = config.number("rope_theta", architecture.defaults["rope_theta"])
    local_theta = config.number("rope_local_base_freq", 10_000.0)
    return {"rope.freq_base": theta, "rope.freq_base_swa": local_theta}


def _value(rope: Rope, name: str) -> float:
    value = (rope.values or {}).get(name)
    number = as_number(name, value)
    if not number:
        raise ConvertError("convert.bad_config", entry=name, value=str(value)[:60])
    return number


def _unsupported(entry: str, value: object) -> ConvertError:
    return ConvertError("convert.unsupported", entry=entry, value=str(value)[:60])
