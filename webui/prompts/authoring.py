"""A user's own family: an edited template saved as a directory like every other, and taken back.

Knows nothing about pages; what it writes is what `families` reads.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from webui.prompts.families import NAME, Family, FamilyError, load_family
from webui.prompts.format import PromptFormat
from webui.prompts.jinja.template import ChatTemplate, whole_characters
from webui.prompts.reasoning import ReasoningKind

Value = str | int | float | bool | tuple[str, ...]


def save_family(directory: Path, name: str, source: str, *, like: PromptFormat) -> Family:
    """Write `source` as family `name` into `directory`; everything else as in `like`.

    Replaces a family of this name there. Raises FamilyError for a bad name or an unwritable
    directory, TemplateError for a source that cannot be compiled; then nothing is written.
    """
    folder = directory / name
    if not NAME.fullmatch(name):
        raise FamilyError("prompts.bad_family_name", name=name[:40])
    source = whole_characters(source)
    ChatTemplate(source, name=name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "chat.jinja").write_text(source, encoding="utf-8", newline="\n")
        (folder / "family.toml").write_text(_toml(name, like), encoding="utf-8", newline="\n")
    except OSError as error:
        raise FamilyError("prompts.bad_family", path=folder, problem=error.strerror) from error
    return load_family(folder)


def remove_family(directory: Path, name: str) -> None:
    """Go back: what is built in, or in the model's file, counts again. Raises FamilyError."""
    folder = directory / name
    if not NAME.fullmatch(name) or not (folder / "family.toml").is_file():
        raise FamilyError("prompts.unknown_family", name=name[:40])
    shutil.rmtree(folder)


def _toml(name: str, form: PromptFormat) -> str:
    """The family.toml of `form`. Recognition by name stays with the family it came from."""
    reasoning: dict[str, Value] = {}
    if form.reasoning.kind is not ReasoningKind.NONE:
        reasoning = {
            "kind": str(form.reasoning.kind),
            "open": form.reasoning.open,
            "close": form.reasoning.close,
            "anywhere": form.reasoning.is_anywhere,
            "stops_without": form.stops_without_thinking,
        }
    if form.thinking_switch:
        reasoning["switch"] = form.thinking_switch
        if form.thinks_by_default is not None:
            reasoning["default"] = form.thinks_by_default
    lines = _table(
        "",
        {
            "title": name,
            "source": f"the user's own, after {form.name}",
            "bos": str(form.bos),
            "bos_text": form.bos_text,
            "tokens": form.tokens,
            "stops": form.stops,
            "default_system": form.default_system,
            "system": "role" if form.supports_system else "first_user",
            "is_completion": form.is_completion,
        },
    )
    lines += _table("sampling", form.sampling)
    lines += _table("reasoning", reasoning)
    if form.fim:
        marks = {"prefix": form.fim.prefix, "suffix": form.fim.suffix, "middle": form.fim.middle}
        lines += _table("fim", marks)
    for variable in form.variables:
        allowed: dict[str, Value] = {"min": variable.low, "max": variable.high}
        if variable.choices:
            allowed = {"choices": variable.choices}
        lines += _table(f"variables.{variable.name}", {"default": variable.default, **allowed})
    return "\n".join(lines) + "\n"


def _table(header: str, values: Mapping[str, Value]) -> list[str]:
    if not values:
        return []
    return ([f"\n[{header}]"] if header else []) + [
        f"{key} = {_value(value)}" for key, value in values.items()
    ]


def _value(value: Value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
