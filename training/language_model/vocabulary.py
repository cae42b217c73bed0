"""The built-in model's vocabulary: SentencePiece-style BPE with byte fallback.

Pieces never cross the border between Japanese letters, Latin words, digits and signs, so a text can
be tokenised in parts cut at such borders. Digits and signs stand alone: a number is copied, not
guessed. Knows nothing about models.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PATH = Path(__file__).with_name("vocabulary.txt")
SIZE = 10_240
MAX_PIECE_CHARS = 8
MIN_COUNT = 8  # a rarer character is written in bytes
UNK, BOS, EOS, IM_START, IM_END = "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"
SPECIAL = (UNK, BOS, EOS, IM_START, IM_END)
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
ROLES = ("user", "assistant", "system")
RUN = "▁?[A-Za-z]+|[\u3041-\u3096\u30a1-\u30fa\u30fc\u3005\u3007\u4e00-\u9fff]+|[\\s\\S]"


def learn(texts: Sequence[str], size: int = SIZE) -> list[str]:
    """The pieces in id order: special, bytes, then by the order in which BPE merges them."""
    counts = Counter(character for text in texts for character in text)
    common = {character for character, count in counts.items() if count >= MIN_COUNT}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(RUN), "isolated")
    alphabet = sorted((common | set("▁" + _usual_characters())) - {" ", "\n"})
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL) - len(BYTES) - 2 * len(ROLES),
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        max_token_length=MAX_PIECE_CHARS,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    learned = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    pieces = [piece for piece, _ in learned if piece != "\n"]
    roles = [role[:end] for role in ROLES for end in range(2, len(role) + 1)]
    pieces += [piece for piece in dict.fromkeys(roles) if piece not in set(pieces)]
    return [*SPECIAL, *BYTES, *pieces][:size]


def write(pieces: Sequence[str], path: Path = PATH) -> None:
    path.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")


def read(path: Path = PATH) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def scores(pieces: Sequence[str]) -> list[float]:
    """For SentencePiece's rule: of all neighbours the pair with the highest score is joined."""
    num_fixed = len(SPECIAL) + len(BYTES)
    return [0.0] * num_fixed + [-float(rank) for rank in range(len(pieces) - num_fixed)]


def fast_tokenizer(pieces: Sequence[str]) -> Tokenizer:
    """What llama.cpp makes of these pieces, for the training data. Special texts stay text."""
    ids = {piece: index for index, piece in enumerate(pieces)}
    merges = [
        (piece[:cut], piece[cut:])
        for piece in pieces[len(SPECIAL) + len(BYTES) :]
        for cut in range(1, len(piece))
        if piece[:cut] in ids and piece[cut:] in ids
    ]
    model = models.BPE(vocab=ids, merges=merges, unk_token=UNK, byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(RUN), "isolated")
    replace = decoders.Replace("▁", " ")
    tokenizer.decoder = decoders.Sequence([replace, decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def _usual_characters() -> str:
    """ASCII and JIS X 0208 up to its first level of kanji."""
    rows = [*range(1, 6), *range(16, 48)]
    codes = bytes(0xA0 + byte for row in rows for cell in range(1, 95) for byte in (row, cell))
    return "".join(map(chr, range(0x21, 0x7F))) + codes.decode("euc_jp", errors="ignore")
