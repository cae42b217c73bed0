"""The gate: thousands of damaged files, of which none may take anything down with it."""

import asyncio
import os
import random
import struct
from pathlib import Path

import psutil
import pytest

from tests import rawgguf as raw
from webui.engine.client import Engine, ModelLoadError
from webui.engine.request import LoadModel, SamplingParams
from webui.models.gguf import BadGgufError, check_file, check_values, read_header
from webui.strings import Language

NUM_MUTANTS = 1500
NUM_THROUGH_THE_WORKER = 16
HEADER_BYTES = 120_000  # of the stand-in; damage behind it is damage to weights
INTERESTING = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)


def mutant(content: bytes, seed: int) -> bytes:
    """One damaged copy: bits, numbers, cuts, repeats, holes; mostly in the header."""
    dice = random.Random(seed)
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        where = dice.randrange(min(len(data), dice.choice((64, 2000, HEADER_BYTES))) or 1)
        match dice.randrange(7):
            case 0:
                data[where] ^= 1 << dice.randrange(8)
            case 1:
                data[where : where + 4] = struct.pack("<I", dice.choice(INTERESTING) & 0xFFFFFFFF)
            case 2:
                data[where : where + 8] = struct.pack("<Q", dice.choice(INTERESTING))
            case 3:
                del data[where:]
            case 4:
                del data[where : where + dice.randrange(1, 64)]
            case 5:
                data[where:where] = data[where : where + dice.randrange(1, 64)]
            case _:
                data[where : where + 16] = os.urandom(16)
        if not data:
            break
    return bytes(data)


def vocabulary(*pieces: str) -> raw.Entry:
    """Long enough that only its length is kept; llama.cpp ends its process at a piece twice."""
    data = b"".join(map(raw.text, pieces))
    return raw.array("tokenizer.ggml.tokens", raw.STRING, len(pieces), data)


@pytest.mark.thorough
def test_no_damaged_file_gets_more_than_one_clear_sentence(tmp_path: Path, standin: Path) -> None:
    content = standin.read_bytes()
    small = raw.model(raw.string("tokenizer.ggml.model", "llama"))
    num_refused = 0
    path = tmp_path / "mutant.gguf"
    for seed in range(NUM_MUTANTS):
        path.write_bytes(mutant(content if seed % 5 == 0 else small, seed))
        try:
            check_file(path)
        except BadGgufError as error:
            num_refused += 1
            for language in Language:
                assert "mutant.gguf" in error.message(language)
    assert num_refused > NUM_MUTANTS // 3, "the damage is real"


@pytest.mark.thorough
def test_the_page_lives_whatever_the_worker_is_given(tmp_path: Path, standin: Path) -> None:
    """What passes the gate goes to the real worker; it may die, its parent may not."""
    content = standin.read_bytes()
    before = set(psutil.Process().children())
    asyncio.run(_load_mutants(tmp_path, content))
    assert set(psutil.Process().children()) <= before, "no worker is left behind"


async def _load_mutants(folder: Path, content: bytes) -> None:
    num_loaded, seed = 0, 0
    while num_loaded < NUM_THROUGH_THE_WORKER:
        seed += 1
        path = folder / f"{seed}.gguf"
        path.write_bytes(mutant(content, seed))
        try:
            check_file(path)
        except BadGgufError:
            path.unlink()
            continue
        num_loaded += 1
        await _load_and_write(path)
        path.unlink()


async def _load_and_write(path: Path) -> None:
    load = LoadModel(
        path=str(path),
        n_ctx=256,
        n_slots=1,
        n_batch=32,
        n_threads=1,
        n_gpu_layers=0,
        flash_attn="auto",
        kv_type="f16",
        mmap=True,
        mlock=False,
    )
    engine = Engine(load, path.name)
    try:
        await engine.start()
        async for _ in engine.generate([300, 301], SamplingParams(max_tokens=2)):
            pass
    except ModelLoadError as error:
        assert path.name in error.message()
    finally:
        await engine.stop()


def test_the_worker_itself_refuses_a_file_that_changed_after_it_was_listed(
    tmp_path: Path, standin: Path
) -> None:
    path = tmp_path / "changed.gguf"
    path.write_bytes(standin.read_bytes()[:100_000])
    with pytest.raises(ModelLoadError, match="cut short"):
        asyncio.run(_start(path))


async def _start(path: Path) -> None:
    load = LoadModel(str(path), 256, 1, 32, 1, 0, "auto", "f16", True, False)
    engine = Engine(load, "changed")
    try:
        await engine.start()
    finally:
        await engine.stop()


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        ([raw.u32("llama.block_count", 1 << 30)], "llama.block_count"),
        ([raw.u32("llama.block_count", 0)], "llama.block_count"),
        ([raw.string("llama.embedding_length", "many")], "llama.embedding_length"),
        ([raw.u32("llama.attention.head_count", 0xFFFFFFFF)], "llama.attention.head_count"),
        (
            [
                raw.array("tokenizer.ggml.tokens", raw.STRING, 3, raw.text("a") * 3),
                raw.array("tokenizer.ggml.scores", raw.F32, 2, bytes(8)),
            ],
            "tokenizer.ggml.scores",
        ),
        (
            [
                raw.array("tokenizer.ggml.tokens", raw.STRING, 3, raw.text("a") * 3),
                raw.u32("tokenizer.ggml.bos_token_id", 3),
            ],
            "tokenizer.ggml.bos_token_id",
        ),
        ([vocabulary(*(f"p{number % 299}" for number in range(300)))], "tokenizer.ggml.tokens"),
        ([vocabulary("a", *(f"a\0{number}" for number in range(300)))], "tokenizer.ggml.tokens"),
    ],
)
def test_numbers_that_cannot_be_meant_are_named(
    tmp_path: Path, entries: list[raw.Entry], key: str
) -> None:
    path = tmp_path / "absurd.gguf"
    path.write_bytes(raw.model(*entries))
    with pytest.raises(BadGgufError) as caught:
        check_file(path)
    for language in Language:
        assert key in caught.value.message(language)


def test_empty_pieces_may_be_many(tmp_path: Path) -> None:
    """Padded vocabularies have them; llama.cpp gives each a name."""
    path = tmp_path / "padded.gguf"
    path.write_bytes(raw.model(vocabulary(*[""] * 40, *(f"p{number}" for number in range(300)))))
    assert check_file(path).array_lengths["tokenizer.ggml.tokens"] == 340


def test_sound_models_pass(standin: Path, uncuttable: dict[str, Path]) -> None:
    for path in (standin, *uncuttable.values()):
        check_values(read_header(path), path.name)
