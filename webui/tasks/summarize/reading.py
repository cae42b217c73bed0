"""Files → sources, read in the document worker so that a hostile file ends only that process.

Blocking, for threads. Knows no models.
"""

from collections.abc import Callable
from pathlib import Path

from webui.documents.process import DocumentReader
from webui.documents.reader.text_formats import plain_text
from webui.tasks.summarize.source import Source, from_pages

SUFFIXES = (".pdf", ".txt", ".md", ".markdown", ".html", ".htm", ".docx")
_WRAPPED = ("txt", "md")  # lines may end inside sentences

OnPages = Callable[[int, int], None]  # done, in all


def read_source(
    reader: DocumentReader,
    path: Path,
    name: str = "",
    *,
    password: str = "",
    on_pages: OnPages = lambda done, total: None,
) -> Source:
    """Raises DocumentError, PasswordNeededError, EmptySourceError."""
    shown = name or path.name
    document = reader.read(
        path,
        shown,
        password=password,
        on_progress=lambda news: on_pages(news.num_done, news.num_pages),
    )
    return from_pages(
        document.pages,
        title=Path(shown).stem,
        file_name=shown,
        is_wrapped=document.kind in _WRAPPED,
    )


def decoded_text(data: bytes) -> str:
    """Text from a pipe, whatever its encoding. Raises DocumentError."""
    return plain_text(data)


def files_below(folder: Path) -> list[Path]:
    """What can be read in a folder, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
