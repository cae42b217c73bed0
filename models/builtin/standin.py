"""Makes the built-in stand-in: a tiny llama-architecture GGUF that streams legible Japanese.

It lets the product run and be tested before a real model is in `models/`. It has learned nothing:
a hand-made chain of words says what to do next, and random attention over the whole context picks
the branches, so that a wrong key-value cache changes its logits visibly. Knows nothing about webui.
"""

import argparse
import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

DEFAULT_PATH = Path(__file__).with_name("standin.gguf")
NAME = "Kajogaki stand-in"

N_EMBD, N_LAYER, N_FF, N_CTX = 128, 2, 256, 8192
N_HEAD, N_HEAD_KV, HEAD_DIM = 4, 2, 64  # 64: flash attention and q8_0 caches accept it everywhere
N_AXES = 96  # axes [0, 96) of the residual stream name the current word,
N_TRACE = N_EMBD - N_AXES  # the others hold traces of the context

# What it says: one opening, some of the middle in this order, one closing. "/" ends a token.
OPENINGS = """
これは/動作確認/のための/仮の/モデルです。
こんにちは。/いま/答えているのは、/練習用の/小さな/モデルです。
申し訳ありません。/まだ/本物の/モデルが/入っていません。
"""
MIDDLES = """
まとまった/答えは/返せませんが、/画面と/処理の/流れは/本番と/同じように/動きます。
文字が/少しずつ/現れること、/途中で/止められること、/書き直せることを/確かめられます。
この/文章は、/あらかじめ/用意された/言葉を/つなげた/もので、/質問の/内容とは/関係が/ありません。
▁This/▁is/▁only/▁a/▁stand/-in/▁model.
短い/文でも、/記号でも、/絵文字でも、/そのまま/受け取ります。
経過時間や、/一秒あたりの/トークン数も/ここで/見られます。
速さは/機械と/設定しだいで/変わります。
会話は/お使いの/コンピューターの/中だけに/保存され、/外へは/送られません。
長い/文が/必要なときは、/同じ/説明を/何度でも/繰り返します。
"""
CLOSINGS = """
models/▁フォルダに/▁GGUF/▁を/入れると、/そのモデルで/答えます。
よい/モデルを/選んだら、/もう一度/聞いてください。
"""
WORDS = """
です ます した して いる ある こと もの ため から まで ない する なる れる という について
として による ください ありがとう こんにちは これ それ この その ここ ので また
日本 日本語 東京 今日 時間 場合 必要 可能 使用 設定 方法 問題 情報 会社 世界 自分 文章 要約 質問
▁the ▁of ▁and ▁to ▁in ▁that ▁for ▁with ▁you ▁are ▁was ▁not ▁have ▁this ▁from ▁what ▁hello
ing tion ment able user assistant system
"""
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
UNK, BOS, EOS = "<unk>", "<s>", "</s>"
IM_START, IM_END = "<|im_start|>", "<|im_end|>"

Matrix = npt.NDArray[np.float32]
Sentences = list[list[str]]


def make(path: Path = DEFAULT_PATH, *, seed: int = 20) -> Path:
    """Write the model to `path` (atomically; the same bytes for the same seed) and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _write(temporary, np.random.default_rng(seed))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def add_vocabulary(writer: Any, more: Iterable[str] = ()) -> list[str]:
    """Add the tokenizer, with `more` pieces at its end, and the chat template to a GGUFWriter.

    Returns the pieces in id order.
    """
    byte_pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    special = [UNK, BOS, EOS, IM_START, IM_END]
    text_pieces = [*_text_pieces(), *more]
    pieces = special + byte_pieces + text_pieces
    kind = gguf.TokenType
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_types(
        [kind.UNKNOWN]
        + [kind.CONTROL] * 4
        + [kind.BYTE] * len(byte_pieces)
        + [kind.NORMAL] * len(text_pieces)
    )
    # SentencePiece merges the pair with the highest score first.
    num_unscored = len(pieces) - len(text_pieces)
    writer.add_token_scores([0.0] * num_unscored + [-float(i) for i in range(len(text_pieces))])
    writer.add_unk_token_id(pieces.index(UNK))
    writer.add_bos_token_id(pieces.index(BOS))
    writer.add_eos_token_id(pieces.index(IM_END))
    writer.add_eot_token_id(pieces.index(IM_END))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    return pieces


def sentences(text: str) -> Sentences:
    """The words of each line."""
    return [line.split("/") for line in text.split()]


def _text_pieces() -> list[str]:
    """ASCII, JIS X 0208 up to its first level of kanji, and words with all their prefixes.

    With every prefix of a word in the vocabulary no order of merges can miss the word.
    """
    ascii_pieces = ["▁"] + [chr(code) for code in range(0x21, 0x7F)]
    rows = [*range(1, 6), *range(16, 48)]  # signs, letters and digits, kana; level 1 kanji
    codes = bytes(0xA0 + byte for row in rows for cell in range(1, 95) for byte in (row, cell))
    assigned = codes.decode("euc_jp", errors="ignore")
    words = [word for line in sentences(OPENINGS + MIDDLES + CLOSINGS) for word in line]
    words += WORDS.split()
    prefixes = [word[:end] for word in words for end in range(2, len(word) + 1)]
    return list(dict.fromkeys([*ascii_pieces, *assigned, *prefixes]))


def _successors() -> dict[str, set[str]]:
    """Which words may follow each word; "" stands for every token outside the chain."""
    openings, middles, closings = map(sentences, (OPENINGS, MIDDLES, CLOSINGS))
    follow: dict[str, set[str]] = {"": {line[0] for line in openings}}
    for line in openings + middles + closings:
        for word, following in pairwise(line):
            follow.setdefault(word, set()).add(following)
    for opening in openings:
        follow[opening[-1]] = {line[0] for line in middles[:2]}
    for index, middle in enumerate(middles):
        later = middles[index + 1 : index + 3] or closings
        follow[middle[-1]] = {line[0] for line in later}
    for closing in closings:
        follow[closing[-1]] = {IM_END}
    return follow


def _head(pieces: list[str], rng: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Embedding and output matrix, (n_vocab, N_EMBD) each.

    A word's embedding points along its own axis; the output rows of its successors look along that
    axis. The random rest lets the context lift or lower every token by about one logit.
    """
    follow = _successors()
    if len(follow) > N_AXES:
        raise ValueError(f"{len(follow)} words in the chain, room for {N_AXES}")
    token_id = {piece: index for index, piece in enumerate(pieces)}
    embedding = np.zeros((len(pieces), N_EMBD), np.float32)
    output = np.zeros_like(embedding)
    embedding[:, N_AXES:] = 0.1 * rng.standard_normal((len(pieces), N_TRACE))
    output[:, N_AXES:] = 0.1 * rng.standard_normal((len(pieces), N_TRACE))
    axes = {word: axis for axis, word in enumerate(follow)}
    embedding[:, axes[""]] = 1.0
    for word, axis in axes.items():
        if word:
            embedding[token_id[word], axes[""]] = 0.0
            embedding[token_id[word], axis] = 1.0
        for following in follow[word]:
            output[token_id[following], axis] = 4.0
        if word and IM_END in follow[word]:  # where the end is forbidden, begin again
            for opening in follow[""]:
                output[token_id[opening], axis] = 3.0
    return embedding, output


def _layer(rng: np.random.Generator) -> dict[str, Matrix]:
    """One random block that reads and writes the context axes only: the chain stays legible."""

    def random(n_out: int, n_in: int, gain: float) -> Matrix:
        return rng.standard_normal((n_out, n_in), np.float32) * np.float32(gain / n_in**0.5)

    def reader(n_out: int, gain: float) -> Matrix:
        return np.pad(random(n_out, N_TRACE, gain), ((0, 0), (N_AXES, 0)))

    def writer(n_in: int, gain: float) -> Matrix:
        return np.pad(random(N_TRACE, n_in, gain), ((N_AXES, 0), (0, 0)))

    return {
        "attn_norm": np.ones(N_EMBD, np.float32),
        "attn_q": reader(N_HEAD * HEAD_DIM, 1.4),
        "attn_k": reader(N_HEAD_KV * HEAD_DIM, 1.4),
        "attn_v": reader(N_HEAD_KV * HEAD_DIM, 1.0),
        "attn_output": writer(N_HEAD * HEAD_DIM, 0.25),
        "ffn_norm": np.ones(N_EMBD, np.float32),
        "ffn_gate": reader(N_FF, 1.0),
        "ffn_up": reader(N_FF, 1.0),
        "ffn_down": writer(N_FF, 0.1),
    }


def _write(path: Path, rng: np.random.Generator) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(NAME)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(N_LAYER)
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEAD)
    writer.add_head_count_kv(N_HEAD_KV)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_layer_norm_rms_eps(1e-5)
    pieces = add_vocabulary(writer)
    writer.add_vocab_size(len(pieces))
    embedding, output = _head(pieces, rng)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", np.ones(N_EMBD, np.float32))
    writer.add_tensor("output.weight", output)
    for layer in range(N_LAYER):
        for name, matrix in _layer(rng).items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", nargs="?", type=Path, default=DEFAULT_PATH)
    print(make(parser.parse_args().path))
