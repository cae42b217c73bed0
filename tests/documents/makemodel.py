"""Tiny embedding models with random weights: real sentence-transformers folders, no download.

Run as `python -m tests.documents.makemodel FOLDER`, in a process of its own: it imports torch.
"""

import subprocess
import sys
from pathlib import Path


def static_model(folder: Path, seed: int = 0) -> Path:
    """Made in a child process, so that the tests' own never imports torch."""
    command = [sys.executable, "-m", "tests.documents.makemodel", str(folder), str(seed)]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    return folder


def _make(folder: Path, seed: int) -> None:
    import numpy
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = [chr(code) for code in (*range(0x20, 0x7F), *range(0x3041, 0x3100))]
    letters += [chr(code) for code in range(0x4E00, 0x9FB0)]
    vocabulary = {"[UNK]": 0} | {letter: index for index, letter in enumerate(letters, start=1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    weights = numpy.random.default_rng(seed).standard_normal((len(vocabulary), 32))
    module = StaticEmbedding(tokenizer, embedding_weights=weights.astype("float32"))
    model = SentenceTransformer(
        modules=[module], prompts={"query": "query: ", "document": "passage: "}
    )
    model.save(str(folder))


if __name__ == "__main__":
    _make(Path(sys.argv[1]), int(sys.argv[2]))
