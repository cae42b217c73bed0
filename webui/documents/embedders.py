"""Which embedding model and which reranker are used: the one asked for, an installed one, the
built-in one.

A model is installed when `models/<id of its catalogue entry>/` is there. Knows nothing about
what the models do.
"""

import logging
import tomllib
from collections.abc import Sequence
from pathlib import Path

from webui.documents.search.embedding import EmbedderChoice, Weight
from webui.documents.search.model_folder import can_embed
from webui.models.entries import ModelEntry, ModelKind

log = logging.getLogger(__name__)

OFF = "off"
WEIGHT_FILE = "weight.toml"  # beside the built-in model: how much it counts in the mix


def installed(entries: Sequence[ModelEntry], models_dir: Path, kind: ModelKind) -> list[ModelEntry]:
    """Entries of the kind whose folder is there, the recommended ones first."""
    found = [entry for entry in entries if entry.kind is kind and (models_dir / entry.id).is_dir()]
    return sorted(found, key=lambda entry: (not entry.is_recommended, -entry.ram_gb, entry.id))


def choose_embedder(
    entries: Sequence[ModelEntry],
    models_dir: Path,
    builtin: Path,
    *,
    embedder: str = "",
    reranker: str = "",
) -> EmbedderChoice | None:
    """The model to search with; None: keyword search alone, wanted or for want of the libraries.

    `embedder` and `reranker` are an entry's id, a folder or OFF; "" takes what is installed.
    A chosen model that is not there is still the choice: the search says what is wrong with it.
    """
    if embedder == OFF or not can_embed():
        return None
    ranking = _reranker(entries, models_dir, reranker)
    if embedder:
        folder = _folder(models_dir, embedder)
        return EmbedderChoice(folder, folder.name, reranker=ranking)
    for entry in installed(entries, models_dir, ModelKind.EMBEDDER):
        return EmbedderChoice(models_dir / entry.id, entry.name, reranker=ranking)
    if not (builtin / "modules.json").is_file():
        return None
    return EmbedderChoice(builtin, builtin.name, weight_of(builtin), True, ranking)


def weight_of(folder: Path) -> Weight:
    """What its makers found right for the model; none where that cannot be read."""
    try:
        values = tomllib.loads((folder / WEIGHT_FILE).read_text(encoding="utf-8"))
        return Weight(**{name: float(value) for name, value in values.items()})
    except (OSError, ValueError, TypeError) as error:
        log.error("%s counts for nothing: %s", folder.name, error)
        return Weight(0.0, 0.0)


def _reranker(entries: Sequence[ModelEntry], models_dir: Path, asked: str) -> Path | None:
    if asked == OFF:
        return None
    if asked:
        return _folder(models_dir, asked)
    for entry in installed(entries, models_dir, ModelKind.RERANKER):
        return models_dir / entry.id
    return None


def _folder(models_dir: Path, asked: str) -> Path:
    path = Path(asked)
    return path if path.is_absolute() else models_dir / asked
