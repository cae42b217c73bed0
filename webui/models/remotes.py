"""Remotes: models that another OpenAI-compatible server computes, one models/*.toml each.

    base_url = "http://gpu-box:8000/v1"   # vLLM, Ray Serve LLM, llama-server, LocalAI, Ollama, …
    model = "Qwen/Qwen3-8B"               # its name there
    key_env = "GPU_BOX_KEY"               # environment variable with the API key; optional
    name = "Qwen3 8B (gpu-box)"           # as shown; optional
    n_ctx = 32768                         # where the server does not say; optional
    extensions = ["top_k", "min_p"]       # sampling fields beyond OpenAI's that it takes; optional
    grammar = "grammar"                   # field that takes GBNF, where it has one; optional

Addresses come from these files only, never from a client. Knows nothing about HTTP.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webui.errors import AppError

MAX_BYTES = 100_000
EXTENSIONS = frozenset({"top_k", "min_p", "repeat_penalty", "repetition_penalty"})


class BadRemoteError(AppError):
    """An entry that cannot be used; the sentence names file and key."""


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a model is computed and what its server understands."""

    base_url: str
    model: str
    key_env: str = ""
    name: str = ""
    n_ctx: int = 0  # 0 = ask the server
    extensions: tuple[str, ...] = ()
    grammar: str = ""


def is_remote(path: Path) -> bool:
    """Whether this TOML file names a server, well or badly; false for anything unreadable."""
    try:
        return path.stat().st_size <= MAX_BYTES and "base_url" in tomllib.loads(
            path.read_text(encoding="utf-8-sig")
        )
    except (OSError, ValueError, RecursionError):
        return False


def load_remote(path: Path) -> Remote:
    """Raises BadRemoteError."""
    values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    known = {item.name: item.default for item in fields(Remote)}
    for key, value in values.items():
        _check(path, key, value, known)
    for key in ("base_url", "model"):
        if not values.get(key):
            raise _bad(path, key)
    address = urlsplit(values["base_url"])
    if address.scheme not in ("http", "https") or not address.hostname:
        raise _bad(path, "base_url")
    return Remote(**{**values, "extensions": tuple(values.get("extensions", ()))})


def _check(path: Path, key: str, value: object, known: Mapping[str, Any]) -> None:
    if key not in known:
        raise _bad(path, key)
    if key == "extensions":
        is_right = isinstance(value, list) and all(item in EXTENSIONS for item in value)
    elif key == "n_ctx":
        is_right = type(value) is int and 0 <= value < 1 << 24
    else:
        is_right = isinstance(value, str) and value.isprintable()
    if not is_right:
        raise _bad(path, key)


def _bad(path: Path, key: str) -> BadRemoteError:
    return BadRemoteError("remote.bad_entry", file=path.name, item=key[:60])
