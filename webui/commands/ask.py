"""`ask`: a question about files and folders, answered with the places that it rests on.

Progress goes to standard error, so that the result can be piped. Nothing of the files is kept.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from webui.application import Application
from webui.config import Settings
from webui.errors import AppError
from webui.storage import Document, DocumentStatus
from webui.strings import Language, text
from webui.tasks.ask.asker import Asker
from webui.tasks.ask.exports import to_markdown, to_values
from webui.tasks.ask.inquiry import AnswerUpdate, Asking, AskState
from webui.tasks.ask.searching import AskError
from webui.tasks.ask.temporary import TemporaryLibrary
from webui.tasks.summarize.reading import files_below, named

AddSettings = Callable[[argparse.ArgumentParser], None]
POLL_S = 0.1
NEEDS_PASSWORD = "documents.password_needed"


def add_parser(commands: Any, language: Language, add_settings: AddSettings) -> None:
    def help_of(name: str) -> str:
        return text(f"ask.{name}_help", language)

    parser = commands.add_parser("ask", help=help_of("command"))
    parser.add_argument("paths", nargs="+", metavar="PATH", help=help_of("paths"))
    parser.add_argument("--question", required=True, metavar="Q", help=help_of("question"))
    parser.add_argument("--format", choices=["md", "json"], default="md", help=help_of("format"))
    parser.add_argument("--password", default="", help=help_of("password"))
    parser.set_defaults(run=run)
    add_settings(parser)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Raises AppError."""
    if not options.question.strip():
        raise AskError("ask.empty_question")
    files = dict.fromkeys(_files(options.paths, Language(settings.language)))
    with TemporaryLibrary() as temporary:
        terminal = _Terminal(settings, options)
        began_at = time.perf_counter()
        terminal.read(temporary, list(files))
        read_s = round(time.perf_counter() - began_at, 3)
        try:
            last = asyncio.run(terminal.answer(temporary))
        except KeyboardInterrupt:
            return 130
        terminal.write(last, read_s)
    return 0


def _files(paths: list[str], language: Language) -> Iterator[tuple[Path, bool]]:
    """Each file, and whether it was named itself. Raises AskError."""
    for name in paths:
        path = Path(name)
        if path.is_dir():
            found, left_out = files_below(path)
            if left_out:
                names = named(left_out)
                told = text("ask.folder_left_out", language, n=len(left_out), names=names)
                print(told, file=sys.stderr)
            if not found:
                raise AskError("ask.no_files", path=name)
            yield from ((file, False) for file in found)
        elif path.is_file():
            yield path, True
        else:
            raise AskError("ask.no_such_file", path=name)


class _Terminal:
    def __init__(self, settings: Settings, options: argparse.Namespace) -> None:
        self._settings = settings
        self._options = options
        self._language = Language(settings.language)
        self._has_line = False

    def read(self, temporary: TemporaryLibrary, files: list[tuple[Path, bool]]) -> None:
        """A file named itself has to be readable, one in a folder is told and left out."""
        paths: dict[str, tuple[Path, bool]] = {}
        for path, is_named in files:
            try:
                paths[temporary.add_file(path, self._options.password).id] = path, is_named
            except AppError as error:
                self._cannot(path, is_named, error)
        while True:
            documents = temporary.state()
            for document in documents:
                if document.status is DocumentStatus.FAILED and document.id in paths:
                    self._cannot(*paths.pop(document.id), _problem(document))
                    temporary.remove(document.id)
            open_ones = [d for d in documents if d.status not in _ENDED]
            if not open_ones:
                break
            if temporary.library.trouble:  # a full disk: nobody would make room meanwhile
                raise temporary.library.trouble
            done = len(documents) - len(open_ones)
            self._show(text("ask.reading_files", self._language, done=done, total=len(documents)))
            time.sleep(POLL_S)
        self._clear_line()
        ready = [document for document in documents if document.status is DocumentStatus.READY]
        if not ready:
            raise AskError("ask.nothing_readable")
        for document in filter(lambda one: one.problem, ready):  # parts that were not read
            self._tell(f"{document.name}: {_problem(document).message(self._language)}")

    async def answer(self, temporary: TemporaryLibrary) -> AnswerUpdate:
        """Raises AppError."""
        application = Application.open(self._settings)
        asker = Asker(
            temporary.library, temporary.documents, application.engines, application.formats
        )
        asking = Asking(
            self._options.question, model_id=self._settings.model, language=self._language
        )
        last = AnswerUpdate(AskState.SEARCHING)
        try:
            async with aclosing(asker.answer(asking)) as updates:
                async for update in updates:
                    last = update
                    if update.state is AskState.WRITING:
                        self._show(text("ask.answering", self._language, n=last.num_tokens))
        finally:
            self._clear_line()
            await application.close()
        return last

    def write(self, last: AnswerUpdate, read_s: float) -> None:
        answer = last.answer
        assert answer is not None, "the last update has it"
        if self._options.format == "json":
            usage = asdict(last.usage) if last.usage else {}
            timings = {"read_s": read_s, **last.timings}
            values = {"model": last.model_id, **to_values(answer)}
            values |= {"timings": timings, "usage": usage}
            print(json.dumps(values, ensure_ascii=False, indent=2))
            return
        print(to_markdown(answer, self._language), end="")
        if not answer.abstention and len(answer.passages) < answer.num_found:
            self._tell(
                text(
                    "ask.used_passages",
                    self._language,
                    used=len(answer.passages),
                    found=answer.num_found,
                )
            )

    def _cannot(self, path: Path, is_named: bool, error: AppError) -> None:
        """Raises AskError where the file was named itself."""
        self._clear_line()
        if is_named and error.key == NEEDS_PASSWORD:
            raise AskError("ask.needs_password", path=path) from error
        reason = error.message(self._language)
        problem = AskError("ask.cannot_read", path=path, reason=reason)
        if is_named:
            raise problem from error
        self._tell(problem.message(self._language))

    def _show(self, line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            self._has_line = True

    def _clear_line(self) -> None:
        if self._has_line:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        self._has_line = False

    def _tell(self, line: str) -> None:
        print(line, file=sys.stderr)


_ENDED = (DocumentStatus.READY, DocumentStatus.FAILED)


def _problem(document: Document) -> AppError:
    key, values = document.problem or ("documents.damaged", {})
    return AppError(key, **values)
