"""The built-in stand-in: made anywhere, legible, ends by itself, and feels its whole context."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import numpy.typing as npt
import pytest

from models.builtin import standin as script
from tests.engine.worker.cores import Done, make_core, run_all
from webui.engine.request import FinishReason, Request, SamplingParams
from webui.engine.worker.worker import EngineCore


class Vocabulary:
    """llama.cpp's own tokenizer of a file, without its weights."""

    def __init__(self, path: Path) -> None:
        self._llama = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        return list(self._llama.tokenize(text.encode(), add_bos=special, special=special))

    def decode(self, ids: list[int] | tuple[int, ...]) -> bytes:
        return bytes(self._llama.detokenize(list(ids)))

    def close(self) -> None:
        self._llama.close()


@pytest.fixture(scope="module")
def vocabulary(standin: Path) -> Iterator[Vocabulary]:
    made = Vocabulary(standin)
    yield made
    made.close()


@pytest.fixture(scope="module")
def core(standin: Path) -> Iterator[EngineCore]:
    made = make_core(standin)
    yield made
    made.runner.close()


def prompt_ids(vocabulary: Vocabulary, question: str) -> tuple[int, ...]:
    text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    return tuple(vocabulary.encode(text, special=True))


Answer = tuple[str, Done]


def answers(
    core: EngineCore, vocabulary: Vocabulary, asked: list[tuple[str, SamplingParams]]
) -> list[Answer]:
    """All at once, in one batch."""
    requests = [
        Request(i, prompt_ids(vocabulary, question), params)
        for i, (question, params) in enumerate(asked)
    ]
    done = run_all(core, requests)
    texts = (vocabulary.decode(done[i].ids).decode(errors="replace") for i in range(len(asked)))
    return [(text, done[i]) for i, text in enumerate(texts)]


def test_it_is_made_by_a_command_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "tiny.gguf"
    subprocess.run([sys.executable, script.__file__, path], check=True, capture_output=True)
    assert list(path.parent.iterdir()) == [path]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two, other = (
        script.make(tmp_path / f"{i}.gguf", seed=seed).read_bytes()
        for i, seed in enumerate((7, 7, 8))
    )
    assert one == two
    assert one != other


@pytest.mark.parametrize(
    "text",
    [
        "日本語の文章と English words、１２３ＡＢＣ。",
        "  two  spaces, tabs\t\tand\nnew\r\nlines ",
        "🙂 한국어 ﾊﾝｶｸ 髙﨑 €",
        "<|im_end|> <s> <0x41> ▁",
        "\x00\x1b[31m\u202e",
    ],
)
def test_text_survives_the_tokenizer(vocabulary: Vocabulary, text: str) -> None:
    expected = text.replace("▁", " ")  # SentencePiece's own sign for a space
    assert vocabulary.decode(vocabulary.encode(text)) == expected.encode()


def test_every_piece_can_be_reached(vocabulary: Vocabulary) -> None:
    pieces = script.add_vocabulary(gguf.GGUFWriter(None, "llama"))
    missed = [
        piece
        for token_id, piece in enumerate(pieces)
        if token_id > 260 and vocabulary.encode(piece.replace("▁", " ")) != [token_id]
    ]
    assert missed == []


def test_answers_are_legible_vary_and_end_by_themselves(
    core: EngineCore, vocabulary: Vocabulary
) -> None:
    asked = [
        (question, SamplingParams(max_tokens=400, temperature=0.7, seed=i))
        for i, question in enumerate(["こんにちは", "要約して", "hello", "日本の首都は？"] * 5)
    ]
    made = answers(core, vocabulary, asked)
    assert all(done.reason is FinishReason.STOP for _, done in made)
    assert all(25 <= len(done.ids) <= 200 for _, done in made)
    assert len({text for text, _ in made}) >= 10
    legible = [text for text, _ in made if "モデル" in text and "\ufffd" not in text]
    assert len(legible) >= 18


def test_an_answer_in_the_history_has_the_ids_that_were_sampled(
    core: EngineCore, vocabulary: Vocabulary
) -> None:
    """Otherwise the next turn of a chat could not reuse its cached prefix."""
    ((text, done),) = answers(core, vocabulary, [("こんにちは", SamplingParams(temperature=0))])
    sampled = [i for i in done.ids if vocabulary.decode([i])]
    assert vocabulary.encode(text) == sampled


def test_it_goes_on_where_the_end_is_forbidden(core: EngineCore, vocabulary: Vocabulary) -> None:
    params = SamplingParams(max_tokens=300, temperature=0.7, seed=1, ignore_eos=True)
    ((text, done),) = answers(core, vocabulary, [("こんにちは", params)])
    assert done.reason is FinishReason.LENGTH
    assert len(done.ids) == 300
    assert text.count("。") > 30


def test_the_next_token_depends_on_every_part_of_the_context(core: EngineCore) -> None:
    """Far above what rounding does (0.05): a wrong cache must not hide."""
    rng = np.random.default_rng(3)
    context = rng.integers(300, 4000, 240)
    before = next_logits(core, context)
    for start in range(0, 240, 40):
        changed = context.copy()
        changed[start : start + 40] = rng.integers(300, 4000, 40)
        assert np.abs(next_logits(core, changed) - before).max() > 0.3, start
    assert np.abs(next_logits(core, np.delete(context, 0)) - before).max() > 0.3


def next_logits(core: EngineCore, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    one = SamplingParams(max_tokens=1, temperature=0)
    run_all(core, [Request(1, (1, *map(int, ids)), one)])
    return core.runner.logits()


def test_a_file_is_read_after_an_engine_has_gone(standin: Path) -> None:
    """llama.cpp keeps the last callback for its log, and would call one that is gone."""
    make_core(standin).runner.close()
    gc.collect()
    Vocabulary(standin).close()
