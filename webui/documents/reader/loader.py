"""A file → pages of repaired text. Knows nothing about chunks, the database or the pipe.

What a file is, is decided by its content; the name only tells kinds of text apart. Runs in the
document worker, whose limits in time and memory are the last word on hostile files.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.reader import images
from webui.documents.reader.additions import with_additions
from webui.documents.reader.files import FileReader
from webui.documents.reader.kinds import kind_of_file
from webui.documents.reader.ocr import DOTS_PER_POINT, Recognition, glyphs_of, is_available
from webui.documents.reader.paper import Paper
from webui.documents.reader.pdfium import (
    PdfiumFile,
    PrintedPage,
    UnreadableError,
    WrongPasswordError,
)
from webui.documents.reader.pypdf import PypdfFile
from webui.documents.reader.repair import PageLines, page_of_text, repaired_pages
from webui.documents.reader.source_file import SourceFile
from webui.text.characters import is_garbled, repaired_text
from webui.text.pages import Kind, Page, PageProblem, Reader, RecognisedPage

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1_000_000_000
MAX_PAGES = 20_000
MAX_INNER_PDF_BYTES = 100_000_000
_KEYS_PER_FILE = 1_000_000
_MAX_FAILED_PAGES = 50  # in a row
_FOR_RECOGNITION = (PageProblem.NO_TEXT, PageProblem.GARBLED)


Progress = Callable[[int, int, int], None]  # pages done, pages in all, characters so far


def kind_of(path: Path, name: str = "") -> Kind:
    """What the file is. Raises DocumentError when it is nothing that can be read."""
    with _opened(path, name) as file:
        return kind_of_file(file)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[SourceFile]:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise DocumentError("documents.too_large", limit_mb=MAX_FILE_BYTES // 1_000_000)
    with path.open("rb") as stream:
        yield SourceFile(name or path.name, stream, size, path)


def load(
    path: Path,
    name: str = "",
    *,
    password: str = "",
    reader: Reader = Reader.PDFIUM,
    on_progress: Progress = lambda done, total, num_chars: None,
    recognition: Recognition | None = None,
    reads_scans: bool = True,
    on_left_out: Callable[[str], None] = lambda name: None,
) -> list[Page]:
    """All pages of the file, with the problems of those that cannot be used.

    With `recognition`, pages of a PDF without text get the text that it sees in their picture,
    unless not `reads_scans`; picture files are always recognised. Parts that are not read (a file
    inside an archive, a hidden sheet) are told by name to `on_left_out`.

    Raises DocumentError when nothing of it can be read, PasswordNeededError when it is encrypted.
    """
    first_keys = count(step=_KEYS_PER_FILE)  # of what is recognised: each file inside has its own

    def read_pdf(file: SourceFile, password: str) -> list[Page]:
        source = file.path or file.data(MAX_INNER_PDF_BYTES)
        with _open_pdf(source, password, reader) as pdf:
            scans = recognition if reads_scans else None
            return pdf.pages(on_progress, scans, next(first_keys))

    def read_image(file: SourceFile) -> list[Page]:
        own = recognition or Recognition()
        try:
            return _image_pages(file, on_progress, own, next(first_keys))
        finally:
            if recognition is None:
                own.close()

    with _opened(path, name) as file:
        read = FileReader(password, read_pdf, read_image, on_progress, on_left_out)
        return read.pages(file)


# --- pictures ------------------------------------------------------------------------------------


def _image_pages(
    file: SourceFile, on_progress: Progress, recognition: Recognition, first_key: int
) -> list[Page]:
    """What is written on a picture, or on each one of a file that has several."""
    if not is_available():
        raise DocumentError("documents.no_ocr")
    total = images.num_frames(file.stream)
    found: list[PageLines] = []
    num_chars = 0
    paper = Paper()
    for number in range(1, total + 1):
        picture = images.scan(file.stream, number)
        on_progress(number - 1, total, num_chars)
        page = PageLines(number, [], picture.width, picture.height, PageProblem.NO_TEXT)
        if seen := recognition.page(first_key + number, picture.pair):
            page = with_recognised(page, seen, paper)
        found.append(page)
        num_chars += sum(len(line.text) for line in page.lines)
        on_progress(number, total, num_chars)
    return repaired_pages(found)


def with_recognised(page: PageLines, seen: RecognisedPage, paper: Paper) -> PageLines:
    """The page with what was recognised before its own lines; as it was where that is nothing."""
    lines = paper.lines(glyphs_of(seen), [], page.width, page.height)
    if not lines:
        return page
    return replace(
        page,
        lines=[*lines, *page.lines],
        problem=PageProblem.NONE,
        is_recognised=True,
        engine=seen.engine,
        confidence=seen.confidence,
    )


# --- PDF -----------------------------------------------------------------------------------------


class _Pdf:
    """A PDF that is read by one reader, with the other at hand for pages it cannot read."""

    def __init__(self, path: Path | bytes, password: str, first: PdfiumFile | PypdfFile) -> None:
        self._path = path
        self._password = password
        self._first = first
        self._second: PypdfFile | None = None
        self._paper = Paper()
        self._has_second = isinstance(first, PdfiumFile) and isinstance(path, Path)

    def close(self) -> None:
        self._first.close()
        if self._second:
            self._second.close()

    def pages(
        self, on_progress: Progress, recognition: Recognition | None, first_key: int = 0
    ) -> list[Page]:
        found: list[PageLines] = []
        num_chars = num_failed = 0
        for number in range(1, self._first.num_pages + 1):
            page = self._page(number)
            if recognition and page.problem in _FOR_RECOGNITION:
                on_progress(number - 1, self._first.num_pages, num_chars)
                page = self._recognised(page, recognition, first_key)
            found.append(page)
            num_chars += sum(len(line.text) for line in page.lines)
            num_failed = num_failed + 1 if page.problem is PageProblem.FAILED else 0
            if num_failed >= _MAX_FAILED_PAGES:
                raise DocumentError("documents.damaged")
            on_progress(number, self._first.num_pages, num_chars)
        if all(page.problem is PageProblem.FAILED for page in found):
            raise DocumentError("documents.damaged")
        return repaired_pages(found)

    def _page(self, number: int) -> PageLines:
        page = _read(self._first, number, self._paper)
        if page.problem and page.problem is not PageProblem.NO_TEXT and (other := self._other()):
            second = _read(other, number, self._paper)
            if not second.problem:
                return replace(
                    second, width=page.width or second.width, height=page.height or second.height
                )
        return page

    def _recognised(self, page: PageLines, recognition: Recognition, first_key: int) -> PageLines:
        first = self._first
        if not isinstance(first, PdfiumFile):
            return page
        try:
            seen = recognition.page(
                first_key + page.number, lambda: first.scan(page.number, DOTS_PER_POINT)
            )
        except UnreadableError as error:
            log.info("page %d has no picture: %s", page.number, error)
            return page
        return with_recognised(page, seen, self._paper) if seen else page

    def _other(self) -> PypdfFile | None:
        if self._has_second and self._second is None and isinstance(self._path, Path):
            try:
                self._second = PypdfFile(self._path, self._password)
            except (UnreadableError, WrongPasswordError) as error:
                log.info("the second reader cannot open it: %s", error)
                self._has_second = False
        return self._second


def _read(file: PdfiumFile | PypdfFile, number: int, paper: Paper) -> PageLines:
    try:
        if isinstance(file, PypdfFile):
            raw, width, height = file.text(number)
            page = replace(page_of_text(number, repaired_text(raw)), width=width, height=height)
        else:
            printed = file.page(number)
            raw = "".join(glyph.char for glyph in printed.glyphs)
            page = _page_of(number, printed, paper)
    except UnreadableError as error:
        log.info("page %d: %s", number, error)
        return PageLines(number, problem=PageProblem.FAILED)
    if not raw.strip():  # its lines are filled fields and notes, on a picture
        return replace(page, problem=PageProblem.NO_TEXT)
    if is_garbled(raw):
        return replace(page, lines=[], problem=PageProblem.GARBLED)
    return page


def _page_of(number: int, printed: PrintedPage, paper: Paper) -> PageLines:
    glyphs = with_additions(printed.glyphs, printed.additions)
    lines = paper.lines(glyphs, printed.rulings, printed.width, printed.height)
    return PageLines(number, lines, printed.width, printed.height)


@contextmanager
def _open_pdf(path: Path | bytes, password: str, reader: Reader) -> Iterator[_Pdf]:
    try:
        pdf = _Pdf(path, password, _first_reader(path, password, reader))
    except WrongPasswordError as error:
        raise PasswordNeededError(was_given=bool(password)) from error
    except UnreadableError as error:
        raise DocumentError("documents.damaged") from error
    try:
        yield pdf
    finally:
        pdf.close()


def _first_reader(path: Path | bytes, password: str, reader: Reader) -> PdfiumFile | PypdfFile:
    file: PdfiumFile | PypdfFile
    if isinstance(path, bytes):
        file = PdfiumFile(path, password)
    elif reader is Reader.PYPDF:
        file = PypdfFile(path, password)
    else:
        try:
            file = PdfiumFile(path, password)
        except UnreadableError as error:
            log.info("pdfium cannot open it: %s", error)
            file = PypdfFile(path, password)
    if file.num_pages > MAX_PAGES:
        file.close()
        raise DocumentError("documents.too_many_pages", num_pages=file.num_pages, limit=MAX_PAGES)
    if file.num_pages == 0:
        file.close()
        raise DocumentError("documents.damaged")
    return file
