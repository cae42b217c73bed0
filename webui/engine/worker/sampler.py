"""llama.cpp's sampler chain for one sequence, and its grammar. Decides ids; knows no text.

The grammar is checked lazily (llama.cpp `common/sampling.cpp` does the same): sample first, look
at the chosen token only, and find all allowed tokens (mask.py) when it is refused.
Where the grammar leaves one continuation only, its tokens come along as `forced` (jump-forward,
SGLang 2024): they are computed in one batch instead of being sampled one by one.
"""

import ctypes
import random
from typing import Any

import llama_cpp.llama_cpp as ll
import numpy as np

from webui.engine.grammar.matcher import Grammar, Matcher
from webui.engine.request import SamplingParams, TokenLogprob
from webui.engine.worker.vocab import Vocab

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Sampler:
    """Owns a native sampler chain: call close(). Raises ValueError on a bad grammar."""

    def __init__(self, vocab: Vocab, params: SamplingParams) -> None:
        self._vocab = vocab
        self._grammar = GrammarState(vocab, params.grammar) if params.grammar else None
        self._ends = frozenset(params.stop_token_ids)
        self._ignore_eos = params.ignore_eos
        self._must_close = params.must_close
        self._num_top = params.logprobs
        self.logprobs: tuple[TokenLogprob, ...] = ()  # of the ids that sample() gave last
        self._chain = _chain(vocab, params)  # its penalties count what is written, not the prompt

    def sample(self, context: Any, batch_index: int, num_left: int) -> tuple[tuple[int, ...], bool]:
        """(new ids, is_end) from the logits at `batch_index`: the sampled id, the forced ones.

        `num_left`: how many tokens this sequence may still get.
        """
        self.logprobs = ()
        if self._grammar is None:
            token_id = int(ll.llama_sampler_sample(self._chain, context, batch_index))
        else:
            token_id = self._sample_with_grammar(self._grammar, context, batch_index)
        if self._is_end(token_id):
            return (), True
        if self._must_close and self._grammar and self._grammar.is_last_chance(token_id, num_left):
            return self._grammar.closing_ids(), True
        if self._num_top >= 0:
            logits = _logits(context, batch_index, self._vocab.n_tokens)
            self.logprobs = (_logprob(logits, token_id, self._num_top),)
        return self._with_forced(self._grammar, token_id) if self._grammar else ((token_id,), False)

    def _with_forced(self, grammar: "GrammarState", token_id: int) -> tuple[tuple[int, ...], bool]:
        """`token_id` and what must follow it, unless the likelihood of every token is asked for."""
        grammar.accept(token_id)
        forced = grammar.forced_ids() if self._num_top < 0 else ()
        for forced_id in (token_id, *forced):
            ll.llama_sampler_accept(self._chain, forced_id)
        for forced_id in forced:
            grammar.accept(forced_id)
        return (token_id, *forced), grammar.must_end

    def close(self) -> None:
        ll.llama_sampler_free(self._chain)

    def _is_end(self, token_id: int) -> bool:
        if token_id in self._ends:
            return True
        return not self._ignore_eos and self._vocab.is_end(token_id)

    def _sample_with_grammar(self, grammar: "GrammarState", context: Any, index: int) -> int:
        logits = _logits(context, index, self._vocab.n_tokens)
        token_id = self._choose(np.arange(len(logits)), logits)
        if grammar.allows(token_id):
            return token_id
        quick_ids = grammar.quick_ids()
        if len(quick_ids):
            token_id = self._choose(quick_ids, logits)
            if grammar.allows(token_id):
                return token_id
        allowed_ids = grammar.allowed_ids()
        if not len(allowed_ids):
            raise ValueError("the grammar allows no token of this model here")
        return self._choose(allowed_ids, logits)

    def _choose(self, ids: np.ndarray, logits: np.ndarray) -> int:
        """One of `ids`, as the chain selects it."""
        candidates = np.zeros(len(ids), dtype=CANDIDATE)
        candidates["id"] = ids
        candidates["logit"] = logits[ids]
        data = candidates.ctypes.data_as(ctypes.POINTER(ll.llama_token_data))
        array = ll.llama_token_data_array(data, len(ids), -1, False)
        ll.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[array.selected].id)


class GrammarState:
    """Where one sequence stands in its grammar, in tokens. Raises ValueError on a bad grammar."""

    def __init__(self, vocab: Vocab, text: str) -> None:
        self._vocab = vocab
        self._matcher = Matcher(Grammar.parse(text))
        self._guide = vocab.guides.start(text) if vocab.guides else None
        self._unguided: list[int] = []  # accepted ids that the guide has not seen

    @property
    def must_end(self) -> bool:
        return self._matcher.must_end

    def allows(self, token_id: int) -> bool:
        if self._vocab.is_end(token_id):
            return self._matcher.can_end
        return self._matcher.allows(self._vocab.piece(token_id))

    def allowed_ids(self) -> np.ndarray:
        """All ids that may follow."""
        return self._with_ends(self._vocab.pieces.allowed(self._matcher))

    def quick_ids(self) -> np.ndarray:
        """Ids that may follow as the guide knows them: maybe not all, none where it is lost."""
        if self._guide is None:
            return np.zeros(0, np.int64)
        mask = self._guide.mask(self._unguided)
        self._unguided.clear()
        return self._with_ends(mask) if mask is not None else np.zeros(0, np.int64)

    def _with_ends(self, mask: np.ndarray) -> np.ndarray:
        mask = mask.copy()
        mask[sorted(self._vocab.end_ids)] = self._matcher.can_end
        return mask.nonzero()[0]

    def is_last_chance(self, token_id: int, num_left: int) -> bool:
        """Whether the text can be ended now within `num_left` tokens, but not after `token_id`.

        A token spells a byte at least, so bytes are the most tokens that an end can take.
        """
        if self._matcher.num_bytes_to_end > num_left:
            return False
        after = self._matcher.copy()
        after.accept(self._vocab.piece(token_id))
        return after.num_bytes_to_end > num_left - 1

    def closing_ids(self) -> tuple[int, ...]:
        return self._vocab.encode_continuation(self._matcher.shortest_end())

    def accept(self, token_id: int) -> None:
        self._matcher.accept(self._vocab.piece(token_id))
        self._unguided.append(token_id)

    def forced_ids(self) -> tuple[int, ...]:
        """Ids of the text that must follow. Its last token stays open unless the grammar ends
        there, because it may merge with what comes after."""
        text = self._matcher.forced()
        ids = self._vocab.encode_continuation(text) if len(text) > 1 else ()
        after = self._matcher.copy()
        after.accept(text.encode()) if ids else None
        return ids if after.must_end else ids[:-1]


def _chain(vocab: Vocab, params: SamplingParams) -> Any:
    """llama.cpp's default order: bias, penalties, top_k, top_p, min_p, temperature, draw."""
    chain = ll.llama_sampler_chain_init(ll.llama_sampler_chain_default_params())

    def add(sampler: Any) -> None:
        ll.llama_sampler_chain_add(chain, sampler)

    biases = list(params.logit_bias)
    if params.ignore_eos:
        biases += [(token_id, -np.inf) for token_id in vocab.end_ids]
    if biases := [(i, b) for i, b in biases if i < vocab.n_tokens]:
        array = (ll.llama_logit_bias * len(biases))(*(ll.llama_logit_bias(i, b) for i, b in biases))
        add(ll.llama_sampler_init_logit_bias(vocab.n_tokens, len(biases), array))
    penalties = (params.repeat_penalty, params.frequency_penalty, params.presence_penalty)
    if params.penalty_last_n and penalties != (1.0, 0.0, 0.0):
        add(ll.llama_sampler_init_penalties(vocab.n_tokens, params.penalty_last_n, *penalties))
    if params.temperature == 0:
        add(ll.llama_sampler_init_greedy())
        return chain
    if params.top_k:
        add(ll.llama_sampler_init_top_k(params.top_k))
    if params.top_p < 1:
        add(ll.llama_sampler_init_top_p(params.top_p, 1))
    if params.min_p > 0:
        add(ll.llama_sampler_init_min_p(params.min_p, 1))
    add(ll.llama_sampler_init_temp(params.temperature))
    seed = random.getrandbits(32) if params.seed is None else params.seed
    add(ll.llama_sampler_init_dist(seed))
    return chain


def _logits(context: Any, index: int, n_tokens: int) -> np.ndarray:
    pointer = ll.llama_get_logits_ith(context, index)
    return np.ctypeslib.as_array(pointer, shape=(n_tokens,))


def logprob_of(
    context: Any, index: int, n_tokens: int, token_id: int, num_top: int
) -> TokenLogprob:
    """How likely the model found `token_id` after the token at `index` of the last batch."""
    return _logprob(_logits(context, index, n_tokens), token_id, num_top)


def _logprob(logits: np.ndarray, token_id: int, num_top: int) -> TokenLogprob:
    """Of `token_id` and of the `num_top` likeliest, from the softmax over all logits."""
    shifted = logits.astype(np.float64) - logits.max()
    all_logprobs = shifted - np.log(np.exp(shifted).sum())
    likeliest = np.argsort(-all_logprobs)[:num_top].tolist() if num_top else []
    top = tuple((i, float(all_logprobs[i])) for i in likeliest)
    return TokenLogprob(token_id, float(all_logprobs[token_id]), top)
