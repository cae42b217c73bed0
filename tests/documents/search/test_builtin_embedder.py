"""The built-in embedder: it loads and knows synonyms; its training refuses other data."""

import lzma
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from tests.places import ROOT
from webui.documents.errors import DocumentError
from webui.documents.search.embedder_process import EmbedderProcess
from webui.documents.search.embedding import choose_embedder
from webui.documents.search.static_embedder import StaticEmbedder

FOLDER = ROOT / "models" / "builtin-embedder"


@pytest.fixture(scope="module")
def process() -> Iterator[EmbedderProcess]:
    process = EmbedderProcess(FOLDER, num_threads=1)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder(FOLDER)


def test_it_is_small_and_is_what_is_used_when_nothing_else_is_there(tmp_path: Path) -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= 16_000_000
    choice = choose_embedder([], tmp_path, FOLDER)
    assert choice and choice.is_builtin
    assert 0 <= choice.weight.at(1) <= choice.weight.at(0) <= 1


@pytest.mark.thorough
def test_numpy_computes_what_sentence_transformers_does(
    process: EmbedderProcess, embedder: StaticEmbedder
) -> None:
    texts = (
        "車を買う",
        "自動車の購入",
        "会議は１１月２７日、３階で。",
        "",
        "。。。",
        "word ABC" * 500,
    )
    assert embedder.ready() == process.ready()
    for is_query in (True, False):
        theirs, ours = (
            numpy.frombuffer(one.embed(texts, is_query=is_query), "<f2").astype("f4")
            for one in (process, embedder)
        )
        numpy.testing.assert_allclose(ours, theirs, atol=2e-3)
    inputs = ("車を買う", (5, 6, 7))
    (theirs_data, theirs_count), (ours_data, ours_count) = (
        one.embed_inputs(inputs) for one in (process, embedder)
    )
    assert ours_count == theirs_count
    numpy.testing.assert_allclose(
        numpy.frombuffer(ours_data, "<f4"), numpy.frombuffer(theirs_data, "<f4"), atol=1e-3
    )


def test_an_id_of_another_model_is_told(embedder: StaticEmbedder) -> None:
    with pytest.raises(DocumentError):
        embedder.embed_inputs(((30_000,),))


def test_a_folder_that_is_damaged_is_told(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(DocumentError, match="cannot be loaded"):
        StaticEmbedder(tmp_path).ready()


def test_words_of_one_meaning_are_close(embedder: StaticEmbedder) -> None:
    assert embedder.ready().num_dimensions == 256
    texts = (
        "車を買う",
        "自動車の購入",
        "じどうしゃ",
        "味噌汁の作り方",
        "会議の予約",
        "meeting",
        "",
    )
    data = embedder.embed(texts, is_query=True)
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
