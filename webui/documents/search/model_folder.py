"""Folders of embedding models and rerankers, as far as they can be judged without loading them.

Knows nothing about torch, so the web process may ask.
"""

import hashlib
import importlib.util
import json
from pathlib import Path

from webui.documents.errors import DocumentError

_SAMPLE_BYTES = 1 << 20
_PARTS = frozenset({".json", ".safetensors", ".txt", ".model", ".jinja"})  # of a model


def can_embed() -> bool:
    """Whether the libraries are installed; asked without importing them."""
    return all(importlib.util.find_spec(name) for name in ("torch", "sentence_transformers"))


def check_embedder(path: Path) -> None:
    """Raises DocumentError unless it looks like a sentence-transformers model."""
    _check_folder(path, "modules.json")


def check_reranker(path: Path) -> None:
    """Raises DocumentError unless it is a CrossEncoder.

    A bi-encoder's folder would load with an untrained head, so it is refused.
    """
    _check_folder(path, "config.json")
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8-sig"))
        architectures = config.get("architectures") or [""]
        name = str(architectures[0])
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise broken(path, error) from error
    if not name.endswith("ForSequenceClassification"):
        raise DocumentError("documents.reranker_wrong", name=path.name)


def fingerprint(path: Path) -> str:
    """Tells one model from another: names, sizes and (the ends of) the contents of its files."""
    digest = hashlib.blake2b(digest_size=12)
    for file in sorted(path.rglob("*")):
        if not file.is_file() or file.suffix not in _PARTS or file.name.startswith("."):
            continue
        size = file.stat().st_size
        digest.update(f"{file.relative_to(path).as_posix()}\0{size}\0".encode())
        with file.open("rb") as data:
            digest.update(data.read(_SAMPLE_BYTES))
            if size > _SAMPLE_BYTES:
                data.seek(max(_SAMPLE_BYTES, size - _SAMPLE_BYTES))
                digest.update(data.read())
    return digest.hexdigest()


def broken(path: Path, reason: object) -> DocumentError:
    text = f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else str(reason)
    return DocumentError(
        "documents.embedder_broken", name=path.name, reason=" ".join(text.split())[:200]
    )


def _check_folder(path: Path, needed: str) -> None:
    if not path.is_dir():
        raise DocumentError("documents.embedder_missing", name=path.name)
    if not (path / needed).is_file():
        raise broken(path, f"{needed}: not there")
    if not any(path.rglob("*.safetensors")):
        raise broken(path, "no safetensors")
