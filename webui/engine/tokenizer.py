"""Tokenizer: a model's vocabulary in the front process, from prompt to ids and from ids to text.

Owns llama.cpp's vocab-only model and how special tokens are recognised: only in text that a
template wrote. Knows nothing about templates, requests or the worker.
"""

import contextlib
import ctypes
import logging
import re
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import llama_cpp.llama_cpp as ll

from webui.engine.specials import (
    UNLIMITED,
    Ranges,
    Raw,
    SpecialToken,
    cuts_in_long_runs,
    is_structure,
    partition,
)
from webui.errors import AppError
from webui.prompts.markers import CHANNEL_MARKS, REASONING_MARKS
from webui.prompts.rendered import BosRule, RenderedPrompt, Span
from webui.prompts.tools import TOOL_MARKS

log = logging.getLogger(__name__)

# SentencePiece puts a space before every text. This character is in no vocabulary, so nothing
# merges with it: put in front of a text it takes the space, and its own ids can be cut off.
LEAD = "\ue000"
PIECE_CHARS = 8_000  # of a long text, where only the number of its tokens matters
# Control tokens that must reach the text all the same, for who reads reasoning and calls there.
SHOWN_TOKENS = frozenset(
    mark.removesuffix("thought\n") for pair in REASONING_MARKS for mark in pair
).union(CHANNEL_MARKS, TOOL_MARKS)


class TokenizerError(AppError):
    """The file's vocabulary cannot be used."""


class Tokenizer:
    """The vocabulary of the GGUF at `path`. Thread-safe. Raises TokenizerError."""

    def __init__(self, path: Path) -> None:
        _log.listen()
        model = _load(path)
        self.close = weakref.finalize(self, ll.llama_model_free, model)
        self._vocab = ll.llama_model_get_vocab(model)
        self.n_vocab = int(ll.llama_vocab_n_tokens(self._vocab))
        self.bos_id = int(ll.llama_vocab_bos(self._vocab))
        self.eos_id = int(ll.llama_vocab_eos(self._vocab))
        self.add_bos = bool(ll.llama_vocab_get_add_bos(self._vocab))
        kind = int(ll.llama_vocab_type(self._vocab))
        self._is_spm = kind == ll.LLAMA_VOCAB_TYPE_SPM
        self._has_limited_runs = (
            kind == ll.LLAMA_VOCAB_TYPE_BPE
            and _metadata(model, "tokenizer.ggml.pre") not in UNLIMITED
        )
        self._attributes = [
            int(ll.llama_vocab_get_attr(self._vocab, token_id)) for token_id in range(self.n_vocab)
        ]
        if self._is_spm and self._attributes.count(ll.LLAMA_TOKEN_ATTR_BYTE) < 256:
            # llama.cpp ends the whole process at the first character it has no token for.
            raise TokenizerError("prompts.vocabulary_without_bytes", name=path.name)
        self._pieces: dict[int, bytes] = {}
        self._declared: dict[frozenset[str], tuple[SpecialToken, ...]] = {}

    # --- prompts to ids --------------------------------------------------------------------------

    def encode(self, prompt: RenderedPrompt) -> list[int]:
        """The ids of a prompt, with exactly one BOS or none.

        Without imitations of special tokens in its messages: exactly what llama.cpp gives for the
        whole text with add_special and parse_special (and no EOS at its end).
        """
        text, spans = self._without_bos(prompt)
        ids = [self.bos_id] if self._wants_bos(prompt) else []
        born = Ranges(spans)
        for part in partition(text, self._specials_of(prompt), born):
            ids += [part] if isinstance(part, int) else self._encode_plain(text, part, born)
        return ids

    def encode_text(self, text: str) -> list[int]:
        """Plain text: no BOS, and nothing in it is a special token."""
        whole = Ranges((Span(0, len(text)),) if text else ())
        return self._encode_plain(text, Raw(0, len(text)), whole)

    def encode_continuation(self, text: str, spans: tuple[Span, ...] = ()) -> list[int]:
        """Text that we write in the middle of an answer: no BOS, no space in front.

        Special tokens are recognised in it, but not where `spans` say that a message spoke.
        """
        born = Ranges(spans)
        ids: list[int] = []
        for part in partition(text, self.specials, born):
            if isinstance(part, int):
                ids.append(part)
            else:
                ids += self._encode_plain(text, part, born, is_inside=True)
        return ids

    def _without_bos(self, prompt: RenderedPrompt) -> tuple[str, tuple[Span, ...]]:
        """The prompt without the BOS that its template printed in front, once or more often."""
        cut = self._num_bos_printed(prompt) * len(self.bos_text)
        spans = tuple(Span(span.start - cut, span.end - cut) for span in prompt.message_spans)
        return prompt.text[cut:], spans

    def _wants_bos(self, prompt: RenderedPrompt) -> bool:
        if prompt.bos is BosRule.NEVER or self.bos_id < 0:
            return False
        return self.add_bos or self._num_bos_printed(prompt) > 0

    def _num_bos_printed(self, prompt: RenderedPrompt) -> int:
        if not self.bos_text:
            return 0
        end = prompt.message_spans[0].start if prompt.message_spans else len(prompt.text)
        match = re.match(f"(?:{re.escape(self.bos_text)})*", prompt.text[:end])
        return len(match[0]) // len(self.bos_text) if match else 0

    def _encode_plain(
        self, text: str, raw: Raw, born: "Ranges", *, is_inside: bool = False
    ) -> list[int]:
        """Ids of a stretch without template-born specials; imitations in it stay plain text.

        llama.cpp turns some imitations into the token even when told not to: user-defined ones
        always, and a SentencePiece vocabulary merges letters up to any token that they spell.
        Where that happened, the text is tokenised in two halves of the imitation.
        `is_inside`: the stretch goes on inside a text, so no space is put in front.
        """
        ids = self._tokenize(text[raw.start : raw.end], is_inside)
        cuts = self._cuts_in_imitations(text, raw, born, ids)
        if not cuts:
            return ids
        ids = []
        for start, end in zip([raw.start, *cuts], [*cuts, raw.end], strict=True):
            goes_on = is_inside or start > raw.start
            ids += self._encode_plain(text, Raw(start, end), born, is_inside=goes_on)
        return ids

    def _cuts_in_imitations(
        self, text: str, raw: Raw, born: "Ranges", ids: Sequence[int]
    ) -> list[int]:
        """Places inside every text of a guarded token that a message has part in."""
        cuts = set()
        for token_id in self._guarded.keys() & set(ids):
            pattern = self._guarded[token_id]
            position = raw.start
            while match := pattern.search(text, position, raw.end):
                position = match.start() + 1
                if born.touch(match.start(), match.end()):
                    cuts.add((match.start() + match.end()) // 2)
        return sorted(cuts)

    def _tokenize(self, text: str, is_inside: bool) -> list[int]:
        if is_inside and self._is_spm:
            return self._llama_tokenize(LEAD + text)[len(self._lead_ids) :]
        cuts = cuts_in_long_runs(text) if self._has_limited_runs else []
        parts = zip([0, *cuts], [*cuts, len(text)], strict=True)
        return [i for start, end in parts for i in self._llama_tokenize(text[start:end])]

    def _llama_tokenize(self, text: str) -> list[int]:
        data = text.encode("utf-8", "replace")
        ids = (ll.llama_token * (len(data) + 8))()
        count = ll.llama_tokenize(self._vocab, data, len(data), ids, len(ids), False, False)
        if count < 0:
            raise TokenizerError("prompts.not_tokenized", num_chars=len(text))
        return list(ids[:count])

    @cached_property
    def _lead_ids(self) -> list[int]:
        return self._llama_tokenize(LEAD)

    # --- the vocabulary --------------------------------------------------------------------------

    @cached_property
    def specials(self) -> tuple[SpecialToken, ...]:
        """Every token that is looked for in template text, in llama.cpp's order: longest first."""
        wanted = (
            ll.LLAMA_TOKEN_ATTR_CONTROL
            | ll.LLAMA_TOKEN_ATTR_USER_DEFINED
            | ll.LLAMA_TOKEN_ATTR_UNKNOWN
        )
        found = [self._special(i) for i, a in enumerate(self._attributes) if a & wanted]
        return _longest_first(filter(None, found))

    def _special(self, token_id: int) -> SpecialToken | None:
        with contextlib.suppress(UnicodeDecodeError):  # half a character: no text can spell it
            text = (ll.llama_vocab_get_text(self._vocab, token_id) or b"").decode()
            attributes = self._attributes[token_id]
            is_control = attributes & (ll.LLAMA_TOKEN_ATTR_CONTROL | ll.LLAMA_TOKEN_ATTR_UNKNOWN)
            if text:
                return SpecialToken(
                    token_id,
                    text,
                    bool(is_control) or is_structure(text),
                    bool(attributes & ll.LLAMA_TOKEN_ATTR_LSTRIP),
                    bool(attributes & ll.LLAMA_TOKEN_ATTR_RSTRIP),
                )
        return None

    @cached_property
    def _guarded(self) -> dict[int, re.Pattern[str]]:
        """What spells each guarded token."""
        guarded = (token for token in self.specials if token.is_guarded and len(token.text) > 1)
        return {token.id: _spelling(token) for token in guarded}

    @cached_property
    def _special_ids(self) -> dict[str, int]:
        return {token.text: token.id for token in self.specials}

    @cached_property
    def bos_text(self) -> str:
        """How a template writes the BOS; "" when there is none."""
        return self._text_of_id(self.bos_id)

    @cached_property
    def eos_text(self) -> str:
        return self._text_of_id(self.eos_id)

    def _text_of_id(self, token_id: int) -> str:
        if token_id < 0:
            return ""
        return (ll.llama_vocab_get_text(self._vocab, token_id) or b"").decode("utf-8", "replace")

    def _specials_of(self, prompt: RenderedPrompt) -> Sequence[SpecialToken]:
        """All special tokens, and those that the prompt's template declares to be some.

        Baichuan's <reserved_106> stands among the plain words of its vocabulary: llama.cpp would
        spell it out.
        """
        plain = frozenset(prompt.tokens).difference(self._special_ids)
        return self._with_declared(plain) if plain else self.specials

    def _with_declared(self, texts: frozenset[str]) -> Sequence[SpecialToken]:
        if texts not in self._declared:
            found = [
                SpecialToken(i, text, is_guarded=True, strips_left=False, strips_right=False)
                for i in range(self.n_vocab)
                if (text := self._text_of_id(i)) in texts
            ]
            self._declared[texts] = _longest_first([*self.specials, *found])
            self._guarded = self._guarded | {token.id: _spelling(token) for token in found}
        return self._declared[texts]

    def special_id(self, text: str) -> int | None:
        """The id of the special token that is written `text`."""
        return self._special_ids.get(text)

    def stop_token_ids(self, stops: Iterable[str]) -> tuple[int, ...]:
        """Those of `stops` that are one token here. They leave no text for a StopChecker to see."""
        ids = (self.special_id(stop) for stop in stops)
        return tuple(token_id for token_id in ids if token_id is not None)

    def is_special(self, token_id: int) -> bool:
        """Control, unknown, or structure: what an inspector colours."""
        return token_id in self._guarded

    def is_end(self, token_id: int) -> bool:
        """Whether the model means "that is all" by it."""
        return bool(ll.llama_vocab_is_eog(self._vocab, token_id))

    @cached_property
    def end_texts(self) -> tuple[str, ...]:
        """How the tokens are written that end an answer."""
        ends = filter(self.is_end, range(self.n_vocab))
        return tuple(self._text_of_id(token_id) for token_id in ends)

    # --- ids to text -----------------------------------------------------------------------------

    def piece(self, token_id: int) -> bytes:
        """The bytes that this token adds to an answer: none for control tokens.

        Those that mark reasoning or calls are written out, for who parses them.
        """
        piece = self._pieces.get(token_id)
        if piece is None:
            piece = self._pieces[token_id] = self._piece(token_id)
        return piece

    def text_of(self, ids: Iterable[int]) -> str:
        """All of `ids` written out, special tokens too; U+FFFD for bytes that are no character."""
        return b"".join(map(self.bytes_of, ids)).decode("utf-8", "replace")

    def bytes_of(self, token_id: int) -> bytes:
        """The token as it stands in a prompt, control tokens written out; b"" for no token."""
        if not 0 <= token_id < self.n_vocab:
            return b""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = ll.llama_token_to_piece(self._vocab, token_id, buffer, size, 0, True)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _piece(self, token_id: int) -> bytes:
        piece = self.bytes_of(token_id)
        control = ll.LLAMA_TOKEN_ATTR_CONTROL | ll.LLAMA_TOKEN_ATTR_UNKNOWN
        is_silent = bool(piece) and self._attributes[token_id] & control
        is_mark = piece.decode("utf-8", "replace") in SHOWN_TOKENS
        return b"" if is_silent and not is_mark else piece


def num_tokens(encode: Callable[[str], Sequence[int]], text: str, enough: int) -> int:
    """How many tokens `text` has: exact for a short one; an estimate once it is above `enough`.

    llama.cpp needs a time that grows with the square of some texts (200 s for a megabyte of
    combining marks), so long ones are counted in pieces, and no more of them than tells enough.
    """
    total = 0
    for start in range(0, len(text), PIECE_CHARS):
        total += len(encode(text[start : start + PIECE_CHARS]))
        done = start + PIECE_CHARS
        if total > enough and done < len(text):
            return total * len(text) // done
    return total


def _spelling(token: SpecialToken) -> re.Pattern[str]:
    """SentencePiece writes a space as ▁: both spell it."""
    return re.compile(re.escape(token.text).replace("▁", "[▁ ]"))


def _longest_first(specials: Iterable[SpecialToken]) -> tuple[SpecialToken, ...]:
    return tuple(sorted(specials, key=lambda token: -len(token.text.encode())))


def _load(path: Path) -> ll.llama_model_p:
    """A model without weights."""
    ll.llama_backend_init()
    params = ll.llama_model_default_params()
    params.vocab_only = True
    params.n_gpu_layers = 0
    params.devices = ctypes.addressof(_NO_DEVICES)  # opening a GPU would cost memory here
    model = ll.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise TokenizerError("prompts.no_vocabulary", name=path.name, reason=_log.last_error)
    return model


def _metadata(model: ll.llama_model_p, key: str) -> str:
    buffer = ctypes.create_string_buffer(256)
    count = ll.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace") if count >= 0 else ""


_NO_DEVICES = (ctypes.c_void_p * 1)(None)


class _Log:
    """llama.cpp's log goes to ours; llama.cpp crashes when the callback is garbage-collected."""

    def __init__(self) -> None:
        self.last_error = ""
        self._callback = ll.llama_log_callback(self._write)

    def listen(self) -> None:
        ll.llama_log_set(self._callback, None)

    def _write(self, level: int, text: bytes, _: object) -> None:
        line = text.decode(errors="replace").rstrip()
        if level == 4 and line:  # GGML_LOG_LEVEL_ERROR
            self.last_error = line
        log.debug("%s", line)


_log = _Log()
