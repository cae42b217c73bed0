"""Commands of app.py besides `serve`: each module adds its options and runs.

    keys.py     who may log in
    chat.py     a chat in the terminal, or one answer in a pipe
    bench.py    how fast a model answers on this machine
    summarize.py  bullets of texts and files
    ask.py      a question about files, answered with the places it rests on
    read.py     a file's text as it is read, with its places
    models.py   what models there are: fetch, check, quantise, measure them
    prompt.py   the exact prompt that a model reads

`add_commands` is all that app.py needs to know. Results are printed as JSON with --json.
"""

import argparse
from collections.abc import Callable
from typing import Any

from webui.commands.ask import add_parser as add_ask
from webui.commands.bench import add_parser as add_bench
from webui.commands.chat import add_parser as add_chat
from webui.commands.keys import add_parser as add_keys
from webui.commands.models import add_parser as add_models
from webui.commands.prompt import add_parser as add_prompt
from webui.commands.read import add_parser as add_read
from webui.commands.summarize import add_parser as add_summarize
from webui.config import Settings
from webui.strings import Language

Run = Callable[[Settings, argparse.Namespace], int]


def add_commands(
    commands: Any, language: Language, add_settings: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Add the commands' parsers to `commands`; each sets `run` to what does it."""
    for add_parser in (
        add_chat, add_bench, add_keys, add_models, add_prompt, add_summarize, add_ask,
        add_read,
    ):  # fmt: skip
        add_parser(commands, language, add_settings)
