"""A Hugging Face tokenizer as llama.cpp's vocabulary: pieces, kinds, scores or merges, specials.

From tokenizer.json (byte-level BPE, or SentencePiece's BPE) or tokenizer.model. llama.cpp knows how
a byte-level tokenizer cuts texts only by a name (`pre`), so that name is found by the tokenizer's
own pattern. Whether it then cuts the same is checked afterwards (check.py). Knows nothing about
tensors.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from webui.workshop.convert.errors import ConvertError
from webui.workshop.convert.hyperparameters import read_json
from webui.workshop.convert.sentencepiece import BPE, read_sentencepiece

SPACE = "▁"
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
TOKENIZER, SENTENCEPIECE = "tokenizer.json", "tokenizer.model"

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_ENDS = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
_LOWER = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
_UPPER = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
PATTERNS = {  # a tokenizer's own pattern: llama.cpp's name for it
    _CONTRACTIONS + "|" + _WORDS + r"|\p{N}" + _SIGNS + _ENDS: "qwen2",
    _CONTRACTIONS + "|" + _WORDS + r"|\p{N}{1,3}" + _SIGNS + _ENDS: "llama-bpe",
    f"{_LOWER}|{_UPPER}" + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _ENDS: "tekken",
    f"{_LOWER}{_CONTRACTIONS}?|{_UPPER}{_CONTRACTIONS}?"
    + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _ENDS: "gpt-4o",
}  # fmt: skip


class Kind(IntEnum):
    """llama.cpp's kinds of tokens."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(slots=True)
class Vocabulary:
    model: str  # llama = SentencePiece, gpt2 = byte-level BPE
    pieces: list[str]
    kinds: list[Kind]
    scores: list[float]  # of SentencePiece; [] = none
    merges: list[str]  # of byte-level BPE; [] = none
    pre: str = ""
    add_space_prefix: bool = False

    def fit(self, n_rows: int) -> None:
        """As many pieces as the embedding has rows. Raises ConvertError."""
        if any(kind is Kind.NORMAL for kind in self.kinds[n_rows:]):
            values = {"num_pieces": len(self.pieces), "num_rows": n_rows}
            raise ConvertError("convert.more_pieces_than_rows", **values)
        for column in (self.pieces, self.kinds, self.scores):
            del column[n_rows:]
        for number in range(len(self.pieces), n_rows):
            self.pieces.append(f"[PAD{number}]")
            self.kinds.append(Kind.UNUSED)
            if self.model == "llama":
                self.scores.append(-1e4)


def read_vocabulary(folder: Path) -> Vocabulary:
    """Raises ConvertError."""
    if not (folder / TOKENIZER).is_file():
        if (folder / SENTENCEPIECE).is_file():
            return _of_sentencepiece(folder)
        raise ConvertError("convert.no_file", file=f"{TOKENIZER} / {SENTENCEPIECE}")
    tokenizer = read_json(folder / TOKENIZER)
    model = tokenizer.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        kind = model.get("type") if isinstance(model, dict) else "?"
        raise ConvertError("convert.unknown_tokenizer", kind=str(kind)[:60])
    try:
        if model.get("byte_fallback"):
            return _sentencepiece_like(tokenizer, model)
        return _byte_level(tokenizer, model)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConvertError("convert.bad_file", file=TOKENIZER, reason=repr(error)[:200]) from error


def added_tokens(tokenizer: Mapping[str, Any]) -> dict[int, tuple[str, bool]]:
    """Id: text and whether it is special."""
    return {
        int(token["id"]): (str(token["content"]), token.get("special") is True)
        for token in tokenizer.get("added_tokens") or ()
    }


def _columns(
    vocab: Mapping[str, int], added: Mapping[int, tuple[str, bool]]
) -> tuple[list[str], list[Kind]]:
    """Pieces by id, holes filled; ids that cannot be meant raise ValueError."""
    ids = [*vocab.values(), *added]
    count = max(ids, default=-1) + 1
    if not 0 < count <= 2 * len(ids) + 1024 or min(ids) < 0:
        raise ValueError(f"{count} ids")
    pieces = [f"[PAD{number}]" for number in range(count)]
    kinds = [Kind.UNUSED] * count
    for piece, number in vocab.items():
        pieces[number] = piece
        kinds[number] = Kind.NORMAL
    for number, (piece, is_special) in added.items():
        # llama.cpp finds these in the text as it was written, before spaces become ▁.
        pieces[number] = piece if is_special else piece.replace(SPACE, " ")
        kinds[number] = Kind.CONTROL if is_special else Kind.USER_DEFINED
    return pieces, kinds


def _merges(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Older files write "a b", newer ones ["a", "b"]."""
    pairs = (m.split(" ") if isinstance(m, str) else m for m in model["merges"])
    return [(str(left), str(right)) for left, right in pairs]


def _byte_level(tokenizer: Mapping[str, Any], model: Mapping[str, Any]) -> Vocabulary:
    pre = _pre(tokenizer.get("pre_tokenizer"))
    pieces, kinds = _columns(model["vocab"], added_tokens(tokenizer))
    merges = [f"{left} {right}" for left, right in _merges(model)]
    return Vocabulary("gpt2", pieces, kinds, [], merges, pre)


def _pre(pre_tokenizer: Any) -> str:
    """llama.cpp's name for how the text is cut before merging. Raises ConvertError."""
    steps = pre_tokenizer.get("pretokenizers") or [pre_tokenizer]
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    splits = (step["pattern"] for step in steps if step.get("type") == "Split")
    pattern: Mapping[str, str] = next(splits, {})
    found = PATTERNS.get(pattern.get("Regex", ""))
    if kinds != ["Split", "ByteLevel"] or found is None:
        shown = str(pattern.get("Regex") or kinds)[:120]
        raise ConvertError("convert.unknown_pattern", pattern=shown)
    return found


def _sentencepiece_like(tokenizer: Mapping[str, Any], model: Mapping[str, Any]) -> Vocabulary:
    """SentencePiece merges by score what these merge by rank: the score is the rank, negated."""
    pieces, kinds = _columns(model["vocab"], added_tokens(tokenizer))
    merges = _merges(model)
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(merges):
        ranks.setdefault(left + right, rank)
    scores = [-float(ranks.get(piece, len(merges))) for piece in pieces]
    unknown = model.get("unk_token")
    for number, piece in enumerate(pieces):
        if piece == unknown:
            kinds[number] = Kind.UNKNOWN
        elif kinds[number] is Kind.NORMAL and BYTE_PIECE.fullmatch(piece):
            kinds[number] = Kind.BYTE
    return Vocabulary(
        "llama", pieces, kinds, scores, [], add_space_prefix=_has_space_prefix(tokenizer)
    )


def _has_space_prefix(tokenizer: Mapping[str, Any]) -> bool:
    normalizer = tokenizer.get("normalizer") or {}
    for step in normalizer.get("normalizers") or [normalizer]:
        if step.get("type") == "Prepend":
            return True
    cutter = tokenizer.get("pre_tokenizer") or {}
    is_metaspace = cutter.get("type") == "Metaspace"
    return is_metaspace and cutter.get("prepend_scheme", "always") != "never"


def _of_sentencepiece(folder: Path) -> Vocabulary:
    model = read_sentencepiece(folder / SENTENCEPIECE)
    if model.kind != BPE:
        raise ConvertError("convert.unknown_tokenizer", kind="SentencePiece Unigram")
    vocabulary = Vocabulary(
        "llama",
        [piece.text for piece in model.pieces],
        [Kind(piece.kind) for piece in model.pieces],
        [piece.score for piece in model.pieces],
        [],
        add_space_prefix=model.add_dummy_prefix,
    )
    for number, (text, is_special) in sorted(_added_later(folder).items()):
        if number == len(vocabulary.pieces):
            vocabulary.pieces.append(text)
            vocabulary.kinds.append(Kind.CONTROL if is_special else Kind.USER_DEFINED)
            vocabulary.scores.append(-1e3)
        elif number < len(vocabulary.pieces):
            vocabulary.pieces[number] = text
            vocabulary.kinds[number] = Kind.CONTROL if is_special else Kind.USER_DEFINED
    return vocabulary


def _added_later(folder: Path) -> dict[int, tuple[str, bool]]:
    """Tokens that were added to a SentencePiece model by tokenizer_config.json."""
    path = folder / "tokenizer_config.json"
    decoder = read_json(path).get("added_tokens_decoder") if path.is_file() else {}
    found = {}
    for number, token in (decoder if isinstance(decoder, dict) else {}).items():
        if number.isdecimal() and isinstance(token, dict) and isinstance(token.get("content"), str):
            is_unknown = token["content"] == "<unk>"
            if not is_unknown:
                found[int(number)] = (token["content"], token.get("special") is True)
    return found
