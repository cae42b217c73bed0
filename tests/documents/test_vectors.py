"""Vectors: nearest ones exactly, one model never mixed with another, resumed after a stop."""

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.documents.makemodel import static_model
from tests.documents.makepdf import write
from webui.documents.errors import DocumentError
from webui.documents.library import Library
from webui.documents.process import EmbedderProcess
from webui.documents.retriever import mixed
from webui.documents.vectors import VectorIndex
from webui.storage import Storage

ME = "me"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return static_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def embedder(model: Path) -> Iterator[EmbedderProcess]:
    embedder = EmbedderProcess(model, num_threads=1)
    yield embedder
    embedder.stop()


def rows(*vectors: list[float]) -> list[tuple[int, bytes]]:
    return [
        (number, numpy.array(vector, dtype="<f2").tobytes())
        for number, vector in enumerate(vectors, start=1)
    ]


def test_the_index_finds_adds_and_removes() -> None:
    index = VectorIndex(2)
    index.add(rows([1, 0], [0, 1], [0.8, 0.6]))
    query = numpy.array([1, 0], dtype="<f2").tobytes()
    assert [number for number, _ in index.search(query, 9)] == [1, 3, 2]
    assert [number for number, _ in index.search(query, 9, among=[2, 3])] == [3, 2]
    assert index.search(query, 9, among=[]) == []
    index.remove([1])
    assert [number for number, _ in index.search(query, 1)] == [3]
    assert (len(index), index.highest) == (2, 3)


def test_another_length_is_refused() -> None:
    index = VectorIndex(3)
    with pytest.raises(ValueError, match="3 dimensions"):
        index.add(rows([1, 0]))
    with pytest.raises(ValueError, match="3 dimensions"):
        index.search(b"\0\0", 1)


@settings(max_examples=50)
@given(st.lists(st.lists(st.floats(-1, 1, width=16), min_size=4, max_size=4), min_size=1))
def test_the_index_is_exact(vectors: list[list[float]]) -> None:
    index = VectorIndex(4)
    index.add(rows(*vectors))
    query = numpy.array(vectors[0], dtype="<f2")
    expected = max(float(numpy.dot(numpy.array(v, dtype="f4"), query)) for v in vectors)
    assert index.search(query.tobytes(), 1)[0][1] == pytest.approx(expected, abs=1e-3)


def test_mixing_keeps_what_both_agree_on_first() -> None:
    assert mixed({1: 5.0, 2: 1.0}, {}, 0.4) == {1: 5.0, 2: 1.0}
    assert mixed({}, {3: 0.5}, 0.4) == {3: 0.5}
    scores = mixed({1: 5.0, 2: 4.0, 3: 0.5}, {1: 0.9, 4: 0.8, 3: 0.1}, 0.4)
    assert max(scores, key=lambda number: scores[number]) == 1
    assert set(scores) == {1, 2, 3, 4}


def test_a_model_says_what_it_is_and_embeds_unit_vectors(embedder: EmbedderProcess) -> None:
    ready = embedder.ready()
    assert (ready.num_dimensions, ready.query_prompt) == (32, "query: ")
    assert ready.document_prompt == "passage: "
    data = embedder.embed(("吾輩は猫である", "名前はまだ無い"), is_query=False)
    vectors = numpy.frombuffer(data, dtype="<f2").reshape(2, 32).astype("f4")
    assert numpy.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-2)
    query = numpy.frombuffer(embedder.embed(("吾輩は猫である",), is_query=True), dtype="<f2")
    assert float(query @ vectors[0].astype("f2")) < 0.9999  # the prompts differ


@pytest.mark.parametrize(
    ("files", "key"),
    [
        ({}, "documents.embedder_missing"),
        ({"modules.json": b"[]"}, "documents.embedder_broken"),
        ({"modules.json": b"[", "model.safetensors": b"x"}, "documents.embedder_broken"),
    ],
)
def test_a_broken_model_folder_is_one_sentence(
    files: dict[str, bytes], key: str, embedder: EmbedderProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    for name, data in files.items():
        folder.mkdir(exist_ok=True)
        write(folder / name, data)
    broken = EmbedderProcess(folder)
    with pytest.raises(DocumentError) as caught:
        broken.ready()
    broken.stop()
    assert caught.value.key == key
    assert "\n" not in str(caught.value)


def test_a_bi_encoder_is_no_reranker(embedder: EmbedderProcess, model: Path) -> None:
    with pytest.raises(DocumentError):
        embedder.rerank(model, "質問", ("文章",))


def test_the_library_embeds_and_searches_with_both(
    embedder: EmbedderProcess, model: Path, tmp_path: Path
) -> None:
    storage = Storage(tmp_path / "kajogaki.db")
    library = Library(storage.documents, tmp_path / "documents", embedder, "tiny")
    library.start()
    where = storage.documents.create_collection(ME, "x").id
    texts = {"a.txt": "年次有給休暇は十日を与える。", "b.txt": "出張の旅費は実費を支給する。"}
    for name, text in texts.items():
        library.add(ME, where, name, write(tmp_path / name, text.encode()))
    assert library.wait(60)
    ready = embedder.ready()
    assert storage.documents.num_without_vectors(ready.fingerprint) == 0
    found = library.search(ME, "有給休暇")
    assert found.used_vectors and found.problem is None
    assert found.passages[0].document_name == "a.txt"
    assert found.passages[0].vector_score is not None
    library.remove(ME, found.passages[0].document_id)
    assert {p.document_name for p in library.search(ME, "有給休暇").passages} == {"b.txt"}
    ((row, num_vectors),) = storage.documents.embedders()
    assert (row.name, row.num_dimensions, num_vectors) == ("tiny", 32, 1)
    with pytest.raises(ValueError, match="32 dimensions"):
        storage.documents.save_vectors(row.fingerprint, [(2, b"\0" * 10)])
    storage.close()


def test_a_search_goes_on_without_a_broken_model(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "kajogaki.db")
    broken = EmbedderProcess(tmp_path / "nowhere")
    library = Library(storage.documents, tmp_path / "documents", broken, "gone")
    library.start()
    where = storage.documents.create_collection(ME, "x").id
    library.add(ME, where, "a.txt", write(tmp_path / "a.txt", "旅費は実費を支給する。".encode()))
    assert library.wait(60)
    found = library.search(ME, "旅費")
    assert found.passages and not found.used_vectors
    assert found.problem and found.problem.key == "documents.embedder_missing"
    library.close()
    storage.close()
