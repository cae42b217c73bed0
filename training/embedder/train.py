"""Trains the built-in embedder: one vector per word piece, a text is their mean. Minutes on a CPU.

    python -m training.embedder.train --corpus DIR [--edict FILE] [--out DIR]

Pairs of texts that belong together are drawn to each other and away from the rest of their batch:
question and paragraph (JaQuAD train; now and then with words replaced by others of the same
meaning), neighbouring sentences, words of one meaning (EDICT). Knows nothing about the application.
"""

import argparse
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from training.embedder.corpus import Corpus, TrainingError, read_corpus
from training.embedder.dictionary import DictionaryError, Entry, alternatives, pairs, read_entries
from training.embedder.pieces import MAX_PIECE, Bags, make_tokenizer, vocabulary

MODEL_DIR = Path(__file__).parents[2] / "models" / "builtin-embedder"
DIMENSIONS = 256
SCALE = 20.0  # of the cosines
SWAP = 0.35  # share of a question's known words that are replaced
FILES = (  # of the shipped model; the last one makes it whole
    "model.safetensors",
    "tokenizer.json",
    "config_sentence_transformers.json",
    "modules.json",
)


# --- the model -----------------------------------------------------------------------------------


class Pieces:
    """A vector for each piece: its own, and the mean of those of its characters.

    So 休暇 and 休み begin close to each other. Only the sum is shipped.
    """

    def __init__(self, tokenizer: Any, frequencies: Any) -> None:
        import torch

        names = [tokenizer.id_to_token(id) for id in range(tokenizer.get_vocab_size())]
        letters = {char: n for n, char in enumerate(sorted({c for name in names for c in name}), 1)}
        self._letters = np.zeros((len(names), MAX_PIECE), np.int64)
        for id, name in enumerate(names):
            known = [letters[char] for char in name[:MAX_PIECE]] if id else []
            self._letters[id, : len(known)] = known
        rarity = np.log(frequencies.sum() / (frequencies + 1.0))
        scale = (rarity / rarity.mean())[:, None] / DIMENSIONS**0.5
        own = torch.randn(len(names), DIMENSIONS) * torch.tensor(scale, dtype=torch.float32)
        own[0] = 0.0
        self.own = torch.nn.EmbeddingBag.from_pretrained(own, freeze=False, mode="sum")
        shared = torch.randn(len(letters) + 1, DIMENSIONS) * 0.5 / DIMENSIONS**0.5
        shared[0] = 0.0
        self.shared = torch.nn.EmbeddingBag.from_pretrained(shared, freeze=False, mode="sum")

    def parameters(self) -> list[Any]:
        return [self.own.weight, self.shared.weight]

    def embed(self, bags: tuple[Any, Any]) -> Any:
        """Unit vectors of texts given as `Bags.some` gives them."""
        import torch

        ids, starts = bags
        letters = self._letters[ids]
        present = letters > 0
        counts = present.sum(1)
        letter_starts = np.concatenate([[0], np.cumsum(counts)])[starts]
        shares = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
        vectors = self.own(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(starts))
        vectors = vectors + self.shared(
            torch.from_numpy(letters[present]),
            torch.from_numpy(letter_starts),
            per_sample_weights=torch.from_numpy(shares),
        )
        return torch.nn.functional.normalize(vectors, dim=-1)

    def table(self) -> Any:
        """One row per piece, what is shipped."""
        import torch

        with torch.no_grad():
            letters = torch.from_numpy(self._letters)
            counts = (letters > 0).sum(1, keepdim=True).clamp(min=1)
            rows = self.own.weight + self.shared.weight[letters].sum(1) / counts
            rows[0] = 0.0
            return rows / rows.norm(dim=1).mean()


def loss_of(first: Any, second: Any, groups: Any = None) -> Any:
    """Each row of `first` should find its own row of `second`, and back."""
    import torch

    scores = first @ second.T * SCALE
    if groups is not None:  # other questions of the same paragraph are no negatives
        same = torch.from_numpy(groups[:, None] == groups[None, :])
        same.fill_diagonal_(False)
        scores = scores.masked_fill(same, -1e4)
    goal = torch.arange(len(first))
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(scores, goal) + cross_entropy(scores.T, goal)) / 2


# --- what belongs together -----------------------------------------------------------------------


class Swapper:
    """Questions with some of their words replaced by others of the same meaning."""

    def __init__(self, tokenizer: Any, same: dict[str, list[str]], seed: int) -> None:
        self._tokenizer, self._same = tokenizer, same
        self._random = random.Random(seed)

    def __call__(self, text: str, share: float = SWAP) -> str:
        pieces = self._tokenizer.encode(text, add_special_tokens=False).tokens
        return "".join(self._other(piece, share) for piece in pieces)

    def _other(self, piece: str, share: float) -> str:
        others = self._same.get(piece)
        if not others or len(piece) < 2 and "ぁ" <= piece <= "ヺ" or self._random.random() > share:
            return piece
        return f" {self._random.choice(others)} "


Draw = Callable[[], Any]


def neighbours(documents: list[list[str]]) -> list[tuple[str, str]]:
    """A sentence, and what stands after it in its paragraph."""
    found = []
    for document in documents:
        for paragraph in document:
            sentences = [s for s in re.split(r"(?<=[。！？])", paragraph) if len(s) > 12]
            found += list(zip(sentences, sentences[1:], strict=False))
        heads = [
            (a, b) for a, b in zip(document, document[1:], strict=False) if len(a) < 60 < len(b)
        ]
        found += heads
    return found


def draws(
    model: Pieces, tokenizer: Any, corpus: Corpus, entries: list[Entry], seed: int
) -> list[tuple[float, Draw]]:
    """(weight, a batch's loss) for each kind of pairs."""
    chance = np.random.default_rng(seed)
    swap = Swapper(tokenizer, alternatives(entries), seed)
    asked = [q for q in corpus.questions if not corpus.is_held_out[q.paragraph]]
    paragraphs = Bags(tokenizer, corpus.paragraphs)

    def questions() -> Any:
        chosen = [asked[i] for i in chance.integers(0, len(asked), 256)]
        texts = [swap(q.text) if chance.random() < 0.6 else q.text for q in chosen]
        groups = np.array([q.paragraph for q in chosen])
        asking = model.embed(Bags(tokenizer, [t or "?" for t in texts]).some(range(len(texts))))
        return loss_of(asking, model.embed(paragraphs.some(groups)), groups)

    def of_pairs(texts: list[tuple[str, str]], size: int) -> Draw:
        sides = [Bags(tokenizer, [pair[side] for pair in texts]) for side in (0, 1)]
        usable = np.array(
            [i for i in range(len(texts)) if not any(side.is_empty(i) for side in sides)]
        )

        def draw() -> Any:
            chosen = chance.choice(usable, size)
            return loss_of(*(model.embed(side.some(chosen)) for side in sides))

        return draw

    return [
        (1.0, questions),
        (0.5, of_pairs(pairs(entries), 768)),
        (0.3, of_pairs(neighbours(corpus.documents), 256)),
    ]


def train(model: Pieces, kinds: list[tuple[float, Draw]], num_steps: int) -> None:
    import torch

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, num_steps)
    started = time.monotonic()
    for step in range(num_steps):
        losses = [draw() for _, draw in kinds]
        total = sum(weight * loss for (weight, _), loss in zip(kinds, losses, strict=True))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            shown = " ".join(f"{loss.item():.3f}" for loss in losses)
            print(
                f"step {step + 1}/{num_steps}  {shown}  {time.monotonic() - started:.0f} s",
                flush=True,
            )


# --- shipping ------------------------------------------------------------------------------------


def save(tokenizer: Any, table: Any, out: Path) -> None:
    """A sentence-transformers folder; each file is whole before it gets its name."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        module = StaticEmbedding(tokenizer, embedding_weights=table.to(torch.float16))
        SentenceTransformer(modules=[module], similarity_fn_name="cosine").save(
            folder, create_model_card=False
        )
        out.mkdir(exist_ok=True)
        (out / "modules.json").unlink(missing_ok=True)  # no model rather than half of two
        for name in FILES:
            os.replace(Path(folder) / name, out / name)
            (out / name).chmod(0o644)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--edict", type=Path, default=Path("/usr/share/edict/edict"))
    parser.add_argument("--out", type=Path, default=MODEL_DIR)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        return _run(options)
    except (TrainingError, DictionaryError) as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
    return 2


def _run(options: argparse.Namespace) -> int:
    corpus = read_corpus(options.corpus)
    entries = read_entries(options.edict)
    try:
        import torch
    except ImportError as error:
        raise TrainingError(f"PyTorch cannot be loaded ({error}); run make dev") from error
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = make_tokenizer(*vocabulary(corpus, entries))
    print(f"{tokenizer.get_vocab_size()} pieces, {len(entries)} words", flush=True)
    size = tokenizer.get_vocab_size()
    model = Pieces(tokenizer, Bags(tokenizer, corpus.paragraphs).counts(size))
    train(model, draws(model, tokenizer, corpus, entries, options.seed), options.steps)
    save(tokenizer, model.table(), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
