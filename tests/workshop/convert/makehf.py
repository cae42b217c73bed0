"""Makes tiny random models as transformers saves them, with the logits that it computes.

    python -m tests.workshop.convert.makehf FOLDER    (its own process: no torch in the tests)

Each model is a folder FOLDER/<name>; reference.npz in it has `ids` and `logits`. Weights are exact
in float16, so that what differs is computation. Knows nothing about webui.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

hf: Any = transformers  # its types would have to know every configuration
NUM_IDS = 56
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA_3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
TEXT = (
    "むかしむかし、あるところに、おじいさんとおばあさんがありました。まいにち、おじいさんは"
    "山へ芝刈りに、おばあさんは川へ洗濯に行きました。東京都の人口は約1,400万人です。"
    "The quick brown fox jumps over the lazy dog, doesn't it? It's 2024 and we've 12345 of them. "
    "def f(x): return x ** 2  # コメント\n"
)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
)
SIZES: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
ROPE_LLAMA_3 = {
    "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 4.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
}  # fmt: skip
ROPE_YARN = {
    "rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
GEMMA = {"head_dim": 32, "query_pre_attn_scalar": 24, "sliding_window": 16}


def configs() -> dict[str, tuple[Any, str]]:
    """Name: configuration, and the kind of tokenizer."""
    linear = {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 2.0}
    local = {"rope_type": "default", "rope_theta": 10_000.0}
    return {
        "llama": (hf.LlamaConfig(**SIZES), "sentencepiece"),
        "llama3": (
            hf.LlamaConfig(**SIZES, rope_parameters=ROPE_LLAMA_3, tie_word_embeddings=True),
            "llama3",
        ),
        "llama_bias": (
            hf.LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True, rope_parameters=linear),
            "sentencepiece",
        ),
        "mistral": (hf.MistralConfig(**SIZES, sliding_window=64), "sentencepiece"),
        "qwen2": (hf.Qwen2Config(**SIZES, rope_parameters=ROPE_YARN), "qwen"),
        "qwen3": (hf.Qwen3Config(**SIZES, head_dim=32, tie_word_embeddings=True), "qwen"),
        "gemma": (hf.GemmaConfig(**SIZES, head_dim=32), "gemma"),
        "gemma2": (hf.Gemma2Config(**SIZES, **GEMMA), "gemma"),
        "gemma3": (
            hf.Gemma3TextConfig(
                **{**SIZES, **GEMMA, "num_hidden_layers": 7},
                rope_parameters={
                    "full_attention": {**linear, "rope_theta": 1e6}, "sliding_attention": local
                },
            ),
            "gemma",
        ),
        "gpt2": (hf.GPT2Config(n_embd=64, n_layer=1, n_head=4), "qwen"),
    }  # fmt: skip


def make(folder: Path, name: str, config: Any, kind: str) -> None:
    tokenizer = byte_level(kind) if kind in ("qwen", "llama3") else sentencepiece(kind)
    config.vocab_size = tokenizer.get_vocab_size() + 3  # embeddings are often padded
    config.bos_token_id, config.eos_token_id = 1, 2
    torch.manual_seed(7)
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for part, weight in model.named_parameters():
            is_norm = weight.dim() == 1 and "norm" in part
            spread = 0.3 if is_norm or weight.dim() == 1 else 1.4 * weight.shape[-1] ** -0.5
            shift = 1.0 if is_norm and "gemma" not in name else 0.0
            weight.copy_((shift + spread * torch.randn_like(weight)).half().float())
        ids = torch.randint(3, config.vocab_size - 3, (1, NUM_IDS))
        logits = model(ids).logits[0]
    model.save_pretrained(folder / name)
    save_tokenizer(tokenizer, folder / name, kind)
    np.savez(folder / name / "reference.npz", ids=ids[0].numpy(), logits=logits.numpy())


def save_tokenizer(tokenizer: Tokenizer, folder: Path, kind: str) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "bos_token": None if kind == "qwen" else "<s>",
        "eos_token": {"content": "<|im_end|>"},
        "unk_token": "<unk>",
        "chat_template": [{"name": "default", "template": TEMPLATE}],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def byte_level(kind: str) -> Tokenizer:
    tokenizer = Tokenizer(BPE(ignore_merges=kind == "llama3"))
    pattern = Regex(LLAMA_3 if kind == "llama3" else QWEN)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=420,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<unk>", "<s>", "</s>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return finished(tokenizer, adds_bos=kind == "llama3")


def sentencepiece(kind: str) -> Tokenizer:
    """As transformers turns a SentencePiece model into its own: every way to merge a piece."""
    trained = Tokenizer(BPE())
    trained.train_from_iterator(
        [TEXT.replace(" ", "▁")], BpeTrainer(vocab_size=330, show_progress=False)
    )
    learned = sorted(trained.get_vocab().items(), key=lambda item: item[1])
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [piece for piece, _ in learned]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    merges = []
    for piece, _ in learned:  # earlier ones first, as their scores say
        halves = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        merges += [(left, right) for left, right in halves if left in vocab and right in vocab]
    model = BPE(vocab, merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    tokenizer = Tokenizer(model)
    spaces = normalizers.Replace(" ", "▁")
    is_gemma = kind == "gemma"
    prefixed = normalizers.Sequence([normalizers.Prepend("▁"), spaces])
    tokenizer.normalizer = spaces if is_gemma else prefixed
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return finished(tokenizer, adds_bos=True)


def finished(tokenizer: Tokenizer, *, adds_bos: bool) -> Tokenizer:
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    if adds_bos:
        tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
        )
    return tokenizer


def main() -> None:
    folder = Path(sys.argv[1])
    for name, (config, kind) in configs().items():
        make(folder, name, config, kind)


if __name__ == "__main__":
    main()
