"""The models that other tests and benches make: llama.cpp loads and computes them."""

from pathlib import Path

import numpy as np
import pytest

from tests import makegguf
from tests.engine.worker.cores import make_core, run_all
from webui.engine.request import Request, SamplingParams
from webui.models.gguf import read_header

SHAPE = {"n_embd": 256, "n_layer": 1, "n_head": 4, "n_head_kv": 2, "n_ff": 512, "n_ctx": 2048}


@pytest.mark.parametrize("make", [makegguf.tiny_recurrent, makegguf.tiny_hybrid])
def test_models_whose_memory_cannot_be_cut(tmp_path: Path, make: makegguf.Maker) -> None:
    assert_computes(make(tmp_path / "model.gguf"), partial_reuse=False)


def test_random_models_have_the_size_that_was_asked_for(tmp_path: Path) -> None:
    path = makegguf.random_llama(tmp_path / "random.gguf", n_vocab=5000, **SHAPE)
    header = read_header(path)
    assert header.array_lengths["tokenizer.ggml.tokens"] == 5000
    assert header.n_params == 5000 * 256 + 256 + 2 * 256 + 3 * 256 * 512 + 3 * 256 * 256
    assert_computes(path, partial_reuse=True)


def test_quantized_models_still_compute(tmp_path: Path) -> None:
    source = makegguf.random_llama(tmp_path / "random.gguf", n_vocab=5000, **SHAPE)
    path = makegguf.quantize(source, tmp_path / "quantized.gguf", "Q4_K_M")
    assert read_header(path).weight_type in ("Q4_K", "Q6_K")
    assert path.stat().st_size < 0.5 * source.stat().st_size
    assert_computes(path, partial_reuse=True)


def assert_computes(path: Path, *, partial_reuse: bool) -> None:
    core = make_core(path)
    prompt = tuple(range(300, 400))
    done = run_all(core, [Request(1, prompt, SamplingParams(max_tokens=8, ignore_eos=True))])[1]
    assert len(done.ids) == 8
    assert core.runner.partial_reuse is partial_reuse
    logits = core.runner.logits()
    assert np.isfinite(logits).all() and logits.std() > 0.1
    core.runner.close()
