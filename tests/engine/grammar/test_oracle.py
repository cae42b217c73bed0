"""Grammar, Matcher and PieceTable against llama.cpp's grammar sampler, over random grammars."""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import llama_cpp.llama_cpp as ll
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.budget import examples
from webui.engine.grammar.mask import PieceTable
from webui.engine.grammar.matcher import Grammar, GrammarError, Matcher

MAX_SPREAD = 500  # tokens compared besides the telling ones

# llama.cpp keeps calling it: it must live as long as the process.
_SILENCE = ll.llama_log_callback(lambda _level, _text, _data: None)

# Pieces on which a UTF-8 reader can go wrong: cut, joined, overlong, out of range, with NUL.
_TRICKY: list[str | bytes] = [
    *("ab", "aa", "ba", "あい", "aあ", "あb", "é", "éa", "\n\n", "a]", "-a", "😀😀", "いa"),
    *(b"\xe3\x81", b"a\xe3", b"a\xe3\x81", b"\x82\xe3", b"\x82a", b"\x81\x82", b"\x82\xe3\x81"),
    *(b"\xc3a", b"\xc3\xc3", b"\xe3\x81a", b"\xe3aa", b"\xf0\x9f", b"\x98\x80", b"\xf0\x9f\x98"),
    *(b"\xed\xa0\x80", b"\xf8\x88\x80\x80", b"\xc1\xa1", b"\xe0\x81", b"\x81\xa1", b"\xe0\xa0"),
    *(b"a\x00b", b"\x00a", b"a\xff", b"\xffa", b"\xf4\x90\x80\x80", b"\x9f\x98\x80a"),
]
TRICKY_PIECES = [piece if isinstance(piece, bytes) else piece.encode() for piece in _TRICKY]


class Oracle:
    """llama.cpp's grammar sampler over one vocabulary, loaded without weights."""

    def __init__(self, path: Path) -> None:
        ll.llama_log_set(_SILENCE, ctypes.c_void_p(0))
        params = ll.llama_model_default_params()
        params.vocab_only = True
        self._model = ll.llama_model_load_from_file(str(path).encode(), params)
        assert self._model, f"llama.cpp cannot read {path}"
        self._vocab = ll.llama_model_get_vocab(self._model)
        num_tokens = ll.llama_vocab_n_tokens(self._vocab)
        self.end_ids = {i for i in range(num_tokens) if ll.llama_vocab_is_eog(self._vocab, i)}
        self.pieces = {i: self._piece(i) for i in range(num_tokens)}
        self.table = PieceTable([self.pieces[i] for i in range(num_tokens)])
        spread = range(0, num_tokens, num_tokens // MAX_SPREAD + 1)
        self.ids = [i for i in range(num_tokens) if i in spread or self._is_telling(i)]

    def _is_telling(self, token_id: int) -> bool:
        piece = self.pieces[token_id]
        is_tricky = piece in TRICKY_PIECES or not _is_text(piece)
        return len(piece) < 2 or is_tricky or token_id in self.end_ids

    def _piece(self, token_id: int) -> bytes:
        buffer = ctypes.create_string_buffer(512)
        count = ll.llama_token_to_piece(self._vocab, token_id, buffer, 512, 0, True)
        return buffer.raw[: max(0, count)]

    def sampler(self, grammar: str) -> Any:
        return ll.llama_sampler_init_grammar(self._vocab, grammar.encode(), b"root")

    def allowed(self, sampler: Any) -> set[int]:
        tokens = (ll.llama_token_data * len(self.ids))(
            *(ll.llama_token_data(i, 0.0, 0.0) for i in self.ids)
        )
        array = ll.llama_token_data_array(tokens, len(self.ids), -1, False)
        ll.llama_sampler_apply(sampler, ctypes.byref(array))
        return {tokens[i].id for i in range(len(self.ids)) if tokens[i].logit > -np.inf}

    def close(self) -> None:
        ll.llama_model_free(self._model)


def _is_text(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _write_tricky_vocabulary(path: Path) -> None:
    """A byte-level BPE vocabulary: all single bytes, the tricky pieces, one end of generation."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    letters = {byte: chr(byte if byte in printable else next(others)) for byte in range(256)}
    pieces = [bytes([byte]) for byte in range(256)] + TRICKY_PIECES
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(["".join(letters[b] for b in piece) for piece in pieces] + ["<end>"])
    types = [gguf.TokenType.NORMAL] * len(pieces) + [gguf.TokenType.CONTROL]
    writer.add_token_types([int(kind) for kind in types])
    writer.add_token_merges([f"{letters[97]} {letters[98]}"])
    writer.add_eos_token_id(len(pieces))
    writer.add_bos_token_id(len(pieces))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


@pytest.fixture(
    scope="module", params=[pytest.param("tricky", marks=pytest.mark.thorough), "standin"]
)
def oracle(
    request: pytest.FixtureRequest, standin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Oracle]:
    path = standin
    if request.param == "tricky":
        path = tmp_path_factory.mktemp("vocabulary") / "tricky.gguf"
        _write_tricky_vocabulary(path)
    made = Oracle(path)
    yield made
    made.close()


_ALPHABET = st.sampled_from("abあいé😀\n]-")
_ESCAPED = {"\n": "\\n", "]": "\\]", "-": "\\-"}
_CHARS = _ALPHABET.map(lambda char: _ESCAPED.get(char, char))
_WIDE = st.sampled_from(
    [r"\u0800", r"\uD7FF", "a-z", "ぁ-ん", r"\x00-\x7F", r"é-\U0010FFFF", "い-あ"]
)
_LITERALS = st.lists(_CHARS, min_size=1, max_size=4).map(lambda chars: f'"{"".join(chars)}"')
_CLASSES = st.builds(
    lambda caret, chars: f"[{caret}{''.join(chars)}]",
    st.sampled_from(["", "^"]),
    st.lists(_CHARS | _WIDE, min_size=1, max_size=3),
)
_TERMINALS = _LITERALS | _CLASSES | st.just(".")
_BOUNDED = st.sampled_from(["", "", "", "?", "{2}", "{0,2}", "{1,3}", "{0}"])
_UNBOUNDED = st.sampled_from(["*", "+", "{1,}", "{2,}"])
_NAMES = ["root", "r1", "r2", "r3"]


def _sequences(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.builds("{}{}".format, items, _BOUNDED), max_size=3).map(
        lambda sequence: " ".join(sequence) or '""'
    )


def _alternatives(sequences: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(sequences, min_size=1, max_size=3).map(" | ".join)


def _groups(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Groups; those repeated without bound cannot be empty, else they would be left-recursive."""
    solid = _alternatives(st.builds("{} {}".format, _TERMINALS, _sequences(items)))
    return _alternatives(_sequences(items)).map("({})".format) | st.builds(
        "({}){}".format, solid, _UNBOUNDED
    )


@st.composite
def grammars(draw: st.DrawFn) -> str:
    """Rules refer to later rules anywhere, and to any rule after a terminal."""
    lines = []
    for index, name in enumerate(_NAMES):
        later = [st.sampled_from(_NAMES[index + 1 :])] if _NAMES[index + 1 :] else []
        items = st.recursive(st.one_of(_TERMINALS, *later), _groups, max_leaves=4)
        body = draw(_alternatives(_sequences(items)))
        if draw(st.booleans()):
            body += f" | {draw(_LITERALS)} {draw(st.sampled_from(_NAMES))} {draw(_TERMINALS)}"
        lines.append(f"{name} ::= {body}")
    return "\n".join(lines)


def _assert_same_mask(oracle: Oracle, sampler: Any, matcher: Matcher, history: list[bytes]) -> None:
    theirs = oracle.allowed(sampler)
    ours = {
        i
        for i in oracle.ids
        if (matcher.can_end if i in oracle.end_ids else matcher.allows(oracle.pieces[i]))
    }
    mask = oracle.table.allowed(matcher)
    assert {i for i in oracle.ids if mask[i]} - oracle.end_ids == ours - oracle.end_ids, history
    only_theirs, only_ours = (
        [oracle.pieces[i] for i in ids] for ids in (theirs - ours, ours - theirs)
    )
    assert not only_theirs and not only_ours, f"after {history}"
    if matcher.must_end:
        assert theirs <= oracle.end_ids


def _walk(oracle: Oracle, sampler: Any, grammar: Grammar, data: st.DataObject) -> None:
    matcher = Matcher(grammar)
    history: list[bytes] = []
    for _ in range(10):
        _assert_same_mask(oracle, sampler, matcher, history)
        choices = sorted(oracle.allowed(sampler) - oracle.end_ids)
        if not choices:
            break
        cut = [i for i in choices if not _is_text(oracle.pieces[i])]
        token_id = data.draw(st.sampled_from(cut or choices) | st.sampled_from(choices))
        matcher.accept(oracle.pieces[token_id])
        ll.llama_sampler_accept(sampler, token_id)
        history.append(oracle.pieces[token_id])


@given(text=grammars(), data=st.data())
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.thorough
def test_every_mask_equals_llama_cpps(oracle: Oracle, text: str, data: st.DataObject) -> None:
    grammar = Grammar.parse(text)
    sampler = oracle.sampler(text)
    assert sampler, f"llama.cpp refuses {text!r}"
    try:
        _walk(oracle, sampler, grammar, data)
    except GrammarError as error:  # more stacks than may be: llama.cpp grows as many, unbounded
        assume("ambigu" not in str(error))
        raise
    finally:
        ll.llama_sampler_free(sampler)


_FRAGMENTS = st.sampled_from(
    ["root", "::=", "r1", '"a"', '"', "[a]", "[^", "]", "(", ")", "|", "*", "{2}", "{0}", "{", "}"]
    + [",", "#", "\n", "\r\n", " ", ".", "\\n", r'"\x41"', "2", "[a-", '""', "\t", "あ"]
)


@given(lines=st.lists(st.lists(_FRAGMENTS, max_size=8).map("".join), min_size=1, max_size=3))
@settings(max_examples=examples(300), deadline=None)
def test_every_grammar_read_here_is_read_by_llama_cpp(oracle: Oracle, lines: list[str]) -> None:
    text = "\n".join(f"{name} ::= {line}" for name, line in zip(_NAMES, lines, strict=False))
    try:
        Grammar.parse(text)
    except GrammarError:
        return
    sampler = oracle.sampler(text)
    assert sampler, f"llama.cpp refuses {text!r}"
    ll.llama_sampler_free(sampler)
