"""Embedding in the library: chosen, resumed, never mixed, offered anew; keywords when it fails."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.documents.makemodel import reranker, static_model
from tests.documents.makepdf import write
from tests.places import ROOT
from webui.documents.errors import DocumentError
from webui.documents.library import Library
from webui.documents.process import IsCancelled, never
from webui.documents.progress import Progress, embedding_of
from webui.documents.search.embedder_process import EmbedderProcess
from webui.documents.search.embedding import (
    EmbedderChoice,
    EmbedderState,
    Embedding,
    choose_embedder,
)
from webui.documents.search.vectors import FaissStore, VectorStore
from webui.models.entries import load_entries
from webui.storage import Document, DocumentStatus, Storage

pytestmark = pytest.mark.thorough  # torch takes ten seconds to import

ME = "me"
MODELS = ROOT / "models"
TEXTS = {"a.txt": "年次有給休暇は十日を与える。", "b.txt": "出張の旅費は実費を支給する。"}


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path / "kajogaki.db")
    yield storage
    storage.close()


def library_with(
    storage: Storage, folder: Path, choice: EmbedderChoice, process: EmbedderProcess | None = None
) -> Library:
    embedding = Embedding(storage.documents, choice, process)
    library = Library(storage.documents, folder / "documents", embedding)
    library.start()
    return library


def fill(library: Library, storage: Storage, folder: Path, texts: dict[str, str] = TEXTS) -> None:
    where = storage.documents.create_collection(ME, "x").id
    for name, text in texts.items():
        library.add(ME, where, name, write(folder / name, text.encode()))
    assert library.wait(60)


def test_the_library_embeds_and_searches_with_both(
    storage: Storage, tiny_model: Path, tiny_process: EmbedderProcess, tmp_path: Path
) -> None:
    library = library_with(storage, tmp_path, EmbedderChoice(tiny_model, "tiny"), tiny_process)
    fill(library, storage, tmp_path)
    status = library.embedder_status()
    assert (status.state, status.name, status.num_embedded, status.num_chunks) == (
        "ready",
        "tiny",
        2,
        2,
    )
    found = library.search(ME, "有給休暇")
    assert found.used_vectors and found.problem is None
    assert found.passages[0].document_name == "a.txt"
    assert found.passages[0].vector_score is not None
    library.remove(ME, found.passages[0].document_id)
    assert {p.document_name for p in library.search(ME, "有給休暇").passages} == {"b.txt"}
    vectors = storage.documents.vectors
    ((row, num_vectors),) = vectors.embedders()
    assert (row.name, row.num_dimensions, num_vectors) == ("tiny", 32, 1)
    with pytest.raises(ValueError, match="32 dimensions"):
        vectors.save(row.fingerprint, [(2, b"\0" * 10)])


class AwayStore(FaissStore):
    """On a server that cannot be reached when something is to go."""

    def delete_doc(self, document_id: str) -> None:
        raise DocumentError("documents.milvus", reason="connection refused")


def test_a_document_goes_and_is_read_anew_while_the_vector_store_is_away(
    storage: Storage, tiny_model: Path, tiny_process: EmbedderProcess, tmp_path: Path
) -> None:
    made: list[VectorStore] = []

    def make(_owner: str, _fingerprint: str, num_dimensions: int) -> VectorStore:
        made.append(AwayStore(num_dimensions))
        return made[-1]

    embedding = Embedding(storage.documents, EmbedderChoice(tiny_model, "tiny"), tiny_process)
    library = Library(storage.documents, tmp_path / "documents", embedding, make)
    library.start()
    fill(library, storage, tmp_path)
    first, second = library.search(ME, "有給休暇").passages
    library.remove(ME, first.document_id)
    assert [file.name for file in (tmp_path / "documents").iterdir()] == [second.document_id]
    assert library.search(ME, "旅費").used_vectors
    library.retry(ME, second.document_id)
    assert library.wait(30)
    assert storage.documents.document(ME, second.document_id).status is DocumentStatus.READY
    assert library.search(ME, "旅費").used_vectors
    assert [store.count() for store in made] == [2, 1, 1]
    library.close()


class Gated(EmbedderProcess):
    """Waits before its first and before its second batch until it may go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, num_threads=1)
        self.gates = [threading.Event(), threading.Event()]
        self.num_batches = 0

    def embed(
        self, texts: tuple[str, ...], *, is_query: bool, is_cancelled: IsCancelled = never
    ) -> bytes:
        self.num_batches += 1
        for gate in self.gates[self.num_batches - 1 : self.num_batches]:
            assert gate.wait(60)
        return super().embed(texts, is_query=is_query, is_cancelled=is_cancelled)


def test_each_document_says_how_far_its_embedding_is(
    storage: Storage, tiny_model: Path, tmp_path: Path
) -> None:
    process = Gated(tiny_model)
    library = library_with(storage, tmp_path, EmbedderChoice(tiny_model, "tiny"), process)
    where = storage.documents.create_collection(ME, "x").id
    for name, count in (("long.txt", 900), ("short.txt", 30)):
        lines = (f"第{n}条の定めにより、休暇は{n}日を与えるものとする。" for n in range(count))
        content = "\n".join(lines).encode()
        library.add(ME, where, name, write(tmp_path / name, content))
    process.gates[0].set()  # the second one is waiting, so it is read after one batch
    deadline = time.monotonic() + 60
    while process.num_batches < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    long, short = documents = storage.documents.documents(ME, where)
    moving = library.embedding_progress(documents)
    assert [(one.document_id, one.num_done, one.num_total) for one in moving] == [
        (long.id, 64, long.num_chunks),
        (short.id, 0, short.num_chunks),
    ]
    assert {one.stage for one in moving} == {"embedding"}
    process.gates[1].set()
    assert library.wait(60)
    assert library.embedding_progress(documents) == []
    library.close()


def test_the_time_left_of_a_document_counts_those_before_it() -> None:
    first, second = (
        Document(id, ME, "x", id, "", 1, DocumentStatus.READY, "txt", None, 1, num_chunks, 0.0, 0.0)
        for id, num_chunks in (("a", 100), ("b", 50))
    )
    overall = Progress("", "embedding", 10, 150, per_s=10.0)
    left = [one.eta_s for one in embedding_of([first, second], {"a": 60}, overall)]
    assert left == [4.0, 9.0]
    unknown = embedding_of([first], {}, replace(overall, per_s=0.0))
    assert [one.eta_s for one in unknown] == [-1.0]


def test_another_model_is_offered_and_never_mixed(
    storage: Storage, tiny_model: Path, tiny_process: EmbedderProcess, tmp_path: Path
) -> None:
    first = library_with(storage, tmp_path, EmbedderChoice(tiny_model, "tiny"), tiny_process)
    fill(first, storage, tmp_path)
    other = EmbedderChoice(static_model(tmp_path / "other", seed=1), "other")
    library = library_with(storage, tmp_path, other)
    assert library.wait(10)
    status = library.embedder_status()
    assert status.needs_reembedding
    assert (status.other_models, status.num_embedded) == (("tiny",), 0)
    found = library.search(ME, "有給休暇")
    assert found.passages and not found.used_vectors
    assert found.problem and found.problem.key == "documents.other_embedder"
    library.reembed()
    assert library.wait(60)
    status = library.embedder_status()
    assert (status.state, status.num_embedded, status.other_models) == ("ready", 2, ())
    assert library.search(ME, "有給休暇").used_vectors
    library.close()


def test_a_search_goes_on_without_a_broken_model(storage: Storage, tmp_path: Path) -> None:
    library = library_with(storage, tmp_path, EmbedderChoice(tmp_path / "nowhere", "gone"))
    fill(library, storage, tmp_path)
    found = library.search(ME, "旅費")
    assert found.passages and not found.used_vectors
    assert found.problem and found.problem.key == "documents.embedder_missing"
    status = library.embedder_status()
    assert status.state is EmbedderState.BROKEN and status.problem
    with pytest.raises(DocumentError):
        library.reembed()
    library.close()


def test_a_reranker_has_the_last_word(
    storage: Storage, tiny_model: Path, tiny_process: EmbedderProcess, tmp_path: Path
) -> None:
    cross_encoder = reranker(tmp_path / "reranker")
    choice = EmbedderChoice(tiny_model, "tiny", reranker=cross_encoder)
    library = library_with(storage, tmp_path, choice, tiny_process)
    more = {f"{day}.txt": f"{day}日目の旅費は{day * 800}円である。" for day in range(1, 7)}
    fill(library, storage, tmp_path, TEXTS | more)
    question = "旅費の支給"
    found = library.search(ME, question)
    assert found.problem is None and len(found.passages) > 5
    texts = tuple(f"{passage.title}\n{passage.text}".strip() for passage in found.passages)
    scores = tiny_process.rerank(cross_encoder, question, texts)
    assert [passage.score for passage in found.passages] == pytest.approx(scores, rel=1e-3)
    assert list(scores) == sorted(scores, reverse=True) and len(set(scores)) > 5
    mixed_order = sorted(found.passages, key=lambda passage: -passage.keyword_score)
    assert [p.text for p in mixed_order] != [p.text for p in found.passages]


def test_a_reranker_that_is_none_leaves_the_order_and_says_so(
    storage: Storage, tiny_model: Path, tiny_process: EmbedderProcess, tmp_path: Path
) -> None:
    choice = EmbedderChoice(tiny_model, "tiny", reranker=tiny_model)
    library = library_with(storage, tmp_path, choice, tiny_process)
    fill(library, storage, tmp_path)
    found = library.search(ME, "旅費の支給")
    assert found.passages[0].document_name == "b.txt"
    assert found.problem and found.problem.key in (
        "documents.reranker_wrong",
        "documents.embedder_broken",
    )
    assert library.embedder_status().reranker_problem


def test_without_a_model_there_is_keyword_search(storage: Storage, tmp_path: Path) -> None:
    library = Library(storage.documents, tmp_path / "documents")
    assert library.embedder_status().state is EmbedderState.NONE
    with pytest.raises(DocumentError):
        library.reembed()


def test_an_installed_model_goes_before_the_built_in_one(tmp_path: Path) -> None:
    model = tmp_path / "builtin"
    model.mkdir()
    (model / "modules.json").touch()
    entries = load_entries(MODELS, tmp_path).entries
    builtin = choose_embedder(entries, tmp_path, model)
    assert builtin and builtin.is_builtin and builtin.weight.at(0) == 0
    (model / "weight.toml").write_text(
        "least = 0\nmost = 0.5\nwords_suffice = 0.6\nwords_fail = 0.2", encoding="utf-8"
    )
    weighted = choose_embedder(entries, tmp_path, model)
    assert weighted
    shares = [weighted.weight.at(coverage) for coverage in (0, 0.2, 0.4, 0.6, 2)]
    assert shares == pytest.approx([0.5, 0.5, 0.25, 0, 0])
    for name in ("multilingual-e5-small", "ruri-v3-30m", "japanese-reranker-tiny-v2"):
        (tmp_path / name).mkdir()
    chosen = choose_embedder(entries, tmp_path, model)
    assert chosen and (chosen.path, chosen.is_builtin) == (tmp_path / "ruri-v3-30m", False)
    assert chosen.reranker == tmp_path / "japanese-reranker-tiny-v2"
    asked = choose_embedder(entries, tmp_path, model, embedder="multilingual-e5-small")
    assert asked and asked.path.name == "multilingual-e5-small"
    assert choose_embedder(entries, tmp_path, model, embedder="off") is None
    assert choose_embedder(entries, tmp_path, tmp_path / "nothing") == chosen


# --- testing a collection ------------------------------------------------------------------------


def test_a_collection_tests_itself(storage: Storage, tmp_path: Path) -> None:
    library = Library(storage.documents, tmp_path / "documents")
    library.start()
    rules = "".join(
        f"第{n}条 {a}の申請は、{b}の承認を得て、{n}日前までに総務部へ提出する。"
        for n, (a, b) in enumerate(
            (a, b) for a in ("休暇", "出張", "残業", "転勤") for b in ("部長", "課長", "社長")
        )
    )
    fill(library, storage, tmp_path, {"規程.txt": rules})
    (collection,) = storage.documents.collections(ME)
    *_, last = library.test_collection(ME, collection.id, num_questions=8)
    assert last.is_complete and 0 < last.num_total <= 8
    assert 0 <= last.recall[1] <= last.recall[10] <= 1
    assert len(last.misses) == round((1 - last.recall[10]) * last.num_total)
    first, *_ = library.test_collection(ME, collection.id)
    assert (first.num_done, first.is_complete) == (0, False)
    with pytest.raises(DocumentError):
        list(library.test_collection("other", collection.id))
    library.close()
