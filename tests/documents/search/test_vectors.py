"""Vectors: nearest ones exactly, one model never mixed with another, resumed after a stop."""

from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.budget import examples
from tests.documents.makepdf import write
from webui.documents.errors import DocumentError
from webui.documents.search.embedder_process import EmbedderProcess
from webui.documents.search.retriever import mixed
from webui.documents.search.vectors import FaissStore
from webui.storage import VectorRow


def rows(*vectors: list[float], first: int = 1, document: str = "a") -> list[VectorRow]:
    return [
        VectorRow(number, document, numpy.array(vector, dtype="<f2").tobytes())
        for number, vector in enumerate(vectors, start=first)
    ]


def packed(*values: float) -> bytes:
    return numpy.array(values, dtype="<f2").tobytes()


def test_a_store_finds_adds_and_deletes() -> None:
    store = FaissStore(2)
    store.add(rows([1, 0]))
    store.add(rows([0, 1], [0.8, 0.6], first=2, document="b"))
    assert [number for number, _ in store.search(packed(1, 0), 9)] == [1, 3, 2]
    assert [number for number, _ in store.search(packed(1, 0), 9, ["b"])] == [3, 2]
    assert store.search(packed(1, 0), 9, []) == []
    assert store.search(packed(1, 0), 9, ["unknown"]) == []
    store.delete_doc("a")
    store.delete_doc("a")
    assert [number for number, _ in store.search(packed(1, 0), 1)] == [3]
    assert (store.count(), store.highest) == (2, 3)


def test_another_length_is_refused() -> None:
    store = FaissStore(3)
    with pytest.raises(ValueError, match="3 dimensions"):
        store.add(rows([1, 0]))
    with pytest.raises(ValueError, match="3 dimensions"):
        store.search(b"\0\0", 1)


@settings(max_examples=examples(50))
@given(st.lists(st.lists(st.floats(-1, 1, width=16), min_size=4, max_size=4), min_size=1))
def test_a_small_store_is_exact(vectors: list[list[float]]) -> None:
    store = FaissStore(4)
    store.add(rows(*vectors))
    query = numpy.array(vectors[0], dtype="<f2")
    expected = max(float(numpy.dot(numpy.array(v, dtype="f4"), query)) for v in vectors)
    assert store.search(query.tobytes(), 1)[0][1] == pytest.approx(expected, abs=1e-3)


def clustered(count: int, first: int = 1) -> list[VectorRow]:
    """Unit vectors around 20 centres, ten to a document."""
    chance = numpy.random.default_rng(first)
    centres = numpy.random.default_rng(0).standard_normal((20, 16))
    points = centres[chance.integers(0, 20, count)] + 0.3 * chance.standard_normal((count, 16))
    points /= numpy.linalg.norm(points, axis=1, keepdims=True)
    return [
        VectorRow(number, f"d{number // 10}", point.astype("<f2").tobytes())
        for number, point in enumerate(points, start=first)
    ]


def opened(file: Path, vectors: list[VectorRow]) -> tuple[FaissStore, bool]:
    """A store after a restart, when these are the vectors that the database has."""
    store = FaissStore(16, file, flat_limit=1000)
    was_loaded = store.load(
        lambda count, highest: count == sum(row.chunk <= highest for row in vectors),
        lambda highest: [(r.chunk, r.document_id) for r in vectors if r.chunk <= highest],
    )
    store.add([row for row in vectors if row.chunk > store.highest])
    return store, was_loaded


def test_a_large_store_finds_adds_deletes_and_survives_a_restart(tmp_path: Path) -> None:
    file, vectors = tmp_path / "v.faiss", clustered(1500)
    store, was_loaded = opened(file, vectors)
    assert not was_loaded and file.exists()
    for row in vectors[::300]:
        assert store.search(row.vector, 1)[0][0] == row.chunk
    inside = [number for number, _ in store.search(vectors[0].vector, 50, ["d3", "d100"])]
    assert sorted(inside) == [*range(30, 40), *range(1000, 1010)]
    store.delete_doc("d3")
    vectors = [row for row in vectors if row.document_id != "d3"]
    more = clustered(20, first=1501)
    store.add(more)
    assert store.search(more[5].vector, 1)[0][0] == more[5].chunk
    store.close()
    again, was_loaded = opened(file, vectors + more)
    assert was_loaded and again.count() == store.count() == 1510
    assert again.search(more[5].vector, 9) == store.search(more[5].vector, 9)
    again.delete_doc("d100")
    assert again.search(vectors[0].vector, 9, ["d100"]) == []


def test_a_file_that_is_behind_is_taken_and_completed(tmp_path: Path) -> None:
    file, vectors = tmp_path / "v.faiss", clustered(1200)
    opened(file, vectors[:1100])
    store, was_loaded = opened(file, vectors)
    assert was_loaded and store.count() == 1200


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "deleted since", "other size"])
def test_a_file_that_cannot_be_trusted_is_built_anew(damage: str, tmp_path: Path) -> None:
    file, vectors = tmp_path / "v.faiss", clustered(1100)
    opened(file, vectors)
    data = bytearray(file.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "cut":
        del data[-9:]
    elif damage == "empty":
        data.clear()
    elif damage == "deleted since":
        vectors = vectors[10:]
    else:
        data[24] ^= 1
    write(file, bytes(data))
    store, was_loaded = opened(file, vectors)
    assert not was_loaded and store.count() == len(vectors)
    assert store.search(vectors[7].vector, 1)[0][0] == vectors[7].chunk


def test_mixing_keeps_what_both_agree_on_first() -> None:
    assert mixed({1: 5.0, 2: 1.0}, {}, 0.4) == {1: 5.0, 2: 1.0}
    assert mixed({}, {3: 0.5}, 0.4) == {3: 0.5}
    scores = mixed({1: 5.0, 2: 4.0, 3: 0.5}, {1: 0.9, 4: 0.8, 3: 0.1}, 0.4)
    assert max(scores, key=lambda number: scores[number]) == 1
    assert set(scores) == {1, 2, 3, 4}


@pytest.mark.thorough
def test_a_model_says_what_it_is_and_embeds_unit_vectors(tiny_process: EmbedderProcess) -> None:
    ready = tiny_process.ready()
    assert (ready.num_dimensions, ready.query_prompt) == (32, "query: ")
    assert ready.document_prompt == "passage: "
    data = tiny_process.embed(("吾輩は猫である", "名前はまだ無い"), is_query=False)
    vectors = numpy.frombuffer(data, dtype="<f2").reshape(2, 32).astype("f4")
    assert numpy.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-2)
    query = numpy.frombuffer(tiny_process.embed(("吾輩は猫である",), is_query=True), dtype="<f2")
    assert float(query @ vectors[0].astype("f2")) < 0.9999  # the prompts differ


@pytest.mark.parametrize(
    ("files", "key"),
    [
        ({}, "documents.embedder_missing"),
        ({"modules.json": b"[]"}, "documents.embedder_broken"),
        pytest.param(
            {"modules.json": b"[", "model.safetensors": b"x"},
            "documents.embedder_broken",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_a_broken_model_folder_is_one_sentence(
    files: dict[str, bytes], key: str, tmp_path: Path
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


@pytest.mark.thorough
def test_a_bi_encoder_is_no_reranker(tiny_process: EmbedderProcess, tiny_model: Path) -> None:
    with pytest.raises(DocumentError):
        tiny_process.rerank(tiny_model, "質問", ("文章",))
