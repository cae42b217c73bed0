"""The Milvus store on a real milvus-lite file: the same four verbs, the same answers as FAISS."""

from pathlib import Path

import numpy
import pytest

from webui.documents.errors import DocumentError
from webui.documents.search.milvus_store import MilvusStore
from webui.documents.search.stores import milvus_stores
from webui.documents.search.vectors import FaissStore
from webui.storage import ChunkRow, EmbedderRow, Storage, VectorRow

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of pymilvus and its parts
]
ME = "me"


def rows(count: int) -> list[VectorRow]:
    points = numpy.random.default_rng(3).standard_normal((count, 16))
    points /= numpy.linalg.norm(points, axis=1, keepdims=True)
    return [
        VectorRow(number, f"d{number // 10}", point.astype("<f2").tobytes())
        for number, point in enumerate(points, start=1)
    ]


def test_it_answers_as_faiss_does(tmp_path: Path) -> None:
    uri = str(tmp_path / "milvus.db")
    exact, store = FaissStore(16), MilvusStore(uri, ME, "f1", 16)
    vectors = rows(200)
    for each in (exact, store):
        each.add(vectors[:150])
        each.add(vectors[150:])
        each.delete_doc("d3")
    assert store.count() == exact.count() == 190
    for row in vectors[::40]:
        for documents in (None, ["d5", "d19", "d3"]):
            expected = [number for number, _ in exact.search(row.vector, 5, documents)]
            assert [n for n, _ in store.search(row.vector, 5, documents)] == expected
    assert store.search(vectors[0].vector, 5, []) == []
    other = MilvusStore(uri, 'somebody" or owner != "', "f1", 16)
    assert (other.count(), other.search(vectors[0].vector, 5)) == (0, [])
    store.close()
    again = MilvusStore(uri, ME, "f1", 16)
    assert (again.count(), again.highest) == (190, 200)
    with pytest.raises(ValueError, match="16 dimensions"):
        again.search(b"\0\0", 1)


def test_what_the_database_does_not_know_is_forgotten(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "kajogaki.db")
    documents = storage.documents
    where = documents.create_collection(ME, "x").id
    document, _ = documents.add_document(ME, where, "a.txt", sha256="a", num_bytes=1)
    chunk = ChunkRow(1, 0, 1, 2, "", "休暇")
    documents.save_content(ME, document.id, kind="txt", pages=[], chunks=[chunk])
    documents.vectors.save_embedder(EmbedderRow("f1", "tiny", 16, "", ""))
    (number,) = documents.chunk_numbers(ME)
    documents.vectors.save("f1", [(number, rows(1)[0].vector)])
    uri = str(tmp_path / "milvus.db")
    MilvusStore(uri, ME, "f1", 16).add(rows(3))
    store = milvus_stores(documents.vectors, uri)(ME, "f1", 16)
    assert (store.count(), store.highest) == (0, 0)
    store.add(documents.vectors.of_owner("f1", ME, store.highest))
    assert store.count() == 1
    storage.close()


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(DocumentError) as caught:
        MilvusStore("http://127.0.0.1:9", ME, "f1", 16)
    assert caught.value.key == "documents.milvus" and "\n" not in str(caught.value)
