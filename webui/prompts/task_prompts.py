"""TaskPrompt: the wording of one task, read strictly from prompts/tasks/<task>.<language>.toml.

A file says which variables its texts use; an unknown key, placeholder or family is an error that
names the file. Knows nothing about what the tasks do.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from webui.config import PROJECT_DIR
from webui.errors import AppError
from webui.strings import Language

TASKS_DIR = PROJECT_DIR / "prompts" / "tasks"
_KEYS = {"system", "user", "variables", "phrases", "family"}


class TaskPromptError(AppError):
    """A task's file is not as it must be; the message names file and problem."""


@dataclass(frozen=True, slots=True)
class TaskPrompt:
    """`user` has every variable of `variables`; phrases are pieces that tasks choose among."""

    path: Path
    user: Template
    variables: frozenset[str]
    system: str = ""
    phrases: Mapping[str, Template] = field(default_factory=dict)
    families: Mapping[str, "TaskPrompt"] = field(default_factory=dict)

    def for_family(self, family: str) -> "TaskPrompt":
        """The wording for one family of models; its own where the file has one."""
        return self.families.get(family, self)

    def phrase(self, name: str, **values: object) -> str:
        """Raises TaskPromptError when the file lacks it, or it asks for another value."""
        if name not in self.phrases:
            raise _error(self.path, f"phrases.{name} is missing")
        try:
            return self.phrases[name].substitute(values)
        except KeyError as error:
            raise _error(self.path, f"phrases.{name}: unknown variable {error}") from error

    def messages(self, **values: str) -> list[dict[str, str]]:
        """The conversation to send. A `$` in a value stays what it is."""
        assert values.keys() == self.variables, f"{self.path.name}: {sorted(self.variables)}"
        question = {"role": "user", "content": self.user.substitute(values)}
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, question]


@cache
def task_prompt(task: str, language: Language, directory: Path = TASKS_DIR) -> TaskPrompt:
    """The built-in wording. Raises TaskPromptError."""
    path = directory / f"{task}.{language}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _error(path, error.strerror or "unreadable") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _error(path, str(error)) from error
    return parse_task_prompt(path, values)


def parse_task_prompt(path: Path, values: Mapping[str, Any]) -> TaskPrompt:
    """`path` is for people. Raises TaskPromptError."""
    _only(path, values, _KEYS)
    variables = values.get("variables", [])
    if not isinstance(variables, list) or not all(isinstance(name, str) for name in variables):
        raise _error(path, "variables must be a list of texts")
    user = _template(path, values, "user")
    _uses(path, user, variables)
    phrases = _sub(path, values, "phrases")
    prompt = TaskPrompt(
        path,
        user,
        frozenset(variables),
        _text(path, values, "system", ""),
        {name: _template(path, phrases, name) for name in phrases},
    )
    families = _sub(path, values, "family")
    if not families:
        return prompt
    own = {name: _family(path, values, _sub(path, families, name)) for name in families}
    return TaskPrompt(path, user, prompt.variables, prompt.system, prompt.phrases, own)


def _family(path: Path, shared: Mapping[str, Any], own: Mapping[str, Any]) -> TaskPrompt:
    _only(path, own, _KEYS - {"family", "variables"})
    merged = {**shared, **own, "phrases": {**shared.get("phrases", {}), **own.get("phrases", {})}}
    merged.pop("family")
    return parse_task_prompt(path, merged)


def _uses(path: Path, template: Template, variables: Iterable[str]) -> None:
    if not template.is_valid():
        raise _error(path, "user: a $ without a name; write $$")
    used, known = set(template.get_identifiers()), set(variables)
    for name in sorted(used ^ known):
        raise _error(path, f"user: {name} is {'unknown' if name in used else 'not used'}")


def _only(path: Path, values: Mapping[str, Any], known: set[str]) -> None:
    for key in values.keys() - known:
        raise _error(path, f"unknown key {key}")


def _template(path: Path, values: Mapping[str, Any], key: str) -> Template:
    return Template(_text(path, values, key))


def _text(path: Path, values: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = values.get(key, default)
    if not isinstance(value, str):
        raise _error(path, f"{key} must be a text")
    return value


def _sub(path: Path, values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key, {})
    if not isinstance(value, dict):
        raise _error(path, f"{key} must be a table")
    return value


def _error(path: Path, problem: str) -> TaskPromptError:
    return TaskPromptError("summary.bad_prompt_file", path=path.name, problem=problem)
