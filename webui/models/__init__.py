"""Catalog: which models there are, in the models folder and in our list of recommendations.

`models` reads the GGUF files of the folder, `entries` the recommendations (models/*.toml).
"""

from webui.models.catalog import (
    BUILTIN_ID,
    STANDIN_ID,
    Catalog,
    ModelSpec,
    StandinError,
    UnknownModelError,
)
from webui.models.entries import (
    BadEntryError,
    Entries,
    EntryPart,
    FileEntry,
    ModelEntry,
    ModelKind,
    load_entries,
    load_entry,
)
from webui.models.file_types import FILE_TYPES

__all__ = [
    "FILE_TYPES",
    "BUILTIN_ID",
    "STANDIN_ID",
    "BadEntryError",
    "Catalog",
    "Entries",
    "EntryPart",
    "FileEntry",
    "ModelEntry",
    "ModelKind",
    "ModelSpec",
    "StandinError",
    "UnknownModelError",
    "load_entries",
    "load_entry",
]
