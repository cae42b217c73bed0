"""Folders that cannot be converted: one sentence each, and nothing half-made is left."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.workshop.convert.folders import CONFIG, llama_folder, write_json, write_safetensors
from tests.workshop.convert.logits import logits_of
from webui.errors import AppError
from webui.strings import Language
from webui.workshop.convert import ConvertError, convert, converter
from webui.workshop.convert.safetensors import read_tensors
from webui.workshop.convert.sentencepiece import read_sentencepiece


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return llama_folder(tmp_path / "tiny-llama")


def made(source: Path, target: Path, kind: str = "F16") -> int:
    async def count() -> int:
        return len([step async for step in convert(source, target, kind)])

    return asyncio.run(count())


def failure(source: Path, tmp_path: Path) -> str:
    with pytest.raises(AppError) as caught:
        made(source, tmp_path / "out" / "x.gguf")
    for language in Language:
        assert "{" not in caught.value.message(language)
    assert not list(tmp_path.glob("out/*"))
    return caught.value.key.removeprefix("convert.")


def config(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: write_json(folder / "config.json", CONFIG | changes)


def tokenizer(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        values = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        write_json(folder / "tokenizer.json", values | changes)

    return change


def weights(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return changed


def test_a_handmade_folder_becomes_a_model(folder: Path, tmp_path: Path) -> None:
    assert made(folder, tmp_path / "tiny.gguf") > 5
    assert np.isfinite(logits_of(tmp_path / "tiny.gguf", np.arange(8))).all()


def test_bfloat16_is_read(folder: Path, tmp_path: Path) -> None:
    halves = {
        name: (tensor.rows(slice(None)).view(np.uint32) >> 16).astype(np.uint16)
        for name, tensor in read_tensors(folder).items()
    }
    write_safetensors(folder / "model.safetensors", halves)
    tensor = read_tensors(folder)["model.norm.weight"]
    assert (
        tensor.rows(slice(0, 2)).view(np.uint32) == halves[tensor.name][:2].astype(np.uint32) << 16
    ).all()
    assert made(folder, tmp_path / "tiny.gguf")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (config(architectures=["FalconForCausalLM"]), "unknown_architecture"),
        (config(architectures=None), "unknown_architecture"),
        (config(hidden_size="many"), "bad_config"),
        (config(num_attention_heads=3), "bad_config"),
        (config(num_hidden_layers=2), "missing_tensor"),
        (config(intermediate_size=64), "bad_shape"),
        (config(hidden_act="relu"), "unsupported"),
        (config(rope_scaling={"rope_type": "longrope"}), "unsupported"),
        (config(rope_scaling={"rope_type": "linear", "factor": "x"}), "bad_config"),
        (config(quantization_config={"quant_method": "gptq"}), "unsupported"),
        (config(tie_word_embeddings=False), "missing_tensor"),
        (lambda folder: (folder / "config.json").write_text("[1]", encoding="utf-8"), "bad_file"),
        (lambda folder: (folder / "config.json").unlink(), "no_file"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no_file"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no_weights"),
        (tokenizer(model={"type": "Unigram", "vocab": []}), "unknown_tokenizer"),
        (tokenizer(pre_tokenizer={"type": "Whitespace"}), "unknown_pattern"),
        (tokenizer(normalizer={"type": "Lowercase"}), "cut_differently"),
        (tokenizer(added_tokens=[{"id": 10**9, "content": "x"}]), "bad_file"),
        (weights(lambda data: data[:-100]), "bad_weights"),
        (weights(lambda data: b""), "bad_weights"),
        (weights(lambda data: b"\xff" * 8 + data[8:]), "bad_weights"),
        (weights(lambda data: data.replace(b"F32", b"F33", 1)), "bad_weights"),
        (weights(lambda data: data.replace(b"mlp.up", b"mlp.xx")), "unknown_tensor"),
        (weights(lambda data: data[:-4] + b"\0\0\x80\x7f"), "not_finite"),
        (weights(lambda data: data.replace(b"[0, ", b"[9, ", 1)), "bad_weights"),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path, tmp_path: Path, change: Callable[[Path], None], key: str
) -> None:
    """In this process: how the child tells the parent is seen below."""
    change(folder)
    with pytest.raises(AppError) as caught:
        converter.convert(folder, tmp_path / "x.gguf", "F16", lambda event, **values: None)
    for language in Language:
        assert "{" not in caught.value.message(language)
    assert caught.value.key == f"convert.{key}"


def test_what_the_child_found_is_told_and_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    """Found at the very end, when the file is written and llama.cpp cuts texts differently."""
    tokenizer(normalizer={"type": "Lowercase"})(folder)
    assert failure(folder, tmp_path) == "cut_differently"


def test_a_folder_that_is_none_and_a_taken_name(folder: Path, tmp_path: Path) -> None:
    assert failure(tmp_path / "nothing", tmp_path) == "no_folder"
    (tmp_path / "taken.gguf").write_bytes(b"mine")
    with pytest.raises(ConvertError, match="already"):
        made(folder, tmp_path / "taken.gguf")
    assert (tmp_path / "taken.gguf").read_bytes() == b"mine"
    with pytest.raises(ConvertError, match="Q4_K_M"):
        made(folder, tmp_path / "x.gguf", "Q4_K_M")


def test_cancelling_leaves_neither_file_nor_process(folder: Path, tmp_path: Path) -> None:
    async def cancelled() -> None:
        async with aclosing(convert(folder, tmp_path / "out" / "x.gguf", "F16")) as steps:
            async for _ in steps:
                break

    before = set(psutil.Process().children())
    asyncio.run(cancelled())
    assert list((tmp_path / "out").iterdir()) == []
    assert set(psutil.Process().children()) <= before


@pytest.mark.parametrize("data", [b"", b"\x0a", b"\x0a\xff\xff\xff\xff\x7f", b"\x0b", b"\x80" * 20])
def test_a_damaged_sentencepiece_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(ConvertError):
        read_sentencepiece(tmp_path / "tokenizer.model")
