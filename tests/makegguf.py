"""Makes GGUF files with random weights for tests and benchmarks: any size, and rare memories.

All share the stand-in's tokenizer and chat template. They mean nothing, but llama.cpp computes
them as it computes any other model of their shape. Knows nothing about webui.
"""

from collections.abc import Callable, Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
import numpy.typing as npt

from models.builtin.standin import add_vocabulary

Maker = Callable[[Path], Path]
Shapes = dict[str, tuple[int, ...]]  # numpy order: rows first
CHUNK = 1 << 24  # random numbers made at a time


def random_llama(
    path: Path,
    *,
    n_vocab: int = 151_936,
    n_embd: int = 896,
    n_layer: int = 24,
    n_head: int = 14,
    n_head_kv: int = 2,
    n_ff: int = 4864,
    n_ctx: int = 32_768,
    seed: int = 1,
) -> Path:
    """A llama-architecture model in f16 with tied embeddings; the defaults have a 0.5B shape."""
    writer = _writer(path, "llama", n_embd=n_embd, n_layer=n_layer, n_ff=n_ff, n_ctx=n_ctx)
    writer.add_head_count(n_head)
    writer.add_head_count_kv(n_head_kv)
    writer.add_rope_dimension_count(n_embd // n_head)
    writer.add_rope_freq_base(1_000_000.0)
    n_vocab = _add_vocabulary(writer, n_vocab)
    shapes: Shapes = {"token_embd.weight": (n_vocab, n_embd), "output_norm.weight": (n_embd,)}
    for layer in range(n_layer):
        shapes |= _attention(layer, n_embd, n_embd // n_head * n_head_kv)
        shapes |= _feed_forward(layer, n_embd, n_ff)
    return _finish(writer, path, shapes, seed)


def tiny_recurrent(path: Path, *, seed: int = 1) -> Path:
    """A Mamba model: its memory is one state per sequence and cannot be cut."""
    n_embd, n_layer, n_conv, n_state, n_rank = 64, 2, 4, 16, 4
    n_inner = 2 * n_embd
    writer = _writer(path, "mamba", n_embd=n_embd, n_layer=n_layer, n_ff=0, n_ctx=8192)
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(n_conv)
    writer.add_ssm_inner_size(n_inner)
    writer.add_ssm_state_size(n_state)
    writer.add_ssm_time_step_rank(n_rank)
    n_vocab = _add_vocabulary(writer)
    shapes: Shapes = {"token_embd.weight": (n_vocab, n_embd), "output_norm.weight": (n_embd,)}
    for layer in range(n_layer):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (n_embd,),
            f"blk.{layer}.ssm_in.weight": (2 * n_inner, n_embd),
            f"blk.{layer}.ssm_conv1d.weight": (n_inner, n_conv),
            f"blk.{layer}.ssm_conv1d.bias": (n_inner,),
            f"blk.{layer}.ssm_x.weight": (n_rank + 2 * n_state, n_inner),
            f"blk.{layer}.ssm_dt.weight": (n_inner, n_rank),
            f"blk.{layer}.ssm_dt.bias": (n_inner,),
            f"blk.{layer}.ssm_a": (n_inner, n_state),
            f"blk.{layer}.ssm_d": (n_inner,),
            f"blk.{layer}.ssm_out.weight": (n_embd, n_inner),
        }
    return _finish(writer, path, shapes, seed)


def tiny_hybrid(path: Path, *, seed: int = 1) -> Path:
    """An LFM2 model: a short convolution (recurrent) in layer 0, attention in layer 1."""
    n_embd, n_head, n_head_kv, n_ff, n_conv = 128, 2, 1, 256, 3
    head_dim = n_embd // n_head
    writer = _writer(path, "lfm2", n_embd=n_embd, n_layer=2, n_ff=n_ff, n_ctx=8192)
    writer.add_head_count(n_head)
    writer.add_head_count_kv([0, n_head_kv])
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_shortconv_l_cache(n_conv)
    n_vocab = _add_vocabulary(writer)
    shapes: Shapes = {
        "token_embd.weight": (n_vocab, n_embd),
        "token_embd_norm.weight": (n_embd,),  # LFM2's name for its output norm
        "blk.0.attn_norm.weight": (n_embd,),
        "blk.0.shortconv.conv.weight": (n_embd, n_conv),
        "blk.0.shortconv.in_proj.weight": (3 * n_embd, n_embd),
        "blk.0.shortconv.out_proj.weight": (n_embd, n_embd),
        "blk.1.attn_q_norm.weight": (head_dim,),
        "blk.1.attn_k_norm.weight": (head_dim,),
    }
    shapes |= _attention(1, n_embd, head_dim * n_head_kv)
    shapes |= _feed_forward(0, n_embd, n_ff) | _feed_forward(1, n_embd, n_ff)
    return _finish(writer, path, shapes, seed)


def quantize(source: Path, target: Path, quantization: str = "Q4_K_M") -> Path:
    """Write `source` in another quantization ("Q4_K_M", "Q8_0") to `target`."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{quantization}")
    status = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), params)
    if status != 0:
        raise RuntimeError(f"llama_model_quantize({source}) returned {status}")
    return target


def _writer(
    path: Path, architecture: str, *, n_embd: int, n_layer: int, n_ff: int, n_ctx: int
) -> Any:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(path.stem)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(n_ctx)
    writer.add_embedding_length(n_embd)
    writer.add_block_count(n_layer)
    writer.add_feed_forward_length(n_ff)
    writer.add_layer_norm_rms_eps(1e-5)
    return writer


def _add_vocabulary(writer: Any, n_vocab: int = 0) -> int:
    """The stand-in's pieces, filled up to `n_vocab` with pairs of kanji; the number of pieces."""
    kanji = bytes(0xA0 + b for r in range(16, 47) for c in range(1, 95) for b in (r, c))
    pairs = map("".join, product(kanji.decode("euc_jp"), repeat=2))
    num_own = len(add_vocabulary(gguf.GGUFWriter(None, "llama")))
    return len(add_vocabulary(writer, islice(pairs, max(0, n_vocab - num_own))))


def _attention(layer: int, n_embd: int, n_embd_kv: int) -> Shapes:
    return {
        f"blk.{layer}.attn_norm.weight": (n_embd,),
        f"blk.{layer}.attn_q.weight": (n_embd, n_embd),
        f"blk.{layer}.attn_k.weight": (n_embd_kv, n_embd),
        f"blk.{layer}.attn_v.weight": (n_embd_kv, n_embd),
        f"blk.{layer}.attn_output.weight": (n_embd, n_embd),
    }


def _feed_forward(layer: int, n_embd: int, n_ff: int) -> Shapes:
    return {
        f"blk.{layer}.ffn_norm.weight": (n_embd,),
        f"blk.{layer}.ffn_gate.weight": (n_ff, n_embd),
        f"blk.{layer}.ffn_up.weight": (n_ff, n_embd),
        f"blk.{layer}.ffn_down.weight": (n_embd, n_ff),
    }


def _finish(writer: Any, path: Path, shapes: Shapes, seed: int) -> Path:
    """Write everything; one tensor in memory at a time."""
    for name, shape in shapes.items():
        dtype = np.dtype(_dtype(name, shape))
        num_bytes = int(np.prod(shape)) * dtype.itemsize
        writer.add_tensor_info(name, shape, dtype, num_bytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(seed)
    for name, shape in shapes.items():
        writer.write_tensor_data(_random(rng, name, shape))
    writer.close()
    return path


def _dtype(name: str, shape: tuple[int, ...]) -> type[np.float16] | type[np.float32]:
    """llama.cpp wants vectors, convolutions and the state matrix A in full precision."""
    full = len(shape) == 1 or "conv" in name and "proj" not in name or name.endswith("ssm_a")
    return np.float32 if full else np.float16


def _random(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Weights that neither vanish nor explode: unit rows, norms of one, a slowly fading state."""
    dtype = _dtype(name, shape)
    if name.endswith("ssm_a"):
        return (-np.exp(rng.uniform(-7, 0, shape))).astype(dtype)
    if len(shape) == 1:
        return np.full(shape, 0.0 if name.endswith("bias") else 1.0, dtype)
    weights = np.empty(int(np.prod(shape)), dtype)
    for chunk in _chunks(weights):
        chunk[:] = rng.standard_normal(len(chunk), np.float32) * np.float32(shape[-1] ** -0.5)
    return weights.reshape(shape)


def _chunks(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    return (array[start : start + CHUNK] for start in range(0, len(array), CHUNK))
