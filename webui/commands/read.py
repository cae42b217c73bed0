"""`read`: what a file's text is, as Kajogaki reads it: page or place, text, and what is wrong.

The result goes to standard output, progress and what was left out to standard error. Nothing of the
file is kept, and no model is loaded.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from webui.config import Settings
from webui.documents.errors import PasswordNeededError
from webui.documents.extracted import Part, parts_of
from webui.documents.messages import Reading
from webui.documents.process import DocumentReader, ReadDocument
from webui.errors import AppError
from webui.strings import Language, text

AddSettings = Callable[[argparse.ArgumentParser], None]


class ReadError(AppError):
    """The file cannot be read; says which one and why."""


def add_parser(commands: Any, language: Language, add_settings: AddSettings) -> None:
    def help_of(name: str) -> str:
        return text(f"read.{name}_help", language)

    parser = commands.add_parser("read", help=help_of("command"))
    parser.add_argument("path", metavar="FILE", help=help_of("path"))
    formats = ["txt", "md", "json"]
    parser.add_argument("--format", choices=formats, default="txt", help=help_of("format"))
    parser.add_argument("--password", default="", help=help_of("password"))
    parser.add_argument("--no-ocr", action="store_true", help=help_of("no_ocr"))
    parser.set_defaults(run=run)
    add_settings(parser)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Raises AppError."""
    language = Language(settings.language)
    path = Path(options.path)
    if not path.is_file():
        raise ReadError("ask.no_such_file", path=options.path)
    try:
        read = _read(path, options, language)
    except PasswordNeededError as error:
        key = "read.wrong_password" if error.was_given else "read.needs_password"
        raise ReadError(key, path=path) from error
    except AppError as error:
        raise ReadError("ask.cannot_read", path=path, reason=error.message(language)) from error
    parts = list(parts_of(read.pages))
    if options.format == "json":
        print(json.dumps(_values(path, read, parts, language), ensure_ascii=False, indent=2))
    else:
        print("\n\n".join(_blocks(parts, options.format, language)))
    for problem in _problems(read, language):
        print(problem, file=sys.stderr)
    return 0


def _read(path: Path, options: argparse.Namespace, language: Language) -> ReadDocument:
    is_shown = sys.stderr.isatty()

    def show(news: Reading) -> None:
        if is_shown:
            line = text("read.progress", language, done=news.num_done, total=news.num_pages)
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    reader = DocumentReader()
    try:
        with tempfile.TemporaryDirectory(prefix="kajogaki-") as folder:
            return reader.read(
                path.resolve(),
                path.name,
                password=options.password,
                recognised_path=None if options.no_ocr else Path(folder) / "recognised",
                on_progress=show,
            )
    finally:
        reader.stop()
        if is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _blocks(parts: list[Part], style: str, language: Language) -> Iterator[str]:
    """Each part under its place; one that has all of a file without places stands alone."""
    for part in parts:
        remark = part.remark(language)
        if style == "md":
            lines = [f"## {part.label(language)}", f"> {remark}" if remark else "", part.text]
            yield "\n\n".join(line for line in lines if line)
        else:
            lines = [f"[{part.label(language)}]", f"※ {remark}" if remark else "", part.text]
            yield "\n".join(line for line in lines if line)


def _values(
    path: Path, read: ReadDocument, parts: list[Part], language: Language
) -> dict[str, Any]:
    return {
        "file": path.name,
        "kind": read.kind,
        "num_pages": len(read.pages),
        "parts": [part.values(language) for part in parts],
        "problems": list(_problems(read, language)),
        "left_out": list(read.left_out),
    }


def _problems(read: ReadDocument, language: Language) -> Iterator[str]:
    """What of the file is not in the result."""
    for page in read.pages:
        if page.problem:
            yield text(f"documents_page.page_{page.problem}", language, page=page.number)
    if read.left_out:
        names = "、".join(read.left_out)
        yield text("read.left_out", language, n=len(read.left_out), names=names)
