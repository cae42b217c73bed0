"""`app.py models …` as scripts use it: JSON on stdout, mistakes in one sentence."""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.makegguf import random_llama
from tests.models.downloads.hub import serving
from tests.workshop.convert.folders import llama_folder
from webui.commands import models
from webui.config import Settings, add_arguments
from webui.errors import AppError
from webui.models.gguf import read_header
from webui.storage import Storage
from webui.strings import Language
from webui.workshop.bench import BenchResults

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


def test_pull_fetches_a_model_of_several_files(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        for file in ("model.safetensors", "config.json"):
            hub.add("cl-nagoya/ruri-v3-30m", file, b"{}" * 500)
        pulled = call("pull", "ruri-v3-30m")
    assert Path(pulled["path"]) == folder / "ruri-v3-30m"
    assert (folder / "ruri-v3-30m" / "model.safetensors").read_bytes() == b"{}" * 500


@pytest.mark.thorough
def test_convert_makes_a_model_that_runs(call: Call, folder: Path, tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "tiny-llama")
    made = call("convert", str(source))
    assert Path(made["path"]) == folder / "tiny-llama-F16.gguf"
    assert call("verify", "tiny-llama-F16")["architecture"] == "llama"
    assert Path(call("convert", str(source), "q8_0")["path"]).name == "tiny-llama-Q8_0.gguf"
    (row,) = call("bench", "tiny-llama-F16", "--streams", "1")
    assert row["generated_per_s"] > 0


@pytest.mark.thorough
def test_bench_compares_models_and_remembers(
    call: Call, folder: Path, tmp_path: Path, standin: Path
) -> None:
    shutil.copy(standin, folder / "mine.gguf")
    (row, second) = call("bench", "mine", "--streams", "1,4,8")
    assert [row["num_streams"], second["num_streams"]] == [1, 4], "as many as there are slots"
    assert row["prompt_per_s"] > 0 and 0 < row["first_token_s"] < 60
    assert row["memory_bytes"] > 10**7 and row["rating"]
    shutil.copy(standin, folder / "other.gguf")
    plot, table = tmp_path / "plot.svg", tmp_path / "table.csv"
    more = ("--streams", "1", "--perplexity", "--plot", str(plot), "--csv", str(table))
    rows = call("bench", "mine", "other", *more)
    assert [row["model_id"] for row in rows] == ["mine", "mine", "other"]
    first, _, last = rows
    assert first["perplexity"] == pytest.approx(last["perplexity"]) and first["perplexity"] > 1
    assert last["perplexity_ratio"] == pytest.approx(1)
    assert plot.read_text(encoding="utf-8").startswith("<svg")
    assert table.read_text(encoding="utf-8").count("\n") == 4
    storage = Storage(tmp_path / "data" / "kajogaki.db")
    kept = sorted((row.model_id, row.num_streams) for row in BenchResults(storage).rows())
    assert kept == [("mine", 1), ("mine", 4), ("other", 1)]
    storage.close()
    with pytest.raises(AppError, match="two models"):
        call("bench", "mine", "--streams", "1", "--plot", str(plot))


@pytest.mark.parametrize(
    "arguments",
    [
        ("pull", "no-such-entry"),
        ("pull", "maker/model"),
        ("pull", "gemma-4-e2b-it", "Q9"),
        ("pull", "../..", "x.gguf"),
        ("verify", "nothing"),
        ("quantize", "nothing", "Q4_0"),
        ("convert", "nothing"),
        ("bench", "nothing"),
        ("bench", "--perplexity", "nothing.txt"),
        ("bench", "--streams", "0"),
        ("bench", "--streams", "many"),
    ],
)
def test_a_mistake_is_one_sentence(call: Call, arguments: tuple[str, ...]) -> None:
    with pytest.raises(AppError) as caught:
        call(*arguments)
    for language in Language:
        assert "\n" not in caught.value.message(language)
