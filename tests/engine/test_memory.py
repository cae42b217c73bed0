"""Memory: what is predicted is what the real worker takes; what does not fit is said before."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.makegguf import quantize, random_llama
from webui.engine.client import Engine
from webui.engine.memory import (
    Fit,
    Remedy,
    available_bytes,
    judge,
    judge_file,
    predict,
    resident_bytes,
    suggest,
)
from webui.engine.request import LoadModel, SamplingParams
from webui.models.gguf import read_header

LOAD = LoadModel(
    path="",
    n_ctx=4096,
    n_slots=4,
    n_batch=512,
    n_threads=2,
    n_gpu_layers=0,
    flash_attn="auto",
    kv_type="f16",
    mmap=True,
    mlock=False,
)
GB = 10**9


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 40M shape with a vocabulary of 32k: f16 here, other quantisations on demand."""
    shape = {"n_vocab": 32_000, "n_embd": 512, "n_layer": 8, "n_head": 8, "n_head_kv": 4}
    folder = tmp_path_factory.mktemp("memory")
    return random_llama(folder / "small.gguf", n_ff=1536, **shape)


async def measured(load: LoadModel, num_tokens: int) -> int:
    """Resident bytes of the real worker after a prompt of that length."""
    engine = Engine(load, "test")
    await engine.start()
    try:
        prompt = [300 + 7 * i % 3000 for i in range(num_tokens)]
        async for _ in engine.generate(prompt, SamplingParams(max_tokens=2, ignore_eos=True)):
            pass
        assert engine.pid
        return resident_bytes(engine.pid)
    finally:
        await engine.stop()


@pytest.mark.parametrize(
    ("quantization", "changes"),
    [
        ("F16", {}),
        pytest.param("Q8_0", {"n_slots": 32}, marks=pytest.mark.thorough),
        pytest.param("F16", {"n_ctx": 16384, "kv_type": "q8_0"}, marks=pytest.mark.thorough),
        pytest.param("F16", {"flash_attn": "off", "n_ctx": 2048}, marks=pytest.mark.thorough),
        pytest.param("Q4_K_M", {"mmap": False}, marks=pytest.mark.thorough),
        pytest.param("Q4_0", {}, marks=pytest.mark.thorough),
        pytest.param("Q2_K", {"n_ctx": 1024, "n_slots": 1}, marks=pytest.mark.thorough),
    ],
)
@pytest.mark.thorough
def test_the_prediction_is_within_ten_percent(
    small: Path, tmp_path: Path, quantization: str, changes: dict[str, object]
) -> None:
    path = small
    if quantization != "F16":
        path = quantize(small, tmp_path / "q.gguf", quantization)
    load = replace(LOAD, path=str(path), **changes)  # type: ignore[arg-type]
    need = predict(read_header(path), load)
    num_tokens = load.n_ctx - 100 if load.flash_attn == "off" else 600
    actual = asyncio.run(measured(load, num_tokens))
    assert need.total == pytest.approx(actual, rel=0.10)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["recurrent", "hybrid"])
def test_memories_that_are_states_are_predicted_too(uncuttable: dict[str, Path], kind: str) -> None:
    load = replace(LOAD, path=str(uncuttable[kind]), n_slots=16)
    need = predict(read_header(uncuttable[kind]), load)
    assert need.total == pytest.approx(asyncio.run(measured(load, 600)), rel=0.10)


def test_context_and_kv_type_change_the_need_as_they_should(small: Path) -> None:
    header = read_header(small)
    plain = predict(header, LOAD)
    double = predict(header, replace(LOAD, n_ctx=2 * LOAD.n_ctx))
    assert plain.kv == 8 * 2 * 4 * 64 * 4096 * 2  # layers, K and V, heads, width, cells, bytes
    assert double.kv == 2 * plain.kv
    assert predict(header, replace(LOAD, kv_type="q8_0")).kv == plain.kv * 34 // 64
    assert predict(header, replace(LOAD, n_ctx=0)).kv == 2 * plain.kv, "at most 8192 by default"
    assert predict(header, replace(LOAD, n_ctx=4000)).kv == plain.kv, "rounded up to 256"


def test_need_is_judged_against_free_memory(small: Path) -> None:
    need = predict(read_header(small), LOAD)
    assert judge(need, 2 * need.total) is Fit.COMFORTABLE
    assert judge(need, need.total) is Fit.TIGHT
    assert judge(need, need.least - 1) is Fit.IMPOSSIBLE
    assert judge_file(4 * GB, 6 * GB) is Fit.COMFORTABLE
    assert judge_file(4 * GB, 5 * GB) is Fit.TIGHT
    assert judge_file(4 * GB, 4 * GB) is Fit.IMPOSSIBLE


def test_what_would_help_is_suggested_mildest_first(small: Path) -> None:
    header = read_header(small)
    load = replace(LOAD, n_ctx=65536)
    available = int(predict(header, replace(load, kv_type="q8_0")).total * 1.3)
    assert judge(predict(header, load), available) is not Fit.COMFORTABLE
    remedies = suggest(header, load, available)
    assert [s.remedy for s in remedies] == [Remedy.SMALLER_KV, Remedy.SMALLER_CONTEXT]
    for remedy in remedies:
        assert remedy.need and judge(remedy.need, available) is Fit.COMFORTABLE
    assert [s.remedy for s in suggest(header, load, 10**6)] == [Remedy.SMALLER_FILE]
    off = suggest(header, replace(load, flash_attn="off"), available)
    assert Remedy.SMALLER_KV not in [s.remedy for s in off], "it needs flash attention"


def test_free_memory_is_known_and_grows_by_what_will_be_unloaded() -> None:
    free = available_bytes()
    assert 10**8 < free < 10**14
    assert available_bytes(freed=10 * GB) > free + 8 * GB
    assert resident_bytes(2**22 + 1) == 0, "no such process"
