"""The built-in embedder: it loads and knows synonyms; its training refuses other data."""

import lzma
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from tests.places import ROOT
from webui.documents.search.embedder_process import EmbedderProcess
from webui.documents.search.embedding import choose_embedder

FOLDER = ROOT / "models" / "builtin-embedder"


@pytest.fixture(scope="module")
def process() -> Iterator[EmbedderProcess]:
    process = EmbedderProcess(FOLDER, num_threads=1)
    yield process
    process.stop()


def test_it_is_small_and_is_what_is_used_when_nothing_else_is_there(tmp_path: Path) -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= 16_000_000
    choice = choose_embedder([], tmp_path, FOLDER)
    assert choice and choice.is_builtin
    assert 0 <= choice.weight.at(1) <= choice.weight.at(0) <= 1


@pytest.mark.thorough
def test_words_of_one_meaning_are_close(process: EmbedderProcess) -> None:
    assert process.ready().num_dimensions == 256
    texts = (
        "車を買う",
        "自動車の購入",
        "じどうしゃ",
        "味噌汁の作り方",
        "会議の予約",
        "meeting",
        "",
    )
    data = process.embed(texts, is_query=True)
    car, purchase, kana, soup, appointment, meeting, _ = (
        numpy.frombuffer(data, "<f2").reshape(len(texts), 256).astype("f4")
    )
    assert car @ purchase > car @ soup + 0.2
    assert kana @ purchase > kana @ soup + 0.1
    assert meeting @ appointment > meeting @ soup + 0.1


def trained_on(folder: Path) -> tuple[int, str]:
    command = [
        sys.executable,
        "-m",
        "training.embedder.train",
        "--corpus",
        str(folder),
        "--out",
        str(folder),
    ]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return result.returncode, result.stderr


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "No such file"),
        ({"jaquad-train.jsonl.xz": b"no archive"}, "damaged"),
        ({"jaquad-train.jsonl.xz": lzma.compress(b'{"text": 1}\n')}, "another corpus"),
        ({"jaquad-train.jsonl.xz": lzma.compress(b"not json\n")}, "damaged"),
    ],
)
def test_training_on_something_else_is_one_line(
    files: dict[str, bytes], said: str, tmp_path: Path
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    status, stderr = trained_on(tmp_path)
    assert status == 2
    assert said in stderr and stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == set(files)
