"""Families: a directory each, `prompts/<family>/` with chat.jinja and family.toml, read strictly.

Adding a family is adding a directory. An unknown key, a missing one or a wrong type is an error
that names file and key. Knows nothing about model files.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from webui.config import PROJECT_DIR
from webui.errors import AppError
from webui.prompts.format import FimMarks, PromptFormat, Variable
from webui.prompts.jinja.template import ChatTemplate
from webui.prompts.reasoning import Reasoning, ReasoningKind
from webui.prompts.rendered import BosRule

BUILTIN_DIR = PROJECT_DIR / "prompts"
NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
SAMPLING_KEYS = frozenset(
    "temperature top_k top_p min_p repeat_penalty presence_penalty frequency_penalty"
    " max_tokens".split()
)


class FamilyError(AppError):
    """A family's directory is not as it must be; `path` and `problem` say where and what."""


class UnknownFamilyError(AppError):
    """There is no family of this name."""


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of models is spoken to, and how its models are recognised."""

    name: str  # of its directory
    title: str  # for people
    source: str  # where the facts come from
    format: PromptFormat
    models: tuple[re.Pattern[str], ...] = ()  # parts of a model's name, in lower case
    architectures: tuple[str, ...] = ()  # GGUF's; for models whose name says nothing
    template_needs: tuple[str, ...] = ()  # a GGUF template without these is wrong for the model
    unsupported: str = ""  # why llama.cpp cannot run it; "" = it can
    is_certain: bool = True  # False: `source` is too thin to rely on, which users are told


@cache
def builtin_families() -> Mapping[str, Family]:
    """The families in `prompts/`, by name."""
    return load_families(BUILTIN_DIR)


def load_families(
    *directories: Path, now: Callable[[], datetime] = datetime.now
) -> dict[str, Family]:
    """Every family in `directories`; of the same name, the later one counts. Raises FamilyError."""
    return {
        path.parent.name: load_family(path.parent, now=now)
        for directory in directories
        for path in sorted(directory.glob("*/family.toml"))
    }


def load_family(directory: Path, *, now: Callable[[], datetime] = datetime.now) -> Family:
    """The family in `directory`. Raises FamilyError, and TemplateError for its chat.jinja."""
    name = directory.name
    table = _Table(directory / "family.toml")
    if not NAME.fullmatch(name):
        raise table.error("the directory's name may have a-z, 0-9, '.' and '-'")
    template = ChatTemplate(
        _read(directory / "chat.jinja"),
        name=name,
        bos_token=table.peek("bos_text"),
        eos_token=table.take("eos_text", ""),
        now=now,
    )
    return _family(name, template, table)


def _family(name: str, template: ChatTemplate, table: "_Table") -> Family:
    family = Family(
        name=name,
        title=table.take("title", str),
        source=table.take("source", str),
        models=tuple(table.pattern(text) for text in table.strings("models")),
        architectures=table.strings("architectures"),
        template_needs=table.strings("template_needs"),
        unsupported=table.take("unsupported", ""),
        is_certain=table.take("certain", True),
        format=_format(name, template, table),
    )
    table.finish()
    return family


def _format(name: str, template: ChatTemplate, table: "_Table") -> PromptFormat:
    reasoning = table.sub("reasoning")
    fim = table.sub("fim")
    switch = reasoning.take("switch", "")
    made = PromptFormat(
        name=name,
        template=template,
        stops=table.strings("stops"),
        bos=BosRule(table.one_of("bos", tuple(BosRule))),
        bos_text=table.take("bos_text", ""),
        tokens=table.strings("tokens"),
        default_system=table.take("default_system", ""),
        supports_system=table.one_of("system", ("role", "first_user")) == "role",
        is_completion=table.take("is_completion", False),
        thinking_switch=switch,
        thinks_by_default=reasoning.take("default", None, bool) if switch else None,
        stops_without_thinking=reasoning.strings("stops_without"),
        reasoning=_reasoning(reasoning),
        variables=_variables(table.sub("variables")),
        sampling=_sampling(table.sub("sampling")),
        fim=FimMarks(*(fim.take(key, str) for key in ("prefix", "suffix", "middle")))
        if fim
        else None,
    )
    for part in (reasoning, fim):
        part.finish()
    return made


def _reasoning(table: "_Table") -> Reasoning:
    if not table:
        return Reasoning()
    return Reasoning(
        kind=ReasoningKind(table.one_of("kind", ("tags", "channels"))),
        open=table.take("open", Reasoning().open),
        close=table.take("close", Reasoning().close),
        is_anywhere=table.take("anywhere", False),
    )


def _variables(table: "_Table") -> tuple[Variable, ...]:
    found = []
    for name in table.keys():
        entry = table.sub(name)
        choices = entry.strings("choices")
        default: int | str = entry.take("default", str if choices else int)
        low, high = (0, 0) if choices else (entry.take("min", int), entry.take("max", int))
        entry.finish()
        variable = Variable(name, default, choices, low, high)
        if not (default in choices if choices else low <= int(default) <= high):
            raise entry.error("default is not among the allowed values")
        found.append(variable)
    return tuple(found)


def _sampling(table: "_Table") -> dict[str, float]:
    for key in table.keys():
        if key not in SAMPLING_KEYS:
            raise table.error(f"unknown key {key}")
    return {key: table.take(key, float) for key in table.keys()}


class _Table:
    """A TOML table of which every key must be taken, each with the type that is expected."""

    def __init__(self, path: Path, values: dict[str, Any] | None = None, where: str = "") -> None:
        self._path = path
        self._where = where
        self._values = self._parse() if values is None else dict(values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def keys(self) -> list[str]:
        return list(self._values)

    def peek(self, key: str) -> str:
        return str(self._values.get(key, ""))

    def take(self, key: str, kind: Any, or_kind: type | None = None) -> Any:
        """The value of `key`; `kind` is the type it must have, or its default.

        `or_kind`: the type, where the default has another one.
        """
        expected = or_kind or (kind if isinstance(kind, type) else type(kind))
        if key not in self._values:
            if kind is expected:
                raise self.error(f"{key} is missing")
            return kind
        value = self._values.pop(key)
        if expected is float and type(value) is int:
            value = float(value)
        if type(value) is not expected:
            raise self.error(f"{key} must be {expected.__name__}")
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        values = self.take(key, [])
        if not all(isinstance(value, str) and value for value in values):
            raise self.error(f"{key} must be a list of texts")
        return tuple(values)

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.take(key, str)
        if value not in allowed:
            raise self.error(f"{key} must be one of: {', '.join(allowed)}")
        return str(value)

    def pattern(self, text: str) -> re.Pattern[str]:
        try:
            return re.compile(text)
        except re.error as error:
            raise self.error(f"models: {text}: {error}") from error

    def sub(self, key: str) -> "_Table":
        return _Table(self._path, self.take(key, {}), f"{self._where}{key}.")

    def finish(self) -> None:
        for key in self._values:
            raise self.error(f"unknown key {self._where}{key}")

    def error(self, problem: str) -> FamilyError:
        return FamilyError("prompts.bad_family", path=self._path, problem=problem)

    def _parse(self) -> dict[str, Any]:
        try:
            return tomllib.loads(_read(self._path))
        except tomllib.TOMLDecodeError as error:
            raise self.error(str(error)) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise FamilyError("prompts.bad_family", path=path, problem=reason) from error
