"""Every sentence a person reads, in Japanese and English; knows nothing about where it is shown.

Source of the texts: `strings.toml` beside this file, one table per part of the product, each key
with both languages. A missing language or key is an error at start, not an empty label.
"""

import tomllib
from enum import StrEnum
from functools import cache
from pathlib import Path


class Language(StrEnum):
    JA = "ja"
    EN = "en"


def text(key: str, language: Language = Language.JA, **values: object) -> str:
    """The string `key` ("chat.send") in `language`, with `{name}` places filled from `values`.

    Raises KeyError when the key, or a value that the string asks for, is missing.
    """
    template = table()[key][language]
    return template.format(**values) if values else template


@cache
def table() -> dict[str, dict[Language, str]]:
    """All strings by dotted key. Raises ValueError naming the key that lacks a language."""
    with (Path(__file__).parent / "strings.toml").open("rb") as file:
        sections = tomllib.load(file)
    flat: dict[str, dict[Language, str]] = {}
    for section, entries in sections.items():
        for name, languages in entries.items():
            key = f"{section}.{name}"
            if set(languages) != set(Language):
                raise ValueError(f"strings.toml: {key} needs exactly ja and en")
            flat[key] = {Language(code): value for code, value in languages.items()}
    return flat
