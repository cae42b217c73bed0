"""Files → sources, read in the document worker so that a hostile file ends only that process.

Blocking, for threads. Knows no models.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from webui.documents.process import DocumentReader
from webui.documents.reader.encodings import decoded
from webui.tasks.summarize.source import Source, from_pages
from webui.text.characters import repaired_text
from webui.text.kinds import is_readable, is_shadow

_WRAPPED = ("txt", "md")  # lines may end inside sentences

OnPages = Callable[[int, int], None]  # done, in all


def read_source(
    reader: DocumentReader,
    path: Path,
    name: str = "",
    *,
    password: str = "",
    on_pages: OnPages = lambda done, total: None,
    on_left_out: Callable[[tuple[str, ...]], None] = lambda names: None,
) -> Source:
    """Raises DocumentError, PasswordNeededError, EmptySourceError."""
    shown = name or path.name
    document = reader.read(
        path,
        shown,
        password=password,
        on_progress=lambda news: on_pages(news.num_done, news.num_pages),
    )
    if document.left_out:
        on_left_out(document.left_out)
    return from_pages(
        document.pages,
        title=Path(shown).stem,
        file_name=shown,
        is_wrapped=document.kind in _WRAPPED,
    )


def decoded_text(data: bytes) -> str:
    """Text from a pipe, whatever its encoding. Raises DocumentError."""
    return repaired_text(decoded(data).replace("\r\n", "\n").replace("\r", "\n"))


def named(paths: Sequence[Path], limit: int = 8) -> str:
    """Some of their names, for one line."""
    return ", ".join(path.name for path in paths[:limit]) + ("…" if len(paths) > limit else "")


def files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """What can be read in a folder, by name, and what is left out; nobody's files are neither."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not is_shadow(path))
    readable = [path for path in files if is_readable(path)]
    return readable, [path for path in files if not is_readable(path)]
