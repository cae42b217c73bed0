"""Tiny embedding models and rerankers: real sentence-transformers folders, no download.

Run as `python -m tests.documents.makemodel FOLDER SEED|reranker [WORDS]`, in a process of its own:
it imports torch.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.places import ROOT


def static_model(folder: Path, seed: int = 0) -> Path:
    """Random weights for letters."""
    return _made(str(folder), str(seed))


def bilingual_model(folder: Path, words: Sequence[Sequence[str]]) -> Path:
    """Words that mean the same have the same weights; all unknown words mean one faint thing."""
    return _made(str(folder), "0", json.dumps(words))


def reranker(folder: Path) -> Path:
    """A CrossEncoder with random weights for letters."""
    return _made(str(folder), "reranker")


def _made(folder: str, *arguments: str) -> Path:
    """Made in a child process, so that the tests' own never imports torch."""
    command = [sys.executable, "-m", "tests.documents.makemodel", folder, *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return Path(folder)


def _make(folder: Path, seed: int) -> None:
    import numpy

    tokenizer = _letters()
    weights = numpy.random.default_rng(seed).standard_normal((tokenizer.get_vocab_size(), 32))
    _save(folder, tokenizer, weights)


def _letters() -> Any:
    """A tokenizer that knows letters alone."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    pieces = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    pieces += [chr(code) for code in (*range(0x20, 0x7F), *range(0x3041, 0x3100))]
    pieces += [chr(code) for code in range(0x4E00, 0x9FB0)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return tokenizer


def _make_reranker(folder: Path) -> None:
    import torch
    from tokenizers import processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    tokenizer = _letters()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    torch.manual_seed(0)
    of_shape: Any = BertConfig
    config = of_shape(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.5,
        pad_token_id=3,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(str(folder))
    marks = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "cls", "sep", "pad")}
    whole: Any = PreTrainedTokenizerFast
    whole(tokenizer_object=tokenizer, model_max_length=512, **marks).save_pretrained(str(folder))


def _make_bilingual(folder: Path, words: Sequence[Sequence[str]]) -> None:
    import numpy
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    flat = [word for same in words for word in same]
    vocabulary = {"[UNK]": 0} | {word: index for index, word in enumerate(flat, start=1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    longest_first = sorted(flat, key=len, reverse=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("|".join(longest_first)), "isolated")
    meanings = numpy.random.default_rng(0).standard_normal((len(words) + 1, 64))
    counts = [len(same) for same in words]
    weights = numpy.repeat(meanings, [1, *counts], axis=0)
    weights[0] *= 0.05
    _save(folder, tokenizer, weights)


def _save(folder: Path, tokenizer: Any, weights: Any) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    module = StaticEmbedding(tokenizer, embedding_weights=weights.astype("float32"))
    model = SentenceTransformer(
        modules=[module], prompts={"query": "query: ", "document": "passage: "}
    )
    model.save(str(folder))


if __name__ == "__main__":
    if sys.argv[2] == "reranker":
        _make_reranker(Path(sys.argv[1]))
    elif len(sys.argv) > 3:
        _make_bilingual(Path(sys.argv[1]), json.loads(sys.argv[3]))
    else:
        _make(Path(sys.argv[1]), int(sys.argv[2]))
