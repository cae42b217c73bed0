"""The same request with the same seed gives the same answer, on real weights."""

import os
from pathlib import Path

import pytest

from tests.engine.worker.cores import make_core, run_all
from webui.engine.request import Request, SamplingParams
from webui.engine.tokenizer import Tokenizer

MODEL = Path(os.environ.get("KAJOGAKI_REAL_MODELS", "")) / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
SEEDED = SamplingParams(max_tokens=48, temperature=1.0, seed=3, ignore_eos=True)

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not MODEL.is_file(), reason="KAJOGAKI_REAL_MODELS names no folder with the 0.5B"
    ),
]


def test_whatever_was_asked_before() -> None:
    core = make_core(MODEL, n_ctx=8192, n_batch=512, host_cache_bytes=1 << 30)
    tokenizer = Tokenizer(MODEL)
    asked = tuple(tokenizer.encode_text("日本の四季について、短く説明してください。"))
    others = ["こんにちは。", "会議の議事録を書く手順を教えてください。" * 5, "ABC " * 40]
    answers = set()
    for number, other in enumerate(others):
        answers.add(run_all(core, [Request(2 * number, asked, SEEDED)])[2 * number].ids)
        between = SamplingParams(max_tokens=8)
        run_all(core, [Request(2 * number + 1, tuple(tokenizer.encode_text(other)), between)])
    answers.add(run_all(core, [Request(99, asked, SEEDED)])[99].ids)
    core.runner.close()
    assert len(answers) == 1
