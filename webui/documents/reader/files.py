"""FileReader: a file of any kind but PDF and pictures → its pages; files inside files too.

Knows which reader reads what; knows nothing about the pipe. A file inside another that cannot be
read is told by name, and the others are read.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import msoffcrypto
from msoffcrypto.exceptions import DecryptionError, InvalidKeyError
from msoffcrypto.exceptions import FileFormatError as CryptFormatError

from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.reader.archives import is_encrypted, members, read_epub
from webui.documents.reader.delimited import read_delimited
from webui.documents.reader.encodings import decoded
from webui.documents.reader.html import read_html
from webui.documents.reader.kinds import (
    MAX_TEXT_BYTES,
    is_encrypted_office,
    is_ole,
    is_xlsx,
    kind_of_file,
)
from webui.documents.reader.mail import mail_pages, read_mail, read_saved_page
from webui.documents.reader.markdown import read_markdown, without_pictures
from webui.documents.reader.outlook import read_msg
from webui.documents.reader.page_text import PageText
from webui.documents.reader.rtf import read_rtf
from webui.documents.reader.slides import read_slides
from webui.documents.reader.source_file import SourceFile
from webui.documents.reader.transcripts import read_transcript
from webui.documents.reader.word import read_word
from webui.documents.reader.workbook import read_other_workbook, read_workbook
from webui.text.pages import Kind, Page
from webui.text.places import Place, PlaceKind

log = logging.getLogger(__name__)

MAX_DEPTH = 3  # files inside files inside files
MAX_FILES = 1_000
_MAX_DATA_BYTES = 100_000_000  # of a kind that is read as a whole

ReadPdf = Callable[[SourceFile, str], list[Page]]  # and the password
ReadImage = Callable[[SourceFile], list[Page]]
OnProgress = Callable[[int, int, int], None]  # pages done, pages in all, characters so far


@dataclass(slots=True)
class FileReader:
    """Raises DocumentError, PasswordNeededError for the file itself."""

    password: str
    read_pdf: ReadPdf
    read_image: ReadImage
    on_progress: OnProgress
    on_left_out: Callable[[str], None]
    depth: int = 0
    num_files: int = 0
    num_pages: int = 0
    num_chars: int = 0

    def pages(self, file: SourceFile) -> list[Page]:
        kind = kind_of_file(file)
        if is_encrypted_office(file):
            file = self._decrypted(file)
        found = self._read(file, kind)
        if not found:
            raise DocumentError("documents.empty")
        numbered = [replace(page, number=number) for number, page in enumerate(found, start=1)]
        if not self.depth:
            self.on_progress(len(numbered), len(numbered), sum(len(one.text) for one in numbered))
        return numbered

    def _read(self, file: SourceFile, kind: Kind) -> Sequence[Page]:
        match kind:
            case Kind.PDF:
                return self.read_pdf(file, self.password)
            case Kind.IMAGE:
                return self.read_image(file)
            case Kind.WORD:
                return read_word(file.stream)
            case Kind.SHEET if is_xlsx(file):
                return read_workbook(file.stream, self._on_rows, self.on_left_out)
            case Kind.SHEET:
                return read_other_workbook(file.stream, self._on_rows, self.on_left_out)
            case Kind.SLIDES:
                return read_slides(file.stream, self.on_left_out)
            case Kind.EPUB:
                return read_epub(file.stream)
            case Kind.ARCHIVE:
                return self._archive(file)
            case Kind.MAIL if is_ole(file):
                return mail_pages(read_msg(file.stream), self._member)
            case _:
                return self._read_data(file, kind)

    def _read_data(self, file: SourceFile, kind: Kind) -> Sequence[Page]:
        data = file.data(_MAX_DATA_BYTES if kind in (Kind.RTF, Kind.MAIL) else MAX_TEXT_BYTES)
        match kind:
            case Kind.MAIL:
                return read_mail(data, self._member)
            case Kind.MHTML:
                return read_saved_page(data)
            case Kind.RTF:
                return read_rtf(data)
            case Kind.HTML:
                return read_html(data)
            case Kind.CSV:
                return read_delimited(decoded(data), self._on_rows)
            case Kind.TRANSCRIPT:
                return read_transcript(decoded(data))
            case Kind.MARKDOWN:
                return read_markdown(decoded(data))
            case _:
                return read_text(decoded(data))

    def _archive(self, file: SourceFile) -> list[Page]:
        if not self.password and is_encrypted(file.stream):
            raise PasswordNeededError(was_given=False)
        pages: list[Page] = []
        for member in members(file.stream, self.password, self.on_left_out):
            pages += self._member(member)
        if not pages:
            raise DocumentError("documents.nothing_inside")
        return pages

    def _member(self, file: SourceFile) -> Sequence[Page]:
        """Pages of a file inside, which say so; none when it cannot be read."""
        self.num_files += 1
        if self.depth >= MAX_DEPTH or self.num_files > MAX_FILES:
            self.on_left_out(file.name)
            return []
        self.depth += 1
        try:
            pages = [inside(page, file.name) for page in self.pages(file)]
        except DocumentError as error:
            log.info("a file inside cannot be read: %s", error.key)
            self.on_left_out(file.name)
            return []
        finally:
            self.depth -= 1
        self.num_pages += len(pages)
        self.num_chars += sum(len(page.text) for page in pages)
        self.on_progress(self.num_pages, 0, self.num_chars)
        return pages

    def _on_rows(self, num_rows: int, num_chars: int) -> None:
        self.on_progress(self.num_pages, 0, self.num_chars + num_chars)

    def _decrypted(self, file: SourceFile) -> SourceFile:
        if not self.password:
            raise PasswordNeededError(was_given=False)
        file.stream.seek(0)
        plain = BytesIO()
        try:
            office = msoffcrypto.OfficeFile(file.stream)
            office.load_key(password=self.password, verify_password=True)
            office.decrypt(plain)
        except InvalidKeyError as error:
            raise PasswordNeededError(was_given=True) from error
        except (
            DecryptionError,
            CryptFormatError,
            OSError,
            ValueError,
            KeyError,
            IndexError,
        ) as error:
            raise DocumentError("documents.password_unsupported") from error
        return SourceFile(file.name, plain, plain.tell())


def read_text(text: str) -> list[Page]:
    """Plain text: one page, as it is; pictures that were pasted into it left out."""
    page = PageText(is_cut=False)
    page.add(without_pictures(text.replace("\r\n", "\n").replace("\r", "\n")))
    return page.finished()


def inside(page: Page, name: str) -> Page:
    """`page` of a file that stands inside another."""
    if not page.places:
        place = Place(PlaceKind.FILE, file=name)
        if page.width:  # a PDF's
            place = Place(PlaceKind.PAGE, number=page.number, file=name)
        return replace(page, places=((0, place),), runs=())
    marks = (
        (at, replace(place, file=f"{name} › {place.file}" if place.file else name))
        for at, place in page.places
    )
    return replace(page, places=tuple(marks))
