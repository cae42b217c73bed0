"""Makes small vocabularies (GGUF files without weights) with just the tokens that a test is about.

`unfriendly` ones do what real files do wrong: plain words that grow, letter by letter, into a
control token, and structure that is listed as a plain word. Knows nothing about webui.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import gguf
from gguf import TokenType

PLAIN_PIECES = ("▁", "a", "b", "x", "▁a", "ab", "▁x", "こ", "ん", "こん", "\n", "\n\n")


def sentencepiece(
    path: Path,
    specials: Mapping[str, TokenType] = {},
    *,
    growing: Iterable[str] = (),
    space_prefix: bool = True,
    add_bos: bool = True,
    name: str = "test",
    with_bytes: bool = True,
) -> Path:
    """A SentencePiece vocabulary; `growing` specials can be merged from their letters."""
    tokens = {"<unk>": TokenType.UNKNOWN, "<s>": TokenType.CONTROL, "</s>": TokenType.CONTROL}
    if with_bytes:
        tokens |= {f"<0x{byte:02X}>": TokenType.BYTE for byte in range(256)}
    tokens |= dict.fromkeys(PLAIN_PIECES, TokenType.NORMAL)
    for text in growing:
        beginnings = (text[:end] for end in range(1, len(text)))
        tokens = dict.fromkeys(beginnings, TokenType.NORMAL) | tokens
    tokens = _specials_first(tokens) | dict(specials)
    writer = _writer(path, "llama", name)
    writer.add_token_list(list(tokens))
    writer.add_token_scores([float(len(text)) for text in tokens])  # longer pieces win
    writer.add_token_types([int(kind) for kind in tokens.values()])
    writer.add_bos_token_id(list(tokens).index("<s>"))
    writer.add_eos_token_id(list(tokens).index("</s>"))
    writer.add_add_bos_token(add_bos)
    writer.add_add_space_prefix(space_prefix)
    return _finish(writer, path)


def byte_pairs(
    path: Path,
    specials: Mapping[str, TokenType],
    *,
    bos: str = "",
    add_bos: bool = False,
    pre: str = "gpt-2",
) -> Path:
    """A byte-level BPE vocabulary, as of GPT-2 and Qwen."""
    tokens = {letter: TokenType.NORMAL for letter in byte_letters()}
    tokens |= {"ab": TokenType.NORMAL, "Ġa": TokenType.NORMAL} | dict(specials)
    writer = _writer(path, "gpt2", "test")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(list(tokens))
    writer.add_token_types([int(kind) for kind in tokens.values()])
    writer.add_token_merges(["a b", "Ġ a"])
    ids = {text: i for i, text in enumerate(tokens)}
    last = len(tokens) - 1
    writer.add_bos_token_id(ids.get(bos, last))
    writer.add_eos_token_id(last)
    writer.add_add_bos_token(add_bos)
    return _finish(writer, path)


def byte_letters() -> list[str]:
    """GPT-2's letter for every byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _specials_first(tokens: Mapping[str, TokenType]) -> dict[str, TokenType]:
    return {text: kind for text, kind in tokens.items() if kind is not TokenType.NORMAL} | {
        text: kind for text, kind in tokens.items() if kind is TokenType.NORMAL
    }


def _writer(path: Path, model: str, name: str) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(name)
    writer.add_tokenizer_model(model)
    return writer


def _finish(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path
