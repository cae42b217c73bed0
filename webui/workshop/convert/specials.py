"""Special tokens and the chat template of a Hugging Face folder. Knows nothing about weights.

tokenizer_config.json names tokens by their text, config.json and generation_config.json by id; the
text counts more, because fine-tuners change it and forget the ids.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.workshop.convert.errors import ConvertError
from webui.workshop.convert.hyperparameters import read_json

MAX_TEMPLATE_BYTES = 1 << 20
NAMES = ("bos", "eos", "unk", "pad")


@dataclass(frozen=True, slots=True)
class Specials:
    ids: Mapping[str, int]  # bos, eos, unk, pad, eot: those that there are
    add_bos: bool
    chat_template: str  # "" = none


def read_specials(folder: Path, pieces: Sequence[str]) -> Specials:
    """Raises ConvertError."""
    settings, config = (
        _optional(folder / "tokenizer_config.json"),
        read_json(folder / "config.json"),
    )
    generation = _optional(folder / "generation_config.json")
    numbers = {piece: number for number, piece in reversed(list(enumerate(pieces)))}
    ids: dict[str, int] = {}
    for name in NAMES:
        by_text = numbers.get(_text(settings.get(f"{name}_token")))
        number = _first(config.get(f"{name}_token_id")) if by_text is None else by_text
        if number is not None and 0 <= number < len(pieces):
            ids[name] = number
    ends = generation.get("eos_token_id")
    for number in ends if isinstance(ends, list) else [ends]:
        if type(number) is int and number != ids.get("eos") and 0 <= number < len(pieces):
            ids.setdefault("eot", number)
    add_bos = "bos" in ids and _adds_bos(folder, settings, pieces[ids["bos"]])
    return Specials(ids, add_bos, _template(folder, settings))


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _text(token: Any) -> str:
    """A token is a text or an object with one."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _first(value: Any) -> int | None:
    value = value[0] if isinstance(value, list) and value else value
    return value if type(value) is int else None


def _adds_bos(folder: Path, settings: Mapping[str, Any], bos: str) -> bool:
    """What tokenizer_config.json says, else whether tokenizer.json's post-processor does it."""
    said = settings.get("add_bos_token")
    if isinstance(said, bool):
        return said
    path = folder / "tokenizer.json"
    if not path.is_file():
        return True  # SentencePiece models of these architectures do
    processor = read_json(path).get("post_processor") or {}
    for step in processor.get("processors") or [processor]:
        single = step.get("single") if isinstance(step, dict) else None
        with contextlib.suppress(KeyError, TypeError, IndexError):
            if single and single[0]["SpecialToken"]["id"] == bos:
                return True
    return False


def _template(folder: Path, settings: Mapping[str, Any]) -> str:
    """A file of its own in newer folders; older ones may have several, of which one is default."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        if path.stat().st_size > MAX_TEMPLATE_BYTES:
            raise ConvertError("convert.bad_file", file=path.name, reason="too large")
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise ConvertError("convert.bad_file", file=path.name, reason=error) from error
    template = settings.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if entry}
        template = named.get("default")
    return template if isinstance(template, str) else ""
