"""Tiny embedding models: real sentence-transformers folders, no download.

Run as `python -m tests.documents.makemodel FOLDER SEED [WORDS]`, in a process of its own: it
imports torch.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def static_model(folder: Path, seed: int = 0) -> Path:
    """Random weights for letters."""
    return _made(str(folder), str(seed))


def bilingual_model(folder: Path, words: Sequence[Sequence[str]]) -> Path:
    """Words that mean the same have the same weights; all unknown words mean one faint thing."""
    return _made(str(folder), "0", json.dumps(words))


def _made(folder: str, *arguments: str) -> Path:
    """Made in a child process, so that the tests' own never imports torch."""
    command = [sys.executable, "-m", "tests.documents.makemodel", folder, *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    return Path(folder)


def _make(folder: Path, seed: int) -> None:
    import numpy
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = [chr(code) for code in (*range(0x20, 0x7F), *range(0x3041, 0x3100))]
    letters += [chr(code) for code in range(0x4E00, 0x9FB0)]
    vocabulary = {"[UNK]": 0} | {letter: index for index, letter in enumerate(letters, start=1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    weights = numpy.random.default_rng(seed).standard_normal((len(vocabulary), 32))
    _save(folder, tokenizer, weights)


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
    if len(sys.argv) > 3:
        _make_bilingual(Path(sys.argv[1]), json.loads(sys.argv[3]))
    else:
        _make(Path(sys.argv[1]), int(sys.argv[2]))
