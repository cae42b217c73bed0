"""Character recognition: scanned pages become text with places, page by page, and stay it."""

import io
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest

from tests.documents.makepdf import Piece, pdf, scanned, set_lines, wrapped, write
from webui.documents.errors import DocumentError
from webui.documents.library import Library
from webui.documents.reader import ocr, rapid
from webui.storage import Document, DocumentStatus, NotFoundError, Storage
from webui.text.pages import PageProblem, RecognisedPage, Word

ME = "me"
TEXT = "年次有給休暇は、入社六か月後に十日を与える。出張の旅費は実費を支給する。"


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scanned pages and an empty one."""
    pages = [
        set_lines(wrapped(TEXT, 30), size=13),
        [],
        set_lines(["勤務時間は九時から。"], size=16),
    ]
    return write(tmp_path_factory.mktemp("scan") / "scan.pdf", scanned(pdf(pages), [1, 3]))


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


def added(library: Library, storage: Storage, path: Path) -> Document:
    where = storage.documents.create_collection(ME, "紙").id
    document, _ = library.add(ME, where, path.name, path)
    assert library.wait(30)
    return storage.documents.document(ME, document.id)


def test_a_scan_is_searched_after_recognition(
    library: Library, storage: Storage, scan: Path, tmp_path: Path
) -> None:
    document = added(library, storage, scan)
    assert document.problem == ("documents.no_text", {})
    library.recognise(ME, document.id)
    assert library.wait(240)
    document = storage.documents.document(ME, document.id)
    assert document.status is DocumentStatus.READY
    assert document.problem == ("documents.pages_unreadable", {"pages": "2"})
    best = library.search(ME, "有給休暇は何日").passages[0]
    page = library.page(ME, document.id, 1)
    assert page.is_recognised and "十日を与える" in page.text
    assert page.engine == rapid.NAME and page.confidence > 0.9
    place = best.span.on(page)
    assert place and page.boxes(*place)
    assert library.page(ME, document.id, 2).problem is PageProblem.NO_TEXT

    # What was seen is kept: another reading recognises only what is missing, and costs nothing.
    seen = tmp_path / "data" / "documents" / f"{document.id}.ocr"
    before = seen.read_text(encoding="utf-8")
    lines = [line for line in before.splitlines() if line]
    assert [line.partition(",")[0] for line in lines] == ["[1", "[2", "[3"]
    library.retry(ME, document.id)
    assert library.wait(30)
    assert seen.read_text(encoding="utf-8") == before
    assert library.page(ME, document.id, 1) == page

    library.remove(ME, document.id)
    assert not seen.exists()


@pytest.mark.thorough
def test_cancelled_recognition_leaves_what_was_read(
    library: Library, storage: Storage, tmp_path: Path
) -> None:
    text = set_lines(["本文である。"])
    image = set_lines(wrapped(TEXT * 12, 30), size=13)
    document = added(library, storage, write(tmp_path / "a.pdf", mixed(text, image)))
    problem = ("documents.pages_unreadable", {"pages": "2–3"})
    assert (document.status, document.problem) == (DocumentStatus.READY, problem)
    library.recognise(ME, document.id)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any(
        item.stage == "recognising" for item in library.progress(ME)
    ):
        time.sleep(0.01)
    library.cancel(ME, document.id)
    assert library.wait(20)
    document = storage.documents.document(ME, document.id)
    assert (document.status, document.problem) == (DocumentStatus.READY, problem)
    assert library.search(ME, "本文").passages


def mixed(text: list[Piece], image: list[Piece]) -> bytes:
    """A page of text and two scanned ones, put together by pdfium."""
    whole = pypdfium2.PdfDocument(pdf([text]))
    whole.import_pages(pypdfium2.PdfDocument(scanned(pdf([image, image]), [1, 2])))
    out = io.BytesIO()
    whole.save(out)
    return out.getvalue()


def test_recognition_needs_an_engine(
    library: Library, storage: Storage, scan: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = added(library, storage, scan)
    monkeypatch.setenv("PATH", str(tmp_path))  # no tesseract
    monkeypatch.setitem(sys.modules, "rapidocr", None)  # as where it is not installed
    with pytest.raises(DocumentError) as caught:
        library.recognise(ME, document.id)
    assert caught.value.key == "documents.no_ocr"
    with pytest.raises(NotFoundError):
        library.recognise("other", document.id)


def test_what_was_seen_survives_a_torn_line(tmp_path: Path) -> None:
    page = RecognisedPage(
        7,
        (Word("有給", 10.0, 20.0, 30.5, 31.0, 0, False), Word("a", 40, 20, 44, 31, 0)),
        "engine",
        0.75,
    )
    path = tmp_path / "x.ocr"
    line, later = ocr.as_line(page).encode(), replace(page, number=8)
    for end in range(1, len(line)):  # within a character, too
        path.write_bytes(line + line[:end] + ocr.as_line(later).encode())
        assert ocr.known_pages(path) == {7: page, 8: later}
    assert ocr.known_pages(tmp_path / "none") == {}
    path.write_text('\n[7, [["有給", 10, 20, 30, 31, 0]]]', encoding="utf-8")  # of an older version
    assert ocr.known_pages(path) == {7: RecognisedPage(7, (Word("有給", 10, 20, 30, 31, 0),))}
    shown = "".join(glyph.char for glyph in ocr.glyphs_of(page))
    assert shown == "有給 a"
