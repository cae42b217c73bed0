"""Entries of the catalogue: one models/<id>.toml per model that one may download, read strictly.

A key that we do not know, a missing one or a wrong type is an error that names file and key.
Knows nothing about files that are already there, and fetches nothing.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from webui.errors import AppError
from webui.models.remotes import is_remote
from webui.strings import Language

MAX_ENTRY_BYTES = 1 << 20
RAM_CLASSES = (4, 8, 16, 32, 64)  # GB of memory of the machine; 64 stands for "and more"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
SAMPLING_KEYS = frozenset(
    {
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "max_tokens",
    }
)


class ModelKind(StrEnum):
    CHAT = "chat"
    COMPLETION = "completion"  # continues a text; was never taught to answer
    EMBEDDER = "embedder"
    RERANKER = "reranker"


class EntryPart(StrEnum):
    """What an entry may say without anybody having looked it up at the source."""

    REPOSITORY = "repository"
    FILES = "files"  # their names
    CONTEXT = "context"
    LICENSE = "license"


class BadEntryError(AppError):
    """An entry that cannot be used; the sentence names file and key."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the repository, a quantisation of the model."""

    file: str
    quantization: str
    bytes: int  # of the file; approximate when `is_estimate`
    is_estimate: bool = False
    sha256: str = ""  # "" = what the hub says
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class ModelEntry:
    id: str  # the toml's stem
    name: str
    maker: str
    kind: ModelKind
    repository: str
    license: str
    ram_gb: int  # smallest class of machine where the default file fits (RAM_CLASSES)
    why: Mapping[Language, str]  # why one would choose it, and what it is not good at
    license_url: str = ""
    parameters: str = ""  # "1.2B"
    n_ctx: int = 0  # tokens the model was trained for
    family: str = ""  # of prompts; "" = the file's own template
    languages: tuple[str, ...] = ()
    is_recommended: bool = False  # the one we would take in its class
    is_article: bool = False  # a model of the articles this project grew out of
    unverified: tuple[EntryPart, ...] = ()  # taken from a pattern or from memory
    better: str = ""  # id of an entry that serves most people better today
    sampling: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    files: tuple[FileEntry, ...] = ()
    # Of embedders and rerankers:
    bytes: int = 0  # 0 = not known
    dimension: int = 0
    max_tokens: int = 0
    query_prefix: str = ""
    passage_prefix: str = ""
    is_user_made: bool = False  # not ours; set by load_entries

    @property
    def default_file(self) -> FileEntry | None:
        """The file that we suggest; None for models of several files (embedders, rerankers)."""
        return next((file for file in self.files if file.is_default), None) or next(
            iter(self.files), None
        )


@dataclass(frozen=True, slots=True)
class Entries:
    """All entries that could be read, ours and the user's, and what is wrong with the others."""

    entries: tuple[ModelEntry, ...]
    problems: tuple[BadEntryError, ...]

    def get(self, entry_id: str) -> ModelEntry:
        """Raises AppError."""
        for entry in self.entries:
            if entry.id == entry_id:
                return entry
        raise BadEntryError("catalog.unknown_entry", entry_id=entry_id)

    def of_file(self, file_name: str) -> tuple[ModelEntry, FileEntry] | None:
        """The entry that offers a file of this name."""
        for entry in self.entries:
            for file in entry.files:
                if local_name(file.file).casefold() == file_name.casefold():
                    return entry, file
        return None


def load_entries(own_dir: Path, users_dir: Path) -> Entries:
    """Ours, then the user's, which replace ours of the same id. A bad one is left out and told."""
    read: dict[str, ModelEntry] = {}
    problems: list[BadEntryError] = []
    is_same = own_dir.resolve() == users_dir.resolve()
    for folder in (own_dir,) if is_same else (own_dir, users_dir):
        for path in sorted(folder.glob("*.toml")):
            if is_remote(path):
                continue
            try:
                read[path.stem] = load_entry(path, is_user_made=folder is not own_dir)
            except BadEntryError as error:
                problems.append(error)
    ordered = sorted(read.values(), key=_order)
    return Entries(tuple(ordered), tuple(problems))


def load_entry(path: Path, *, is_user_made: bool = False) -> ModelEntry:
    """The entry in `path`. Raises BadEntryError."""
    try:
        if path.stat().st_size > MAX_ENTRY_BYTES:
            raise ValueError(f"more than {MAX_ENTRY_BYTES} bytes")
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadEntryError("catalog.entry_unreadable", path=path.name, reason=error) from error
    reader = _Reader(path.name)
    reader.check_keys(ModelEntry, raw, "", own=("id", "is_user_made"))
    entry: ModelEntry = reader.build(ModelEntry, raw, "", id=path.stem, is_user_made=is_user_made)
    reader.check(entry)
    return entry


def local_name(file: str) -> str:
    """The name of a repository's file in the models folder."""
    return PurePosixPath(file).name


def _order(entry: ModelEntry) -> tuple[Any, ...]:
    kinds = list(ModelKind)
    return (
        kinds.index(entry.kind),
        entry.is_article,
        entry.ram_gb,
        not entry.is_recommended,
        bool(entry.better),
        entry.name,
    )


class _Reader:
    """Builds an entry from a table; every error carries the file's name and the key."""

    def __init__(self, path: str) -> None:
        self._path = path

    def check_keys(
        self, kind: type, raw: Mapping[str, Any], prefix: str, own: Iterable[str] = ()
    ) -> None:
        known = {item.name: item for item in fields(kind) if item.name not in own}
        for key in raw:
            if key not in known:
                self._fail(prefix + key, "unknown")
        for name, item in known.items():
            if name not in raw and not _has_default(item):
                self._fail(prefix + name, "missing")

    def build(self, kind: Any, raw: Mapping[str, Any], prefix: str, **more: Any) -> Any:
        types = {item.name: item.type for item in fields(kind)}
        values = {key: self._value(types[key], value, prefix + key) for key, value in raw.items()}
        return kind(**values, **more)

    def _value(self, kind: Any, value: Any, key: str) -> Any:
        if kind is ModelKind:
            return self._choice(ModelKind, value, key)
        if kind in (str, int, bool):
            return self._typed(kind, value, key)
        if kind == Mapping[Language, str]:
            return self._both_languages(value, key)
        if kind == Mapping[str, float]:
            return self._sampling(value, key)
        items = self._typed(list, value, key)
        if kind == tuple[str, ...]:
            return tuple(self._typed(str, item, key) for item in items)
        if kind == tuple[EntryPart, ...]:
            return tuple(self._choice(EntryPart, item, key) for item in items)
        return tuple(self._file(item, f"{key}[{number}].") for number, item in enumerate(items))

    def _choice(self, kind: type[StrEnum], value: Any, key: str) -> StrEnum:
        if not isinstance(value, str) or value not in set(kind):
            self._fail(key, "choices", choices=", ".join(kind))
        return kind(value)

    def _typed(self, kind: type, value: Any, key: str) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self._fail(key, "type", kind=kind.__name__)
        if kind is int and not 0 <= value < 1 << 50:
            self._fail(key, "type", kind=kind.__name__)
        return value

    def _both_languages(self, value: Any, key: str) -> Mapping[Language, str]:
        table = self._typed(dict, value, key)
        if set(table) != set(Language):
            self._fail(key, "choices", choices="ja, en")
        return MappingProxyType(
            {
                Language(code): self._typed(str, text, f"{key}.{code}")
                for code, text in table.items()
            }
        )

    def _sampling(self, value: Any, key: str) -> Mapping[str, float]:
        for name, number in self._typed(dict, value, key).items():
            if name not in SAMPLING_KEYS:
                self._fail(f"{key}.{name}", "unknown")
            if isinstance(number, bool) or not isinstance(number, int | float):
                self._fail(f"{key}.{name}", "type", kind="number")
        return MappingProxyType(dict(value))

    def _file(self, value: Any, prefix: str) -> FileEntry:
        table = self._typed(dict, value, prefix.rstrip("."))
        self.check_keys(FileEntry, table, prefix)
        file: FileEntry = self.build(FileEntry, table, prefix)
        path = PurePosixPath(file.file)
        if (
            path.is_absolute()
            or ".." in path.parts
            or "\\" in file.file
            or path.name[:1] in ("", ".")
        ):
            self._fail(prefix + "file", "path")
        if path.suffix.lower() != ".gguf":
            self._fail(prefix + "file", "choices", choices="*.gguf")
        if file.sha256 and not SHA256.fullmatch(file.sha256):
            self._fail(prefix + "sha256", "choices", choices="[0-9a-f]{64}")
        return file

    def check(self, entry: ModelEntry) -> None:
        """What no single value shows."""
        if not REPOSITORY.fullmatch(entry.repository):
            self._fail("repository", "choices", choices="maker/name")
        if entry.ram_gb not in RAM_CLASSES:
            self._fail("ram_gb", "choices", choices=", ".join(map(str, RAM_CLASSES)))
        writes_text = entry.kind in (ModelKind.CHAT, ModelKind.COMPLETION)
        if writes_text and not entry.files:
            self._fail("files", "missing")

    def _fail(self, key: str, what: str, **values: object) -> None:
        raise BadEntryError(f"catalog.entry_{what}", path=self._path, item=key, **values)


def _has_default(item: "Field[Any]") -> bool:
    return item.default is not MISSING or item.default_factory is not MISSING
