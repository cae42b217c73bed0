"""The quick masks: never more than the grammar allows, hardly less, none where it is refused."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.engine.worker.cores import make_core
from webui.engine.grammar.json_schema import JSON_OBJECT, grammar_of
from webui.engine.worker.guide import MAX_REMEMBERED
from webui.engine.worker.sampler import GrammarState
from webui.engine.worker.vocab import Vocab

GRAMMARS = {
    "json": JSON_OBJECT,
    "schema": grammar_of({
        "type": "object", "required": ["name", "when", "n"],
        "properties": {"name": {"type": "string", "pattern": "^[あ-んa-z]{2,9}$"},
                       "when": {"type": "string", "format": "date"},
                       "n": {"type": "array", "items": {"type": "integer"}, "maxItems": 3}},
    }),
    "names": 'root ::= ("get_weather" | "get" | "取得") "\\", \\"arguments\\":"\n',
    "bullets": 'root ::= ("- " [^\\n\\u0000]{4,40} "\\n"){2,3}\n',
}  # fmt: skip


@pytest.fixture(scope="module")
def vocab(standin: Path) -> Iterator[Vocab]:
    core = make_core(standin)
    yield core.runner.vocab
    core.runner.close()


@pytest.mark.parametrize("name", GRAMMARS)
@pytest.mark.parametrize("seed", range(3))
def test_the_quick_mask_holds_what_the_grammar_allows(vocab: Vocab, name: str, seed: int) -> None:
    random = Random(seed)
    state = GrammarState(vocab, GRAMMARS[name])
    for _ in range(30):
        exact = set(state.allowed_ids().tolist())
        quick = set(state.quick_ids().tolist())
        assert quick <= exact
        assert quick, "the guide is lost"
        # Where the text is forced, only its usual tokens are told; never bytes of no character.
        missing = {vocab.piece(token_id) for token_id in exact - quick}
        firsts = {vocab.piece(token_id)[:1] for token_id in exact - vocab.end_ids}
        assert len(firsts) == 1 or all(max(piece) >= 0xF5 for piece in missing)
        rest = sorted(exact - vocab.end_ids)
        if not rest:
            return
        state.accept(random.choice(rest))


def test_a_grammar_that_is_not_taken_is_followed_without(vocab: Vocab) -> None:
    state = GrammarState(vocab, 'root ::= "a"{0,0} "b"\n')
    assert not len(state.quick_ids())
    assert {vocab.piece(i) for i in state.allowed_ids().tolist()} == {b"b"}


def test_a_grammar_in_use_is_compiled_once_however_many_others_come(vocab: Vocab) -> None:
    assert vocab.guides
    known = vocab.guides.compile(GRAMMARS["names"])
    for number in range(2 * MAX_REMEMBERED):
        vocab.guides.compile(f'root ::= "{number}" [a-z]+\n')
        assert vocab.guides.compile(GRAMMARS["names"]) is known
