"""Hugging Face folders made by hand: a tiny llama without torch, and SentencePiece files.

They mean nothing, but hold together; tests damage them. Knows nothing about webui.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np

N_EMBD, N_FF, N_LAYER, N_HEAD = 64, 128, 1, 4
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": N_EMBD, "intermediate_size": N_FF,
    "num_hidden_layers": N_LAYER, "num_attention_heads": N_HEAD, "num_key_value_heads": N_HEAD,
    "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "hidden_act": "silu",
    "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip


def llama_folder(folder: Path) -> Path:
    """One layer, the 256 bytes as vocabulary."""
    folder.mkdir(parents=True)
    tokenizer = _tokenizer()
    n_vocab = len(tokenizer["model"]["vocab"])
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "tokenizer.json", tokenizer)
    rng = np.random.default_rng(3)
    shapes = _shapes(n_vocab)
    tensors = {name: rng.standard_normal(shape, np.float32) / 8 for name, shape in shapes.items()}
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")


def write_safetensors(path: Path, tensors: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
    names = {"float32": "F32", "float16": "F16", "uint16": "BF16"}
    header, position = {}, 0
    for name, data in tensors.items():
        offsets = [position, position + data.nbytes]
        header[name] = {
            "dtype": names[data.dtype.name], "shape": list(data.shape), "data_offsets": offsets
        }  # fmt: skip
        position += data.nbytes
    text = json.dumps(header).encode()
    body = b"".join(data.tobytes() for data in tensors.values())
    path.write_bytes(pack("<Q", len(text)) + text + body)


def sentencepiece(pieces: Iterable[tuple[str, float, int]], kind: int = 2) -> bytes:
    """tokenizer.model: text, score and kind of each piece; kind 2 = BPE, 1 = Unigram."""
    message = b""
    for text, score, piece_kind in pieces:
        fields = _field(1, text.encode()) + b"\x15" + pack("<f", score)
        message += _field(1, fields + b"\x18" + bytes([piece_kind]))
    return message + _field(2, b"\x18" + bytes([kind])) + _field(3, b"\x18\x01")


def _field(number: int, data: bytes) -> bytes:
    length, size = len(data), b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


def _shapes(n_vocab: int) -> dict[str, tuple[int, ...]]:
    inside = {
        "self_attn.q_proj": (N_EMBD, N_EMBD), "self_attn.k_proj": (N_EMBD, N_EMBD),
        "self_attn.v_proj": (N_EMBD, N_EMBD), "self_attn.o_proj": (N_EMBD, N_EMBD),
        "mlp.gate_proj": (N_FF, N_EMBD), "mlp.up_proj": (N_FF, N_EMBD),
        "mlp.down_proj": (N_EMBD, N_FF), "input_layernorm": (N_EMBD,),
        "post_attention_layernorm": (N_EMBD,),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (n_vocab, N_EMBD), "model.norm.weight": (N_EMBD,)
    }  # fmt: skip
    for layer in range(N_LAYER):
        shapes |= {f"model.layers.{layer}.{name}.weight": size for name, size in inside.items()}
    return shapes


def _tokenizer() -> dict[str, Any]:
    """GPT-2's byte-level BPE with one merge."""
    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in letters]
    alphabet = [*map(chr, letters), *(chr(256 + number) for number in range(len(rest)))]
    pieces = ["<s>", "</s>", *alphabet, "th"]
    special = [{"id": number, "content": pieces[number], "special": True} for number in (0, 1)]
    for token in special:
        token |= {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                          "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {piece: number for number, piece in enumerate(pieces)},
                  "merges": [["t", "h"]]},
    }  # fmt: skip
