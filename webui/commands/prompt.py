"""`prompt`: the exact text that a model reads for a list of messages, and what to know about it.

The page's inspector in the terminal; how prompts are made is in webui/prompts.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webui.application import Application
from webui.config import LOCAL_USER, Settings
from webui.engine.tokenizer import Tokenizer
from webui.errors import AppError
from webui.models import ModelSpec
from webui.prompts import BosRule, Choice, ModelFacts, RenderedPrompt, choose_family
from webui.strings import Language, text
from webui.tasks.chat.inspection import Level, diagnose
from webui.tasks.formats import Formats, facts_of

AddSettings = Callable[[argparse.ArgumentParser], None]


class PromptUsageError(AppError):
    """What was asked for is incomplete, or the file of messages is not one."""


def add_parser(commands: Any, language: Language, add_settings: AddSettings) -> None:
    prompt = commands.add_parser("prompt", help=text("inspector.help", language))
    prompt.add_argument("--family", default="", help=text("inspector.family_help", language))
    prompt.add_argument(
        "--messages", metavar="FILE", default="", help=text("inspector.messages_help", language)
    )
    prompt.add_argument(
        "--thinking", choices=("on", "off"), help=text("inspector.thinking_help", language)
    )
    prompt.add_argument("--list", action="store_true", help=text("inspector.list_help", language))
    prompt.add_argument("--json", action="store_true", help=text("inspector.json_help", language))
    prompt.set_defaults(run=_run)
    add_settings(prompt)  # --model is one of them


def _run(settings: Settings, options: argparse.Namespace) -> int:
    application = Application.open(settings)
    try:
        return _shown(application, options)
    finally:
        asyncio.run(application.close())


def _shown(application: Application, options: argparse.Namespace) -> int:
    settings, language = application.settings, Language(application.settings.language)
    if options.list:
        return _list(application.formats, options)
    if not options.messages or not (options.family or settings.model):
        raise PromptUsageError("inspector.usage")
    messages = _messages(options.messages, language)
    # With a family, only a --model on the command line brings a vocabulary, not a configured one.
    is_asked = bool(getattr(options, "model", "")) or not options.family
    spec = _spec(application) if is_asked else None
    tokenizer = Tokenizer(spec.path) if spec else None
    choice = _choice(application.formats, options.family, spec, tokenizer)
    thinking = None if options.thinking is None else options.thinking == "on"
    prompt = choice.format.render(messages, thinking=thinking)
    answer = _answer(choice, prompt, spec, tokenizer, language)
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(answer["text"])
        for warning in answer["warnings"]:
            print(f"{text('inspector.warnings', language)}: {warning}", file=sys.stderr)
    return 0


def _list(formats: Formats, options: argparse.Namespace) -> int:
    families = formats.families(LOCAL_USER)
    rows = [{"name": name, "title": families[name].title} for name in sorted(families)]
    lines = [f"{row['name']:<24}{row['title']}" for row in rows]
    print(json.dumps(rows, ensure_ascii=False) if options.json else "\n".join(lines))
    return 0


def _spec(application: Application) -> ModelSpec:
    spec = application.catalog.get(application.settings.model)
    if spec.error:
        raise spec.error
    return spec


def _choice(
    formats: Formats, family: str, spec: ModelSpec | None, tokenizer: Tokenizer | None
) -> Choice:
    """The family that was named, else the one this model gets on the page."""
    if family or spec is None or tokenizer is None:
        facts = facts_of(spec, tokenizer) if spec and tokenizer else ModelFacts()
        return choose_family(formats.families(LOCAL_USER), facts, user=family)
    return formats.choice(spec, tokenizer, LOCAL_USER)


def _answer(
    choice: Choice,
    prompt: RenderedPrompt,
    spec: ModelSpec | None,
    tokenizer: Tokenizer | None,
    language: Language,
) -> dict[str, Any]:
    form = choice.format
    ends = list(form.stop_strings())
    warnings = [choice.warning] if choice.warning else []
    bos = "" if form.bos is BosRule.NEVER else form.bos_text
    token_ids = None
    if spec and tokenizer:
        token_ids = tokenizer.encode(prompt)
        bos = tokenizer.bos_text if token_ids[:1] == [tokenizer.bos_id] else ""
        ends = list(dict.fromkeys([*ends, *tokenizer.end_texts]))
        findings = diagnose(choice, tokenizer, facts_of(spec, tokenizer))
        warnings = [one.sentence for one in findings if one.level is Level.WARNING]
    return {
        "family": choice.family or form.name,
        "text": prompt.text,
        "token_ids": token_ids,
        "bos": bos,
        "stops": ends,
        "warnings": [warning.message(language) for warning in warnings],
    }


def _messages(path: str, language: Language) -> list[dict[str, Any]]:
    """The messages in the file at `path`; what they say is checked by prompts."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        messages = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise PromptUsageError("inspector.bad_messages_file", path=path, reason=reason) from error
    except (ValueError, RecursionError) as error:
        reason = str(error)[:120]
        raise PromptUsageError("inspector.bad_messages_file", path=path, reason=reason) from error
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        reason = text("inspector.not_a_list", language)
        raise PromptUsageError("inspector.bad_messages_file", path=path, reason=reason)
    return messages
