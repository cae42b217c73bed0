"""A model's vocabulary as llama.cpp knows it: pieces, ends, and ids for forced text.

Shared by the worker (full model) and nothing else; the front process has tokenizer.py.
"""

import ctypes
import logging
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import llama_cpp.llama_cpp as ll
import numpy as np

from webui.engine.grammar.mask import PieceTable

if TYPE_CHECKING:
    from webui.engine.worker.guide import Guides

log = logging.getLogger(__name__)

PIECE_BYTES = 512


class Vocab:
    """`pointer` is a llama_vocab that outlives this object."""

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer
        self.n_tokens = int(ll.llama_vocab_n_tokens(pointer))
        self.end_ids = frozenset(
            i for i in range(self.n_tokens) if ll.llama_vocab_is_eog(pointer, i)
        )
        attributes = [int(ll.llama_vocab_get_attr(pointer, i)) for i in range(self.n_tokens)]
        # Tokens that write nothing: control tokens that do not end the answer, and "unknown".
        silent = ll.LLAMA_TOKEN_ATTR_CONTROL | ll.LLAMA_TOKEN_ATTR_UNKNOWN
        self.is_silent = np.array(attributes, np.int32) & silent != 0
        self.is_silent[sorted(self.end_ids)] = False
        self.piece = lru_cache(maxsize=1 << 15)(self._piece)

    @cached_property
    def pieces(self) -> PieceTable:
        """What each token spells, for grammars. Tokens that end the answer spell nothing."""
        return PieceTable(self._spelled)

    @cached_property
    def guides(self) -> "Guides | None":
        """Quick masks for grammars; None for a vocabulary that llguidance does not take."""
        try:
            from webui.engine.worker.guide import Guides  # late: 6 MB that most models never need

            return Guides(self._spelled, min(self.end_ids), self._tokenize)
        except Exception as error:  # a vocabulary comes out of a stranger's file
            log.warning("grammars are followed slowly: %s", error)
            return None

    @cached_property
    def _spelled(self) -> list[bytes]:
        return [b"" if i in self.end_ids else self._piece(i) for i in range(self.n_tokens)]

    def is_end(self, token_id: int) -> bool:
        return token_id in self.end_ids

    def encode_continuation(self, text: str) -> tuple[int, ...]:
        """Ids of `text` as it stands in the middle of an output: no BOS, no leading space.

        SentencePiece would put a space before the text; a newline before both takes it. () when
        the ids would not spell exactly `text`.
        """
        lead = self._tokenize(b"\n")
        ids = self._tokenize(b"\n" + text.encode())
        rest = tuple(ids[len(lead) :])
        spelled = b"".join(self.piece(i) for i in rest)
        return rest if ids[: len(lead)] == lead and spelled == text.encode() else ()

    def _piece(self, token_id: int) -> bytes:
        """The token's bytes; b"" for control tokens."""
        buffer = ctypes.create_string_buffer(PIECE_BYTES)
        count = ll.llama_token_to_piece(self.pointer, token_id, buffer, PIECE_BYTES, 0, False)
        return buffer.raw[: max(0, count)]

    def _tokenize(self, data: bytes) -> list[int]:
        ids = (ll.llama_token * (len(data) + 8))()
        count = ll.llama_tokenize(self.pointer, data, len(data), ids, len(ids), False, False)
        return list(ids[: max(0, count)])
