"""The command line of Kajogaki; what it consists of is built by webui/application.py.

    python app.py [serve] [--host … --port … --data-dir … --models-dir … --no-browser]
    python app.py chat | bench | keys …   (see webui/commands/)

Exit status 0 on success, 2 on a user's mistake, with one clear line on stderr.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock, Timeout

from webui.application import Application
from webui.commands import add_commands
from webui.config import Settings, add_arguments, load_settings
from webui.credentials import Credentials, login_needed
from webui.errors import AppError
from webui.private import FILE_MODE, PRIVATE_UMASK, make_private, use_private_temporary
from webui.strings import Language, text

log = logging.getLogger(__name__)


class StartError(AppError):
    """The application cannot start; the message says what to change."""


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    language = _spoken_language(arguments)
    try:
        options = _parser(language).parse_args(arguments)
        settings = load_settings(_given(options))
        if run := getattr(options, "run", None):
            _configure_logging(settings)
            return int(run(settings, options))
        return serve(settings)
    except AppError as error:
        print(error.message(language), file=sys.stderr)
        return 2


def serve(settings: Settings) -> int:
    """Serve the page until Ctrl+C. Raises AppError before anything is opened."""
    _configure_logging(settings)
    os.umask(PRIVATE_UMASK)
    _make_writable(settings.data_dir)
    if login_needed(settings) and Credentials(settings.data_dir).is_empty:
        raise StartError("app.no_users", host=settings.host)
    with _only_one_on(settings.data_dir):
        use_private_temporary(settings.data_dir)
        return _serve(settings)


def _serve(settings: Settings) -> int:
    from webui.api.server import serve as serve_page  # late: Gradio takes two seconds to import

    application = Application.open(settings)
    try:
        application.storage.mark_interrupted()
        serve_page(application, lambda url: _announce(url, settings))
    finally:
        asyncio.run(application.close())
    print(text("app.stopped", Language(settings.language)))
    return 0


def _announce(url: str, settings: Settings) -> None:
    print(text("app.serving", Language(settings.language), url=url), flush=True)
    if settings.browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _parser(language: Language) -> argparse.ArgumentParser:
    # No abbreviations: --mode of a command would be one of --models-dir.
    about = text("app.description", language)
    parser = _Parser(language, prog="app.py", description=about, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    page = commands.add_parser("serve", help=text("app.serve_help", language))
    for target in (parser, page):
        add_arguments(target, language)
    add_commands(commands, language, lambda target: add_arguments(target, language))
    return parser


class _Parser(argparse.ArgumentParser):
    """A mistake is one line, not a page of usage; argparse's own words are in `language` too."""

    def __init__(self, language: Language, **options: Any) -> None:
        super().__init__(**options, add_help=False, formatter_class=partial(_Help, language))
        self._language = language
        self.add_argument("-h", "--help", action="help", help=text("app.help_help", language))

    def add_subparsers(self, **options: Any) -> Any:
        parser_class: Any = partial(type(self), self._language)
        return super().add_subparsers(**options, parser_class=parser_class)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}  (--help)\n")


class _Help(argparse.HelpFormatter):
    """argparse's headings in the language of everything else."""

    def __init__(self, language: Language, prog: str) -> None:
        super().__init__(prog)
        self._headings = {
            "positional arguments": text("app.help_arguments", language),
            "options": text("app.help_options", language),
        }
        self._usage = text("app.help_usage", language)

    def start_section(self, heading: str | None) -> None:
        super().start_section(self._headings.get(heading or "", heading))

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, f"{self._usage} " if prefix is None else prefix)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Only what stands on the command line."""
    names = {item.name for item in fields(Settings)}
    return {name: value for name, value in vars(options).items() if name in names}


def _spoken_language(arguments: Sequence[str]) -> Language:
    """Known before anything is parsed, so that mistakes and --help are in it too."""
    for option, value in zip(arguments, arguments[1:], strict=False):
        if option == "--language" and value in set(Language):
            return Language(value)
    chosen = os.environ.get("KAJOGAKI_LANGUAGE", "")
    return Language(chosen) if chosen in set(Language) else Language.JA


def _configure_logging(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    os.environ["KAJOGAKI_LOG_LEVEL"] = settings.log_level  # the workers follow


def _make_writable(data_dir: Path) -> None:
    try:
        make_private(data_dir)
        probe = data_dir / ".write-test"
        probe.write_bytes(b"\0" * 65536)
        probe.unlink()
    except OSError as error:
        raise StartError("app.data_dir", path=data_dir, reason=error.strerror) from error


@contextlib.contextmanager
def _only_one_on(data_dir: Path) -> Iterator[None]:
    """A second app would take the first one's running answers for interrupted ones."""
    try:
        with FileLock(data_dir / "lock", timeout=0, mode=FILE_MODE):
            yield
    except Timeout as error:
        raise StartError("app.data_dir_in_use", path=data_dir) from error


if __name__ == "__main__":
    raise SystemExit(main())
