"""pypdf's only door: the second reader, for pages and files that pdfium cannot read.

It is pure Python, so a hostile file cannot break the process, and its limits are set as tight as
ordinary documents allow. It knows no places on the paper. Runs in the document worker.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pypdf
from pypdf import _cmap  # the table of predefined CMaps has no public name; tests hold it

from webui.documents.reader.pdfium import UnreadableError, WrongPasswordError

MAX_FILE_BYTES = 100_000_000  # it reads files into memory

# Limits from measurements on 33 hostile files: each is refused or read in seconds. They are kept
# in a context variable, so they hold only inside `_limits`, in whatever thread that is.
_LIMITS = {
    "maximum_declared_stream_length": 50_000_000,
    "zlib_maximum_output_length": 20_000_000,
    "lzw_maximum_output_length": 20_000_000,
    "run_length_maximum_output_length": 20_000_000,
    "array_based_stream_maximum_output_length": 20_000_000,
    "brotli_maximum_output_length": 20_000_000,
    "stream_decoding_work_maximum_length": 60_000_000,
    "stream_parsing_work_maximum_count": 500_000,
    "page_tree_maximum_entries": 20_000,
    "zlib_maximum_recovery_input_length": 500_000,
    "image_maximum_buffer_size": 20_000_000,
    "xform_maximum_invocations_per_extraction": 500,
}

# Predefined CMaps that pypdf lacks (it has 90ms-RKSJ and the UCS2 and UTF16 ones).
_CODECS = {
    "cp932": "90msp-RKSJ 90pv-RKSJ 83pv-RKSJ RKSJ Ext-RKSJ Add-RKSJ",
    "euc_jp": "EUC 78-EUC",
    "utf-8": "UniJIS-UTF8 UniJIS2004-UTF8",
    "utf-32-be": "UniJIS-UTF32 UniJIS2004-UTF32",
    "utf-16-be": "UniJIS2004-UTF16",
}


class PypdfFile:
    """An open PDF, with the same verbs as PdfiumFile but text instead of glyphs."""

    def __init__(self, path: Path, password: str = "") -> None:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnreadableError("too large for the second reader")
        logging.getLogger("pypdf").setLevel(logging.CRITICAL)
        _add_codecs()
        with _limits():
            self._reader = pypdf.PdfReader(path)
            if self._reader.is_encrypted and not self._reader.decrypt(password):
                raise WrongPasswordError
            self.num_pages = len(self._reader.pages)

    def close(self) -> None:
        self._reader.close()

    def text(self, number: int) -> tuple[str, float, float]:
        """Page `number` (from 1): its text as it comes, its width and height in points."""
        with _limits():
            page = self._reader.pages[number - 1]
            box = page.cropbox
            return page.extract_text(), float(box.width), float(box.height)


def _add_codecs() -> None:
    for codec, names in _CODECS.items():
        for name in names.split():
            for direction in ("H", "V"):
                _cmap._predefined_cmap.setdefault(f"/{name}-{direction}", codec)


@contextmanager
def _limits() -> Iterator[None]:
    """pypdf's limits set, and its many ways to fail as one."""
    try:
        with pypdf.apply_configuration(**_LIMITS):
            yield
    except WrongPasswordError:
        raise
    except RecursionError as error:
        raise UnreadableError("nested too deeply") from error
    except Exception as error:  # hostile bytes reach every line of a parser
        raise UnreadableError(f"{type(error).__name__}: {error}") from error
