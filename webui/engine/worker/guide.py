"""Guides: which tokens a grammar allows next, found by llguidance. Knows no llama.cpp.

They only make quick what mask.py does slowly: the grammar itself (matcher.py) has the last word on
every token, and finds them all where llguidance does not take the grammar (docs/decisions/0112).
"""

import contextlib
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance import TokenizerWrapper as Wrapper
from llguidance.gbnf_to_lark import any_to_lark

log = logging.getLogger(__name__)

MAX_REMEMBERED = 32  # grammars
# Of a grammar that is tried. llguidance calls itself for rules below rules, so that four thousand
# end the process; the time that it takes grows with the square of their number.
MAX_NESTED = 1000  # rules and groups
MAX_CHARS = 50_000
_ESCAPE = re.compile(r"\\\\|\\U([0-9a-fA-F]{8})|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")


class Guide:
    """One sequence's place in a grammar. `mask` is None once it cannot go on."""

    def __init__(self, matcher: LLMatcher, n_tokens: int) -> None:
        self._matcher: LLMatcher | None = matcher
        self._n_tokens = n_tokens
        self._bits = np.zeros((n_tokens + 31) // 32, np.int32)

    def mask(self, new_ids: Sequence[int]) -> np.ndarray | None:
        """bool[n_tokens], after `new_ids` that were accepted since the last time."""
        matcher = self._matcher
        if matcher is None:
            return None
        if matcher.consume_tokens(list(new_ids)):
            matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        if matcher.is_error():
            log.info("the quick mask is left: %s", matcher.get_error()[:200])
            self._matcher = None
            return None
        bits = np.unpackbits(self._bits.view(np.uint8), bitorder="little")
        return np.asarray(bits[: self._n_tokens] != 0)


class Guides:
    """Of one vocabulary. `pieces`: by token id, empty for what a grammar never allows."""

    def __init__(
        self, pieces: Sequence[bytes], end_id: int, tokenize: Callable[[bytes], list[int]]
    ) -> None:
        self._n_tokens = len(pieces)
        wrapper = Wrapper(_Words(pieces, end_id, tokenize))
        self._tokenizer = LLTokenizer(wrapper, n_vocab=len(pieces), eos_token=end_id, slices=[])
        self._compiled: OrderedDict[str, LLMatcher | None] = OrderedDict()

    def compile(self, grammar: str) -> LLMatcher | None:
        """None where llguidance does not take it. Takes up to half a second; then it is known.

        From any thread: at worst two compile the same.
        """
        with contextlib.suppress(KeyError):  # the other thread may drop it in between
            self._compiled.move_to_end(grammar)
            return self._compiled[grammar]
        compiled = self._compiled[grammar] = self._compile(grammar)
        if len(self._compiled) > MAX_REMEMBERED:
            self._compiled.popitem(last=False)
        return compiled

    def start(self, grammar: str) -> Guide | None:
        matcher = self.compile(grammar)
        return Guide(matcher.deep_copy(), self._n_tokens) if matcher else None

    def _compile(self, grammar: str) -> LLMatcher | None:
        num_nested = grammar.count("::=") + grammar.count("(")
        if num_nested > MAX_NESTED or len(grammar) > MAX_CHARS:
            log.info("no quick mask for a grammar of %d rules and groups", num_nested)
            return None
        try:
            lark = any_to_lark(_ESCAPE.sub(_plain, grammar))
            matcher = LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(lark))
        except Exception as error:  # whatever it may say of a stranger's grammar
            log.info("no quick mask for this grammar: %s", str(error)[:200])
            return None
        if matcher.is_error():
            log.info("no quick mask for this grammar: %s", matcher.get_error()[:200])
            return None
        return matcher


class _Words:
    """The vocabulary as llguidance asks for it."""

    bos_token_id = None

    def __init__(
        self, pieces: Sequence[bytes], end_id: int, tokenize: Callable[[bytes], list[int]]
    ) -> None:
        self.eos_token_id = end_id
        self.special_token_ids = [end_id]
        # 0xFF is in no text: tokens that write nothing are out of every grammar's reach.
        self.tokens = [piece or b"\xff<%d>" % number for number, piece in enumerate(pieces)]
        self._tokenize = tokenize

    def __call__(self, text: str | bytes) -> list[int]:
        return self._tokenize(text.encode() if isinstance(text, str) else text)


def _plain(escape: re.Match[str]) -> str:
    """GBNF's escapes of characters beyond ASCII as the characters, which Lark's regexes take."""
    code = escape[1] or escape[2] or escape[3]
    if not code:
        return escape[0]
    value = int(code, 16)
    is_text = 0x7F < value <= 0x10FFFF and not 0xD800 <= value < 0xE000
    return chr(value) if is_text else f"\\x{value:02X}"
