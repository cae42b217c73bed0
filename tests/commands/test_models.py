"""`app.py models …` as scripts use it: JSON on stdout, mistakes in one sentence."""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hub import serving
from tests.makegguf import random_llama
from webui.commands import models
from webui.config import Settings, add_arguments
from webui.errors import AppError
from webui.gguf import read_header
from webui.storage import Storage
from webui.strings import Language
from webui.tasks.bench import BenchResults

Call = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def call(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """`app.py models <arguments> --json`: what it prints, as JSON."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    models.add_parser(commands, Language.JA, lambda part: add_arguments(part, "ja"))
    settings = Settings(data_dir=tmp_path / "data", models_dir=folder, n_slots=4, n_ctx=2048)

    def run(*arguments: str) -> Any:
        options = parser.parse_args(["models", *arguments, "--json"])
        assert options.run(settings, options) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_list_shows_what_is_here_and_what_one_could_have(
    call: Call, folder: Path, standin: Path
) -> None:
    shutil.copy(standin, folder / "mine.gguf")
    (folder / "bad.gguf").write_bytes(b"nothing")
    shown = call("list")
    here = {row["id"]: row for row in shown["models"]}
    assert here["mine"]["fit"] == "comfortable" and here["mine"]["memory_bytes"] > 10**7
    assert here["bad"]["problem"]
    offered = {row["id"]: row for row in shown["catalogue"]}
    assert offered["karakuri-lm-70b-chat"]["size_bytes"] > 40 * 10**9
    assert offered["gemma-4-e2b-it"]["files"][0]["quantization"] == "Q4_0"
    assert shown["problems"] == []


def test_pull_fetches_and_verify_checks(
    call: Call, folder: Path, standin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.add("maker/model", "model.gguf", standin.read_bytes())
        pulled = call("pull", "maker/model", "model.gguf")
        assert Path(pulled["path"]).read_bytes() == standin.read_bytes()
        with pytest.raises(AppError, match="already"):
            call("pull", "maker/model", "model.gguf")
        with pytest.raises(AppError, match="no other.gguf"):
            call("pull", "maker/model", "other.gguf")
    assert call("verify", "model")["architecture"] == "llama"
    (folder / "model.gguf").write_bytes(standin.read_bytes()[:5000])
    with pytest.raises(AppError, match="cut short"):
        call("verify", "model")


def test_quantize_makes_a_smaller_model_and_refuses_a_second_loss(call: Call, folder: Path) -> None:
    random_llama(
        folder / "small-F16.gguf", n_vocab=5000, n_embd=256, n_layer=2, n_head=4, n_head_kv=2,
        n_ff=512,
    )  # fmt: skip
    made = call("quantize", "small-F16", "q4_k_m")
    assert Path(made["path"]) == folder / "small-Q4_K_M.gguf"
    assert read_header(folder / "small-Q4_K_M.gguf").weight_type in ("Q4_K", "Q6_K")
    assert made["size_bytes"] < (folder / "small-F16.gguf").stat().st_size / 2
    with pytest.raises(AppError, match="already quantised"):
        call("quantize", "small-Q4_K_M", "Q2_K")
    with pytest.raises(AppError, match="no quantisation"):
        call("quantize", "small-F16", "Q9_9")
    assert not list(folder.glob("*.part"))


def test_bench_measures_and_remembers(
    call: Call, folder: Path, tmp_path: Path, standin: Path
) -> None:
    shutil.copy(standin, folder / "mine.gguf")
    rows = call("bench", "mine", "--streams", "1,4,8")
    assert [row["num_streams"] for row in rows] == [1, 4], "as many as there are slots"
    for row in rows:
        assert row["prompt_per_s"] > 0 and row["generated_per_s"] > 0
        assert 0 < row["first_token_s"] < 60
        assert row["memory_bytes"] > 10**7
    storage = Storage(tmp_path / "data" / "kajogaki.db")
    assert [row.num_streams for row in BenchResults(storage).rows()] == [1, 4]
    storage.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ("pull", "no-such-entry"),
        ("pull", "maker/model"),
        ("pull", "ruri-v3-30m"),
        ("pull", "gemma-4-e2b-it", "Q9"),
        ("pull", "../..", "x.gguf"),
        ("verify", "nothing"),
        ("quantize", "nothing", "Q4_0"),
        ("bench", "nothing"),
        ("bench", "--streams", "0"),
        ("bench", "--streams", "many"),
    ],
)
def test_a_mistake_is_one_sentence(call: Call, arguments: tuple[str, ...]) -> None:
    with pytest.raises(AppError) as caught:
        call(*arguments)
    for language in Language:
        assert "\n" not in caught.value.message(language)
