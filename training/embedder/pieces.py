"""Word pieces: how a text is cut, and texts as bags of pieces. Knows nothing about vectors."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from training.embedder.corpus import Corpus
from training.embedder.dictionary import Entry

VOCABULARY = 30_000
MAX_PIECE = 8  # characters


def make_tokenizer(texts: list[str], words: list[str]) -> Any:
    """A unigram model: candidates are the dictionary's words and what byte-pair merging finds in
    the texts; their scores are how often the best segmentation uses them, the rarest ones go.
    """
    from tokenizers import models, trainers

    merges = _tokenizer(models.BPE(unk_token="[UNK]"), r"[\u3400-\u9fff々]+|[ぁ-ゖ]+|" + _RUNS)
    merges.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["[UNK]"],
            limit_alphabet=6000,
            max_token_length=MAX_PIECE,
            show_progress=False,
        ),
    )
    letters = [piece for piece in merges.get_vocab() if len(piece) == 1]
    counts = dict.fromkeys([*merges.get_vocab(), *words, *letters], 1.0)
    del counts["[UNK]"]
    for size in (len(counts) + 1, int(1.4 * VOCABULARY), VOCABULARY):
        kept = sorted(counts, key=lambda piece: (len(piece) > 1, -counts[piece], piece))
        total = sum(counts.values())
        scores = [(piece, math.log(counts[piece] / total)) for piece in kept[: size - 1]]
        tokenizer = _tokenizer(models.Unigram([("[UNK]", -30.0), *scores], unk_id=0))
        used = Bags(tokenizer, [*texts, *words]).counts(len(scores) + 1)[1:]
        counts = {piece: num + 0.1 for (piece, _), num in zip(scores, used, strict=True)}
    return tokenizer


_RUNS = r"[ァ-ヺー]+|[a-z]+|[0-9]"  # never part of one piece with anything else


def _tokenizer(model: Any, runs: str = _RUNS) -> Any:
    """NFKC and lower case; signs fall away; `runs` are kept apart from the rest."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}\p{M}ー]+"), "removed"),
            pre_tokenizers.Split(Regex(runs), "isolated"),
        ]
    )
    return tokenizer


def vocabulary(corpus: Corpus, entries: list[Entry]) -> tuple[list[str], list[str]]:
    """What the pieces are learnt from: prose, and every common word of the dictionary, as often
    as it should weigh there."""
    texts = [*corpus.paragraphs]
    for document in corpus.documents:
        texts += document[:6]
    words: list[str] = []
    for entry in entries:
        if entry.is_common and len(entry.word) <= MAX_PIECE:
            words += 6 * [entry.word]
            words += [word for gloss in entry.glosses[:2] for word in gloss.split()]
            if 2 < len(entry.reading) <= MAX_PIECE:
                words += 2 * [entry.reading]
    return texts, [word for word in words if len(word) <= MAX_PIECE and word.isalnum()]


class Bags:
    """Texts as word pieces, one after the other in one array."""

    def __init__(self, tokenizer: Any, texts: list[str]) -> None:
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        lengths = [len(encoding.ids) for encoding in encodings]
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        self._ids = np.fromiter((id for e in encodings for id in e.ids), np.int32)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def counts(self, num_pieces: int) -> Any:
        """How often each piece occurs."""
        return np.bincount(self._ids, minlength=num_pieces)

    def is_empty(self, index: int) -> bool:
        return bool(self._starts[index] == self._starts[index + 1])

    def some(self, indices: Iterable[int]) -> tuple[Any, Any]:
        """Their ids, and where each text begins."""
        parts = [self._ids[self._starts[i] : self._starts[i + 1]] for i in indices]
        starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
        return np.concatenate(parts), starts
