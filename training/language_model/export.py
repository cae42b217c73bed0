"""Turns trained weights into the GGUF that is shipped: Q8_0, vocabulary and chat template inside.

    python -m training.language_model.export --weights model.safetensors [--out kajogaki.gguf]

The same bytes for the same weights. Knows nothing about training.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from training.language_model import vocabulary
from training.language_model.model import EPSILON, Shape

DEFAULT_PATH = Path(__file__).parents[2] / "models" / "builtin" / "kajogaki.gguf"
NAME = "同梱の小型モデル（動作確認用）"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
Matrix = npt.NDArray[Any]


def export(weights: Path, path: Path, shape: Shape | None = None) -> None:
    """Raises ValueError when the weights are not this model's, OSError."""
    shape = shape or Shape()
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise ValueError(f"{weights}: {error}") from error
    if tensors.get("token_embd.weight", np.zeros(0)).shape != (shape.num_tokens, shape.width):
        raise ValueError(f"{weights}: not the weights of a model of this shape")
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "llama")
    _add_shape(writer, shape)
    _add_vocabulary(writer, vocabulary.read())
    for name, tensor in tensors.items():
        _add_tensor(writer, name, tensor.astype(np.float32), shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)


def _add_shape(writer: Any, shape: Shape) -> None:
    writer.add_name(NAME)
    writer.add_author("Kajogaki")
    writer.add_license("CC-BY-SA-4.0")
    writer.add_languages(["ja"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.num_layers)
    writer.add_feed_forward_length(shape.num_hidden)
    writer.add_head_count(shape.num_heads)
    writer.add_head_count_kv(shape.num_kv_heads)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_vocab_size(shape.num_tokens)


def _add_vocabulary(writer: Any, pieces: Sequence[str]) -> None:
    kind = gguf.TokenType
    num_special, num_bytes = len(vocabulary.SPECIAL), len(vocabulary.BYTES)
    types = [kind.UNKNOWN] + [kind.CONTROL] * (num_special - 1) + [kind.BYTE] * num_bytes
    types += [kind.NORMAL] * (len(pieces) - len(types))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_types(types)
    writer.add_token_scores(vocabulary.scores(pieces))
    writer.add_unk_token_id(pieces.index(vocabulary.UNK))
    writer.add_bos_token_id(pieces.index(vocabulary.BOS))
    writer.add_eos_token_id(pieces.index(vocabulary.IM_END))
    writer.add_eot_token_id(pieces.index(vocabulary.IM_END))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_tensor(writer: Any, name: str, tensor: Matrix, shape: Shape) -> None:
    if tensor.ndim == 1:
        writer.add_tensor(name, tensor)
        return
    if name.endswith(("attn_q.weight", "attn_k.weight")):
        tensor = _interleaved(tensor, shape.head)
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)


def _interleaved(rows: Matrix, head: int) -> Matrix:
    """Rotary pairs from (i, i + head/2) to neighbours, as llama.cpp's llama expects them."""
    width = rows.shape[1]
    return rows.reshape(-1, 2, head // 2, width).swapaxes(1, 2).reshape(rows.shape)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=DEFAULT_PATH)
    options = parser.parse_args(arguments)
    try:
        export(options.weights, options.out)
    except (OSError, ValueError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
