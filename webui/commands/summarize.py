"""`summarize`: bullets of a text, a file, several files or a folder, on standard output.

The plan and the progress go to standard error, so that the result can be piped.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from webui.application import Application
from webui.config import LOCAL_USER, Settings
from webui.documents.library import left_out
from webui.errors import AppError
from webui.strings import Language, text
from webui.tasks.summarize.exports import ExportFormat, exported
from webui.tasks.summarize.reading import decoded_text, files_below, named, read_source
from webui.tasks.summarize.result import Summary
from webui.tasks.summarize.settings import Granularity, Mode, Style, SummarySettings
from webui.tasks.summarize.source import Source, pasted
from webui.tasks.summarize.summarizer import Planned, RunState, SummaryUpdate

AddSettings = Callable[[argparse.ArgumentParser], None]


class SummarizeError(AppError):
    """What was asked for on the command line cannot be done."""


def add_parser(commands: Any, language: Language, add_settings: AddSettings) -> None:
    def help_of(name: str) -> str:
        return text(f"summary.{name}_help", language)

    parser = commands.add_parser("summarize", help=help_of("command"))
    parser.add_argument("paths", nargs="+", metavar="PATH", help=help_of("paths"))
    parser.add_argument("--bullets", type=int, default=0, metavar="N", help=help_of("bullets"))
    usual = SummarySettings()
    modes = [str(mode) for mode in Mode]
    parser.add_argument("--mode", choices=modes, help=help_of("mode"))
    _choice(parser, "--granularity", Granularity, usual.granularity, help_of("granularity"))
    _choice(parser, "--style", Style, usual.style, help_of("style"))
    parser.add_argument("--to", choices=["ja", "en"], default="ja", help=help_of("to"))
    parser.add_argument(
        "--format", choices=[str(kind) for kind in ExportFormat], default="md",
        help=help_of("format"),
    )  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FOLDER", help=help_of("output"))
    parser.add_argument("--password", default="", help=help_of("password"))
    parser.add_argument("--yes", action="store_true", help=help_of("yes"))
    parser.set_defaults(run=run)
    add_settings(parser)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Raises AppError. Ctrl+C keeps what is finished for the next time."""
    wanted = SummarySettings.parse(
        {
            "num_bullets": options.bullets,
            "mode": options.mode or Mode.ABSTRACT,
            "granularity": options.granularity,
            "style": options.style,
            "language": options.to,
        }
    )
    application = Application.open(settings)
    with asyncio.Runner() as runner:
        terminal = _Terminal(application, options, wanted)
        try:
            return runner.run(terminal.summarize_all())
        except KeyboardInterrupt:
            terminal.tell("stopped")
            return 130
        finally:
            runner.run(application.close())


def _choice(
    parser: argparse.ArgumentParser,
    name: str,
    values: type[Mode] | type[Granularity] | type[Style],
    usual: str,
    help_text: str,
) -> None:
    names = [str(value) for value in values]
    parser.add_argument(name, choices=names, default=str(usual), help=help_text)


class _Terminal:
    def __init__(
        self, application: Application, options: argparse.Namespace, wanted: SummarySettings
    ) -> None:
        settings = application.settings
        self._summarizer = application.summarizer
        self._reader = application.reader
        self._model_id = settings.model
        self._options = options
        self._wanted = wanted
        if not options.mode and application.engines.spec(settings.model).is_builtin:
            self._wanted = replace(wanted, mode=Mode.VERBATIM)  # it chooses better than it writes
        self._format = ExportFormat(options.format)
        self._language = Language(settings.language)
        self._has_line = False

    async def summarize_all(self) -> int:
        """One result for each file. A file that fails is told; the others go on."""
        paths = list(self._inputs())
        if len(paths) > 1 and self._format is ExportFormat.WORD and not self._options.output:
            raise SummarizeError("summary.needs_output")
        status = 0
        for path in paths:
            try:
                source = await asyncio.to_thread(self._source, path)
                result = await self._summary(source)
            except AppError as error:
                if len(paths) == 1:
                    raise
                print(f"{path}: {error.message(self._language)}", file=sys.stderr)
                status = 2
                continue
            if result:
                self._write(path, result)
        return status

    def tell(self, name: str, **values: object) -> None:
        self._clear_line()
        print(text(f"summary.{name}", self._language, **values), file=sys.stderr)

    def _inputs(self) -> Iterator[str]:
        for name in self._options.paths:
            if name == "-":
                yield name
            elif Path(name).is_dir():
                found, left_out = files_below(Path(name))
                if left_out:
                    self.tell("folder_left_out", n=len(left_out), names=named(left_out))
                if not found:
                    raise SummarizeError("summary.no_files", path=name)
                yield from map(str, found)
            elif Path(name).is_file():
                yield name
            else:
                raise SummarizeError("summary.no_such_file", path=name)

    def _source(self, path: str) -> Source:
        if path == "-":
            return pasted(decoded_text(sys.stdin.buffer.read()))
        return read_source(
            self._reader,
            Path(path),
            password=self._options.password,
            on_left_out=lambda names: self._tell_left_out(path, names),
        )

    def _tell_left_out(self, path: str, names: tuple[str, ...]) -> None:
        key, values = left_out(names)
        print(f"{path}: {text(key, self._language, **values)}", file=sys.stderr)

    async def _summary(self, source: Source) -> Summary | None:
        """None when the answer to "may it take so long?" is no. Raises AppError."""
        planned = await self._plan(source)
        if planned.plan.needs_asking and not self._options.yes and not self._agrees():
            return None
        result: Summary | None = None
        updates = self._summarizer.run(
            LOCAL_USER, source, self._wanted, model_id=self._model_id, language=self._language
        )
        async with aclosing(updates):
            async for update in updates:
                if update.state is RunState.ERROR:
                    raise SummarizeError("summary.failed", reason=update.error)
                self._show(update)
                result = update.result or result
        self._clear_line()
        return result

    async def _plan(self, source: Source) -> Planned:
        plans = self._summarizer.plan(LOCAL_USER, source, self._wanted, self._model_id)
        async with aclosing(plans):
            async for event in plans:
                if isinstance(event, Planned):
                    plan = event.plan
                    self.tell(
                        "plan",
                        title=source.title,
                        num_tokens=plan.num_tokens,
                        num_sections=len(plan.sections),
                        num_calls=plan.num_calls,
                        time=duration(plan.eta_s, self._language),
                    )
                    if event.num_resumed:
                        self.tell("resumes", n=event.num_resumed)
                    return event
        raise SummarizeError("summary.empty")

    def _agrees(self) -> bool:
        """Whether the reader says yes. Where nobody can be asked it is a mistake not to say --yes.

        Raises SummarizeError.
        """
        if not sys.stdin.isatty():
            raise SummarizeError("summary.needs_yes")
        self.tell("ask")
        return sys.stdin.readline().strip().lower() in ("y", "yes", "はい")

    def _show(self, update: SummaryUpdate) -> None:
        if not sys.stderr.isatty() or not update.num_calls:
            return
        left = duration(update.eta_s or 0, self._language)
        line = text(
            "summary.progress",
            self._language,
            done=update.num_done,
            total=update.num_calls,
            time=left,
        )
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        self._has_line = True

    def _clear_line(self) -> None:
        if self._has_line:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        self._has_line = False

    def _write(self, path: str, result: Summary) -> None:
        data = exported(result, self._format, self._language)
        if self._options.output:
            self._options.output.mkdir(parents=True, exist_ok=True)
            stem = "stdin" if path == "-" else Path(path).name
            (self._options.output / f"{stem}.{self._format}").write_bytes(data)
            return
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def duration(seconds: float, language: Language) -> str:
    """About how long, in words."""
    if seconds < 90:
        return text("summary.seconds", language, n=max(1, round(seconds)))
    if seconds < 5400:
        return text("summary.minutes", language, n=round(seconds / 60))
    return text("summary.hours", language, n=f"{seconds / 3600:.1f}")
