"""The reader process: hostile files are bounded, its death costs nothing but the file."""

import os
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.documents.makepdf import file_of, pdf, set_lines, stream, write
from tests.patience import ends
from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.messages import Reading
from webui.documents.process import Cancelled, DocumentReader
from webui.errors import AppError

FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    reader = DocumentReader()
    yield reader
    reader.stop()


def packed(piece: bytes, count: int) -> bytes:
    compressor = zlib.compressobj(9)
    return b"".join(compressor.compress(piece) for _ in range(count)) + compressor.flush()


def one_page(content: bytes) -> bytes:
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Count 1/Kids[4 0 R]>>",
        3: FONT,
        4: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>"
        b"/Contents 5 0 R>>",
        5: content,
    }
    return file_of(objects)


def many_pages(num_pages: int, content: bytes) -> bytes:
    objects = {1: b"<</Type/Catalog/Pages 2 0 R>>", 3: FONT, 5: content}
    kids = range(10, 10 + num_pages)
    for number in kids:
        objects[number] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<</Font<</F1 3 0 R>>>>"
            b"/Contents 5 0 R>>"
        )
    objects[2] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (
        num_pages,
        b" ".join(b"%d 0 R" % number for number in kids),
    )
    return file_of(objects)


SPACES = b" " * (1 << 20)
BOMBS: dict[str, Callable[[], bytes]] = {
    "a gigabyte of spaces": lambda: one_page(stream(packed(SPACES, 1024))),
    "packed three times": lambda: one_page(
        stream(
            zlib.compress(zlib.compress(packed(SPACES, 1024))),
            b"[/FlateDecode/FlateDecode/FlateDecode]",
        )
    ),
    "one string of 60 MB": lambda: one_page(
        stream(zlib.compress(b"BT /F1 9 Tf (" + b"a" * 60_000_000 + b") Tj ET"))
    ),
    "two million operators": lambda: one_page(
        stream(packed(b"BT /F1 9 Tf (abcdefghijklmnop) Tj ET\n" * 10_000, 200))
    ),
    "1,000 pages of 70 MB": lambda: many_pages(1000, stream(packed(SPACES, 70))),
    "200,000 brackets": lambda: one_page(stream(zlib.compress(b"[" * 200_000))),
    "100,000 pages": lambda: many_pages(1, stream(zlib.compress(b"q Q"))).replace(
        b"Kids[10 0 R]", b"Kids[" + b"10 0 R " * 100_000 + b"]"
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_or_bounded(name: str, reader: DocumentReader, tmp_path: Path) -> None:
    path = write(tmp_path / "bomb.pdf", BOMBS[name]())
    peak, stop = [0], threading.Event()
    watcher = threading.Thread(target=watch_memory, args=(reader, peak, stop))
    watcher.start()
    try:
        with ends():  # our own process is not busy with it
            document = reader.read(path, path.name)
        assert sum(len(page.text) for page in document.pages) <= 500_000
    except DocumentError as error:
        assert error.key.startswith("documents.")
    finally:
        stop.set()
        watcher.join()
    assert peak[0] < 500_000_000


def watch_memory(reader: DocumentReader, peak: list[int], stop: threading.Event) -> None:
    while not stop.wait(0.02):
        try:
            if reader.pid:
                peak[0] = max(peak[0], psutil.Process(reader.pid).memory_info().rss)
        except psutil.Error:
            continue


@pytest.mark.thorough
def test_after_a_bomb_the_next_file_is_read(reader: DocumentReader, tmp_path: Path) -> None:
    bomb = write(tmp_path / "bomb.pdf", BOMBS["a gigabyte of spaces"]())
    with pytest.raises(DocumentError):
        reader.read(bomb, "bomb.pdf")
    good = write(tmp_path / "good.pdf", pdf([set_lines(["読める文章である。"])]))
    document = reader.read(good, "good.pdf")
    assert document.pages[0].text == "読める文章である。"
    assert [chunk.text for chunk in document.chunks] == ["読める文章である。"]
    assert document.kind == "pdf"


def test_a_killed_reader_is_started_again(tmp_path: Path) -> None:
    reader = DocumentReader()
    good = write(tmp_path / "good.pdf", pdf([set_lines(["読める文章である。"])]))
    reader.read(good, "good.pdf")
    first = reader.pid
    assert first
    os.kill(first, signal.SIGKILL)
    assert reader.read(good, "good.pdf").pages[0].text == "読める文章である。"
    assert reader.pid != first
    reader.stop()
    assert not psutil.pid_exists(first)


@pytest.mark.thorough
def test_a_kill_in_the_middle_is_survived_by_the_second_reader(tmp_path: Path) -> None:
    reader = DocumentReader()
    pages = [set_lines([f"{number}ページ目の文章である。"] * 40) for number in range(300)]
    path = write(tmp_path / "long.pdf", pdf(pages))
    killed: list[int] = []

    def kill_once(news: Reading) -> None:
        if not killed and reader.pid:
            killed.append(reader.pid)
            os.kill(reader.pid, signal.SIGKILL)

    document = reader.read(path, "long.pdf", on_progress=kill_once)
    assert killed and len(document.pages) == 300
    reader.stop()


@pytest.mark.thorough
def test_cancel_ends_the_work_at_once(tmp_path: Path) -> None:
    reader = DocumentReader()
    bomb = write(tmp_path / "bomb.pdf", BOMBS["1,000 pages of 70 MB"]())
    started = time.monotonic()
    with pytest.raises(Cancelled):
        reader.read(bomb, "bomb.pdf", is_cancelled=lambda: time.monotonic() - started > 1.5)
    assert reader.pid is None


def test_errors_come_through_the_pipe(reader: DocumentReader, tmp_path: Path) -> None:
    with pytest.raises(AppError) as caught:
        reader.read(write(tmp_path / "a.pdf", b""), "a.pdf")
    assert caught.value.key == "documents.empty"


def test_a_password_is_asked_for_and_used(reader: DocumentReader, tmp_path: Path) -> None:
    from tests.documents.reader.test_pdf import encrypted

    path = write(tmp_path / "a.pdf", encrypted("himitsu"))
    with pytest.raises(PasswordNeededError) as caught:
        reader.read(path, "a.pdf", password="chigau")
    assert caught.value.was_given
    assert reader.read(path, "a.pdf", password="himitsu").pages[0].text


def test_progress_is_told(reader: DocumentReader, tmp_path: Path) -> None:
    pages = [set_lines([f"{number}ページ目の文章である。"] * 40) for number in range(30)]
    news: list[Reading] = []
    reader.read(write(tmp_path / "a.pdf", pdf(pages)), "a.pdf", on_progress=news.append)
    assert news and all(item.num_pages == 30 for item in news)


def test_a_page_is_drawn(reader: DocumentReader, tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", pdf([set_lines(["絵になる文章。"])]))
    png = reader.draw(path, 1, 400)
    assert png.startswith(b"\x89PNG")
    with pytest.raises(DocumentError):
        reader.draw(path, 7, 400)
