"""The library: from a file to a search, and nothing lost, doubled or half done on the way."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.makepdf import pdf, set_lines, write
from tests.documents.reader.office import CASES, zipped
from tests.documents.reader.test_pdf import encrypted
from tests.places import ROOT
from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.library import Library, page_ranges
from webui.documents.process import DocumentReader
from webui.storage import Document, DocumentStatus, NotFoundError, Storage

ME, OTHER = "me", "other"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path / "data" / "kajogaki.db")
    yield storage
    storage.close()


@pytest.fixture
def library(storage: Storage, tmp_path: Path) -> Iterator[Library]:
    library = Library(storage.documents, tmp_path / "data" / "documents")
    library.start()
    yield library
    library.close()


def collection(storage: Storage, owner: str = ME) -> str:
    return storage.documents.create_collection(owner, "規程集").id


def added(library: Library, storage: Storage, path: Path, name: str = "", **more: str) -> Document:
    collections = storage.documents.collections(ME)
    where = collections[0].id if collections else collection(storage)
    document, _ = library.add(ME, where, name or path.name, path, **more)
    assert library.wait(30)
    return storage.documents.document(ME, document.id)


def trouble_of(library: Library) -> str:
    return library.trouble.key if library.trouble else ""


def text_file(folder: Path, name: str, text: str) -> Path:
    return write(folder / name, text.encode())


RULES = "第1条　年次有給休暇は、入社六か月後に十日を与える。\n第2条　出張の旅費は、実費を支給する。"


def test_a_pdf_is_found_with_its_page(library: Library, storage: Storage, tmp_path: Path) -> None:
    pages = [
        set_lines(["梅雨は雨季の一種である。"]),
        set_lines(["年次有給休暇は入社六か月後に十日を与える。"]),
    ]
    document = added(library, storage, write(tmp_path / "規程.pdf", pdf(pages)))
    assert (document.status, document.num_pages, document.kind) == ("ready", 2, "pdf")
    found = library.search(ME, "有給休暇は何日もらえますか")
    assert not found.used_vectors
    best = found.passages[0]
    assert (best.document_name, best.span.page_from) == ("規程.pdf", 2)
    page = library.page(ME, document.id, 2)
    place = best.span.on(page)
    assert place and page.boxes(*place)
    assert library.picture(ME, document.id, 2, 300).startswith(b"\x89PNG")


def test_the_same_file_twice_is_recognised(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    path = text_file(tmp_path, "a.txt", RULES)
    where = collection(storage)
    first, is_new = library.add(ME, where, "a.txt", path)
    second, is_new_again = library.add(ME, where, "b.txt", path)
    assert (first.id, is_new, is_new_again) == (second.id, True, False)
    other_place = storage.documents.create_collection(ME, "別").id
    assert library.add(ME, other_place, "a.txt", path)[1]
    assert library.wait(30)


def test_a_removed_document_is_found_no_more(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    document = added(library, storage, text_file(tmp_path, "a.txt", RULES))
    kept = added(library, storage, text_file(tmp_path, "b.txt", "旅費は精算する。"))
    library.remove(ME, document.id)
    found = library.search(ME, "旅費").passages
    assert [passage.document_id for passage in found] == [kept.id]
    assert [file.name for file in (tmp_path / "data" / "documents").iterdir()] == [kept.id]
    check_consistent(tmp_path / "data" / "kajogaki.db")


def test_a_search_can_be_limited_to_documents(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    first = added(library, storage, text_file(tmp_path, "a.txt", "旅費は実費を支給する。"))
    second = added(library, storage, text_file(tmp_path, "b.txt", "旅費は精算する。"))
    found = library.search(ME, "旅費の精算", document_ids=[first.id]).passages
    assert {passage.document_id for passage in found} == {first.id}
    assert library.search(ME, "旅費の精算").passages[0].document_id == second.id


@pytest.mark.parametrize(
    "question", ["有", "旅費", "Ａ社", "a社", "2024年5月", "？！", "", "\ud800", 'x" OR "']
)
def test_questions_of_any_shape(
    question: str, library: Library, storage: Storage, tmp_path: Path
) -> None:
    added(library, storage, text_file(tmp_path, "x.txt", "A社の有給と旅費は2024年5月に改定した。"))
    found = library.search(ME, question).passages
    expected = question not in ("？！", "", "\ud800", 'x" OR "')
    assert bool(found) >= expected


def test_other_owners_see_nothing(library: Library, storage: Storage, tmp_path: Path) -> None:
    document = added(library, storage, text_file(tmp_path, "a.txt", RULES))
    assert library.search(OTHER, "有給休暇").passages == []
    assert library.search(OTHER, "有給休暇", document_ids=[document.id]).passages == []
    for use in (
        lambda: library.pages(OTHER, document.id),
        lambda: library.picture(OTHER, document.id, 1),
        lambda: library.remove(OTHER, document.id),
        lambda: library.retry(OTHER, document.id),
        lambda: library.cancel(OTHER, document.id),
        lambda: library.remove_collection(OTHER, document.collection_id),
        lambda: library.add(OTHER, document.collection_id, "b", tmp_path / "a.txt"),
    ):
        with pytest.raises(NotFoundError):
            use()
    assert library.search(ME, "有給休暇").passages


def test_a_bad_file_fails_with_its_reason_and_indexes_nothing(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    document = added(library, storage, write(tmp_path / "a.pdf", b"%PDF-1.4 broken"))
    assert document.status is DocumentStatus.FAILED
    assert document.problem == ("documents.damaged", {})
    assert document.num_chunks == 0


def test_pages_without_text_are_named(library: Library, storage: Storage, tmp_path: Path) -> None:
    pages = [set_lines(["本文である。"]), [], [], set_lines(["続きである。"]), []]
    document = added(library, storage, write(tmp_path / "a.pdf", pdf(pages)))
    assert document.status is DocumentStatus.READY
    assert document.problem == ("documents.pages_unreadable", {"pages": "2–3, 5"})
    scanned = added(library, storage, write(tmp_path / "b.pdf", pdf([[], []])))
    assert scanned.problem == ("documents.no_text", {})


def test_a_password_can_be_given_later(library: Library, storage: Storage, tmp_path: Path) -> None:
    document = added(library, storage, write(tmp_path / "a.pdf", encrypted("himitsu")))
    assert document.problem == ("documents.password_needed", {})
    library.retry(ME, document.id, "chigau")
    assert library.wait(30)
    assert storage.documents.document(ME, document.id).problem == ("documents.password_wrong", {})
    library.retry(ME, document.id, "himitsu")
    assert library.wait(30)
    assert storage.documents.document(ME, document.id).status is DocumentStatus.READY
    with pytest.raises(NotFoundError):
        library.retry(OTHER, document.id, "chigau")
    assert library.picture(ME, document.id, 1)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "日本語📄.txt", "a\0b.txt", "x" * 5000 + ".txt", "..", "\u202etxt.exe"],
)
def test_names_stay_names(name: str, library: Library, storage: Storage, tmp_path: Path) -> None:
    document = added(library, storage, text_file(tmp_path, "a.txt", RULES), name)
    assert document.status is DocumentStatus.READY
    assert document.name and "/" not in document.name and "\0" not in document.name
    assert len(document.name) <= 200
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {file.parent.name for file in files} <= {"documents", "data", tmp_path.name}


def test_an_empty_file_is_refused_at_once(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    with pytest.raises(DocumentError) as caught:
        library.add(ME, collection(storage), "a.txt", write(tmp_path / "a.txt", b""))
    assert caught.value.key == "documents.empty"
    assert storage.documents.documents(ME) == []


def test_a_cancelled_document_is_not_read(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    pages = [set_lines([f"{number}ページ目の文章である。"] * 45) for number in range(800)]
    path = write(tmp_path / "long.pdf", pdf(pages))
    document, _ = library.add(ME, collection(storage), "long.pdf", path)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any(
        item.stage == "reading" for item in library.progress(ME)
    ):
        time.sleep(0.02)
    library.cancel(ME, document.id)
    assert library.wait(30)
    now = storage.documents.document(ME, document.id)
    assert now.problem == ("documents.cancelled", {}) and now.num_chunks == 0


def test_a_replacement_takes_the_place_when_it_is_ready(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    old = added(library, storage, text_file(tmp_path, "規程.txt", "旅費は定額とする。"))
    broken = write(tmp_path / "x.pdf", b"%PDF-1.4 broken")
    failed, _ = library.add(ME, old.collection_id, "規程.txt", broken, replaces=old.id)
    assert library.wait(30)
    assert library.search(ME, "旅費").passages[0].document_id == old.id
    library.remove(ME, failed.id)

    path = text_file(tmp_path, "y.txt", "旅費は実費とする。")
    new, _ = library.add(ME, old.collection_id, "規程.txt", path, replaces=old.id)
    assert library.wait(30)
    (left,) = storage.documents.documents(ME)
    assert (left.id, left.name, left.status) == (new.id, "規程.txt", DocumentStatus.READY)
    assert [passage.document_id for passage in library.search(ME, "旅費").passages] == [new.id]
    assert [file.name for file in (tmp_path / "data" / "documents").iterdir()] == [new.id]
    with pytest.raises(NotFoundError):
        library.add(ME, old.collection_id, "a", broken, replaces=old.id)
    check_consistent(tmp_path / "data" / "kajogaki.db")


def test_a_taken_name_gets_a_number(library: Library, storage: Storage, tmp_path: Path) -> None:
    names = []
    for count, name in enumerate(["規程.txt", "規程.txt", "規程.txt", "x" * 300, "x" * 300]):
        path = text_file(tmp_path, f"{count}.txt", f"{count}番目の文である。")
        names.append(added(library, storage, path, name).name)
    assert names[:3] == ["規程.txt", "規程 (2).txt", "規程 (3).txt"]
    assert names[3] != names[4] and len(names[4]) <= 200


def test_a_password_opens_the_pictures_after_a_restart(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.pdf", encrypted("himitsu"))
    document = added(library, storage, path, password="himitsu")
    again = Library(storage.documents, tmp_path / "data" / "documents")
    try:
        with pytest.raises(PasswordNeededError):
            again.picture(ME, document.id, 1, 100)
        with pytest.raises(PasswordNeededError) as caught:
            again.unlock(ME, document.id, "chigau")
        assert caught.value.was_given
        again.unlock(ME, document.id, "himitsu")
        assert again.picture(ME, document.id, 1, 100).startswith(b"\x89PNG")
    finally:
        again.close()


def test_a_full_disk_is_told_and_reading_goes_on_when_there_is_room(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    where = collection(storage)
    writer = storage._database._writer
    (num_pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {num_pages + 3}")
    text = "".join(f"{number}番目の規程の文章である。" for number in range(3000))
    document, _ = library.add(ME, where, "a.txt", text_file(tmp_path, "a.txt", text))
    deadline = time.monotonic() + 30
    while not trouble_of(library) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert trouble_of(library) == "storage.disk_full"
    assert storage.documents.document(ME, document.id).num_chunks == 0
    writer.execute("PRAGMA max_page_count = 1073741823")
    library.retry(ME, document.id)
    assert library.wait(30)
    assert storage.documents.document(ME, document.id).status is DocumentStatus.READY
    assert not trouble_of(library)
    check_consistent(tmp_path / "data" / "kajogaki.db")


def test_the_job_outlives_what_nobody_has_thought_of(
    library: Library, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(DocumentReader, "read", _no_more_processes)
        document = added(library, storage, text_file(tmp_path, "a.txt", RULES))
    assert document.problem == ("documents.reading_failed", {})
    assert added(library, storage, text_file(tmp_path, "b.txt", "旅費")).num_chunks == 1
    with monkeypatch.context() as patch:
        patch.setattr(library, "_embed", _no_more_processes)
        assert added(library, storage, text_file(tmp_path, "c.txt", "休暇")).num_chunks == 1
        assert trouble_of(library) == "documents.job_failed"
    assert added(library, storage, text_file(tmp_path, "d.txt", "残業")).num_chunks == 1
    assert not trouble_of(library)


def _no_more_processes(*_: object, **__: object) -> None:
    raise BlockingIOError(11, "Resource temporarily unavailable")


def test_page_ranges() -> None:
    assert page_ranges([3]) == "3"
    assert page_ranges([1, 3, 4, 5]) == "1, 3–5"
    assert page_ranges(list(range(1, 40, 2))).endswith("…")


# --- kills ---------------------------------------------------------------------------------------

ADD_FOREVER = """
    import sys, itertools, random
    from pathlib import Path
    from webui.documents.library import Library
    from webui.storage import Storage

    folder = Path(sys.argv[1])
    storage = Storage(folder / "kajogaki.db")
    library = Library(storage.documents, folder / "documents")
    library.start()
    owned = storage.documents.collections("me")
    where = owned[0].id if owned else storage.documents.create_collection("me", "x").id
    print("ready", flush=True)
    source = folder / "source.txt"
    for number in itertools.count():
        text = "".join(f"{random.random()}番目の規程の文章である。" for _ in range(400))
        source.write_text(text, encoding="utf-8")
        document, _ = library.add("me", where, f"{number}.txt", source)
        if number % 4 == 3:
            documents = storage.documents.documents("me")
            library.remove("me", random.choice(documents).id)
        library.wait(0.05)
"""


def check_consistent(path: Path) -> None:
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    assert db.execute(
        "SELECT count(*) FROM documents d WHERE num_chunks !="
        " (SELECT count(*) FROM chunks WHERE document_number = d.number)"
    ).fetchall() == [(0,)]
    (num_chunks,) = db.execute("SELECT count(*) FROM chunks").fetchone()
    (num_indexed,) = db.execute("SELECT coalesce(sum(num_chunks), 0) FROM segments").fetchone()
    assert num_chunks == num_indexed
    assert db.execute(
        "SELECT count(*) FROM postings WHERE key >> 32 NOT IN (SELECT number FROM segments)"
    ).fetchall() == [(0,)]
    db.close()


@pytest.mark.thorough
def test_the_index_is_whole_after_every_kill(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for _ in range(int(os.environ.get("KAJOGAKI_TEST_KILLS", "20"))):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(ADD_FOREVER), str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(random.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        check_consistent(folder / "kajogaki.db")
    storage = Storage(folder / "kajogaki.db")
    library = Library(storage.documents, folder / "documents")
    library.start()
    assert library.wait(60)
    documents = storage.documents.documents(ME)
    assert all(
        document.status is DocumentStatus.READY or document.problem == ("documents.file_lost", {})
        for document in documents
    )
    files = {file.name for file in (folder / "documents").iterdir()}
    assert files <= {document.id for document in documents}
    library.close()
    storage.close()
    check_consistent(folder / "kajogaki.db")


def test_the_web_process_never_imports_what_parses_or_embeds() -> None:
    code = """
        import sys
        import app, webui.documents.library, webui.api.server
        heavy = {"torch", "transformers", "sentence_transformers", "pypdf", "pypdfium2"}
        print(sorted(heavy & set(sys.modules)))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True
    )
    assert out.stdout == "[]\n", out.stderr


def test_a_found_row_of_a_sheet_names_its_cells(library: Library, storage: Storage) -> None:
    document = added(library, storage, CASES / "売上.xlsx")
    assert document.status is DocumentStatus.READY and document.kind == "xlsx"
    passage = library.search(ME, "仙台の売上").passages[0]
    place = library.place(ME, document.id, passage.span)
    assert place is not None and place.label() == "シート「4月」!A1:B2"
    assert "| 支店: 仙台 | 売上: 120 |" in passage.text


def test_an_archive_says_what_is_not_in_the_index(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    data = zipped({"報告.txt": "予算は百円である。".encode("cp932"), "道具.exe": b"MZ"})
    document = added(library, storage, write(tmp_path / "一式.zip", data))
    assert document.status is DocumentStatus.READY
    assert document.problem == ("documents.left_out", {"n": 1, "names": "道具.exe"})
    passage = library.search(ME, "予算").passages[0]
    place = library.place(ME, document.id, passage.span)
    assert place is not None and place.label() == "報告.txt"


def test_a_locked_office_file_is_opened_by_its_password(library: Library, storage: Storage) -> None:
    document = added(library, storage, CASES / "パスワード付き.docx")
    assert document.problem == ("documents.password_needed", {})
    library.retry(ME, document.id, "ひみつ")
    assert library.wait(30)
    changed = storage.documents.document(ME, document.id)
    assert changed.problem == ("documents.password_unsupported", {})
