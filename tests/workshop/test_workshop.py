"""Quantising and perplexity in children: right results, cancelled cleanly, honest failures."""

import asyncio
import math
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from tests.makegguf import random_llama
from tests.places import ROOT
from tests.workshop.convert.folders import llama_folder
from webui.errors import AppError
from webui.models.gguf import read_header
from webui.workshop.bench import SAMPLE
from webui.workshop.workshop import (
    BITS,
    Perplexity,
    WorkshopError,
    estimated_bytes,
    perplexity,
    quantize,
)

N_VOCAB = 5000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workshop") / "model.gguf"
    return random_llama(
        path, n_vocab=N_VOCAB, n_embd=256, n_layer=4, n_head=4, n_head_kv=2, n_ff=768
    )


async def all_steps(source: Path, target: Path, kind: str) -> list[float]:
    return [step.done / step.total async for step in quantize(source, target, kind)]


@pytest.mark.parametrize(
    "kind",
    [
        "Q4_K_M",
        *(pytest.param(kind, marks=pytest.mark.thorough) for kind in ("Q8_0", "Q2_K", "IQ4_NL")),
    ],
)
def test_a_quantisation_is_made_with_progress_and_of_the_size_that_was_told(
    model: Path, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / f"{kind}.gguf"
    fractions = asyncio.run(all_steps(model, target, kind))
    assert fractions == sorted(fractions) and fractions[-1] == 1
    estimate = estimated_bytes(read_header(model), kind)
    assert target.stat().st_size == pytest.approx(estimate, rel=0.35)  # the vocabulary weighs here
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_cancelling_leaves_neither_file_nor_process(model: Path, tmp_path: Path) -> None:
    async def cancelled() -> None:
        async with aclosing(quantize(model, tmp_path / "x.gguf", "Q4_K_M")) as steps:
            async for _ in steps:
                break

    before = set(psutil.Process().children())
    asyncio.run(cancelled())
    assert list(tmp_path.iterdir()) == []
    assert set(psutil.Process().children()) <= before


def test_every_type_of_the_table_is_llama_cpps() -> None:
    import llama_cpp

    for kind in BITS:
        assert hasattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")


def test_a_damaged_source_or_a_taken_name_is_refused(model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(model.read_bytes()[:-1000])
    with pytest.raises(AppError, match="cut short"):
        asyncio.run(all_steps(damaged, tmp_path / "y.gguf", "Q8_0"))
    with pytest.raises(WorkshopError, match="already"):
        asyncio.run(all_steps(model, damaged, "Q8_0"))


def test_random_weights_foretell_as_badly_as_guessing(model: Path, tmp_path: Path) -> None:
    """The perplexity of a model that knows nothing is about the size of its vocabulary."""
    text = tmp_path / "text.txt"
    text.write_text(SAMPLE * 40, encoding="utf-8")

    async def measured() -> Perplexity:
        events = [event async for event in perplexity(model, text)]
        assert isinstance(events[-1], Perplexity)
        return events[-1]

    result = asyncio.run(measured())
    assert math.log(result.value) == pytest.approx(math.log(N_VOCAB), rel=0.2)
    assert 0 < result.error < result.value
    assert len(result.losses) >= 255


def test_a_text_that_is_too_short_is_told(model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("短い。", encoding="utf-8")

    async def measured() -> None:
        async for _ in perplexity(model, text):
            pass

    with pytest.raises(WorkshopError, match="1,024"):
        asyncio.run(measured())


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are a POSIX thing")
def test_a_disk_that_fills_up_is_told_and_nothing_is_left(model: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk; the children inherit it."""
    source = llama_folder(tmp_path / "hf")
    made = tmp_path / "made"
    made.mkdir()
    code = (
        "import asyncio, resource\n"
        "from pathlib import Path\n"
        "from webui.workshop.convert import convert\n"
        "from webui.workshop.workshop import WorkshopError, quantize\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "async def run(steps):\n"
        "    async for _ in steps: pass\n"
        f"made = Path({str(made)!r})\n"
        f"for steps in (quantize(Path({str(model)!r}), made / 'q.gguf', 'Q8_0'),\n"
        f"              convert(Path({str(source)!r}), made / 'c.gguf', 'F16')):\n"
        "    try: asyncio.run(run(steps))\n"
        "    except WorkshopError as error: print(error.key)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["engine.disk_full", "engine.disk_full"]
    assert list(made.iterdir()) == []
