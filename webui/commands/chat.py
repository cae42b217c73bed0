"""`chat`: answers in the terminal as they are written; one answer where the input is a pipe."""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from webui.application import Application
from webui.config import Settings
from webui.errors import AppError
from webui.strings import Language, text
from webui.tasks.complete import Ask, Piece, Started

AddSettings = Callable[[argparse.ArgumentParser], None]
END_WORDS = ("/exit", "/quit", "/bye")


def add_parser(commands: Any, language: Language, add_settings: AddSettings) -> None:
    parser = commands.add_parser("chat", help=text("commands.chat_help", language))
    parser.add_argument(
        "prompt", nargs="*", metavar="TEXT", help=text("commands.prompt_help", language)
    )
    parser.add_argument("--system", default="", help=text("commands.system_help", language))
    parser.add_argument("--max-tokens", type=int, help=text("commands.max_tokens_help", language))
    parser.add_argument(
        "--temperature", type=float, help=text("commands.temperature_help", language)
    )
    parser.add_argument("--seed", type=int, help=text("commands.seed_help", language))
    parser.add_argument("--json", action="store_true", help=text("commands.json_help", language))
    parser.set_defaults(run=run)
    add_settings(parser)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Raises AppError."""
    question = " ".join(options.prompt)
    if not sys.stdin.isatty():
        question = "\n\n".join(part for part in (question, sys.stdin.read().strip()) if part)
        if not question:
            raise AppError("commands.nothing_asked")
    application = Application.open(settings)
    with asyncio.Runner() as runner:
        terminal = _Terminal(application, options)
        try:
            if question:
                runner.run(terminal.answer(question))
            else:
                _talk(runner, terminal, Language(settings.language))
        finally:
            runner.run(application.close())
    return 0


def _talk(runner: asyncio.Runner, terminal: "_Terminal", language: Language) -> None:
    """Questions until the end of input. Ctrl+C stops an answer, and the chat between answers."""
    print(text("commands.chat_begins", language), file=sys.stderr)
    while True:
        try:
            question = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if question in END_WORDS:
            return
        if question:
            with contextlib.suppress(KeyboardInterrupt):
                runner.run(terminal.answer(question))


class _Terminal:
    """One conversation and where it is printed."""

    def __init__(self, application: Application, options: argparse.Namespace) -> None:
        self._completions = application.completions
        self._as_json = bool(options.json)
        self._messages: list[dict[str, str]] = []
        if options.system:
            self._messages.append({"role": "system", "content": options.system})
        names = ("max_tokens", "temperature", "seed")
        given = ((name, getattr(options, name)) for name in names)
        self._sampling = {name: value for name, value in given if value is not None}

    async def answer(self, question: str) -> None:
        """Print the answer as it comes, and keep both for the next question. Raises AppError."""
        self._messages.append({"role": "user", "content": question})
        ask = Ask(messages=tuple(self._messages), sampling=self._sampling)
        model_id, pieces = "", list[Piece]()
        try:
            async with contextlib.aclosing(self._completions.run(ask)) as events:
                async for event in events:
                    if isinstance(event, Started):
                        model_id = event.model_id
                    elif isinstance(event, Piece):
                        pieces.append(event)
                        self._show(event)
        finally:
            content = "".join(piece.text for piece in pieces)
            self._messages.append({"role": "assistant", "content": content})
            if pieces and not self._as_json:
                print()
        if self._as_json:
            print(json.dumps(_as_json(model_id, pieces), ensure_ascii=False))

    def _show(self, piece: Piece) -> None:
        if not self._as_json:
            print(piece.text, end="", flush=True)


def _as_json(model_id: str, pieces: Sequence[Piece]) -> dict[str, Any]:
    last = pieces[-1]
    return {
        "model": model_id,
        "content": "".join(piece.text for piece in pieces),
        "reasoning": "".join(piece.reasoning for piece in pieces),
        "finish_reason": str(last.finish_reason),
        "usage": asdict(last.usage) if last.usage else {},
    }
