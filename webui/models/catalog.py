"""Catalog: which models there are, found as GGUF files in the models folder, with their entries.

Reads headers only; a file that cannot be a model is listed with its reason instead of hidden.
Knows nothing about which model is loaded or chosen.
"""

import contextlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from webui.errors import AppError
from webui.models.entries import Entries, load_entries
from webui.models.file_types import quantization_of
from webui.models.gguf import BadGgufError, GgufHeader, check_values, read_header, shown_name
from webui.models.labels import MAX_NAME_LENGTH, free_name, label, label_of_file, own_names
from webui.models.remotes import BadRemoteError, Remote, is_remote, load_remote

STANDIN_ID = "standin"
BUILTIN_ID = "kajogaki"
STANDIN_TIMEOUT_S = 120
SPLIT_NAME = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
MAX_KNOWN_CHARS = 500  # of the ids that the error about an unknown one lists
MAX_DEPTH = 3  # folders below the models folder: maker/model/quantisation
MAX_SCANNED = 20_000  # files and folders
MEMORY_SHARE = 0.6  # a default model's file may take this much of the machine's memory


class UnknownModelError(AppError):
    """No model has this id; it may have been removed from the folder."""


class StandinError(AppError):
    """The stand-in could not be made."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One entry of the catalogue. `error` says why it cannot be loaded; None when it can."""

    id: str  # unique; the file's stem
    path: Path
    name: str  # as shown: the catalogue's, else the file's, with the quantisation; no two alike
    stated_name: str = ""  # as the file's header says; often wrong, never shown alone
    architecture: str = ""
    n_params: int = 0
    quantization: str = ""
    n_ctx_train: int = 0
    chat_template: str = ""  # "" = none
    languages: tuple[str, ...] = ()  # codes, as the file's header states them
    size_bytes: int = 0
    family: str = ""  # "" = decide from the template
    is_standin: bool = False
    is_builtin: bool = False  # the small trained model that comes with the program
    remote: Remote | None = None  # the server that computes it; None = we do
    entry_id: str = ""  # of the catalogue's entry that offers this file; "" = none does
    error: AppError | None = None

    @property
    def stem(self) -> str:
        """The file's name without its quantisation: what others made of it are called by."""
        stem = self.path.stem
        for suffix in filter(None, (self.quantization, self.quantization.lower(), "F16", "f16")):
            stem = stem.removesuffix(f"-{suffix}").removesuffix(f".{suffix}")
        return stem

    @property
    def formal_name(self) -> str:
        """What its makers call it: a prompt format is known by that."""
        return self.stated_name or self.name

    @property
    def problem(self) -> str:
        """The sentence of `error`, "" without one."""
        return self.error.message() if self.error else ""


Stamp = tuple[tuple[str, int, int], ...]  # of each part: path, size, time of change


class Catalog:
    """Rescans at every call; a file that has not changed is not read again."""

    def __init__(self, models_dir: Path, builtin_dir: Path) -> None:
        self._models_dir = models_dir
        self._builtin_dir = builtin_dir
        self._read: dict[Path, tuple[Stamp, ModelSpec | None]] = {}
        self._entries: tuple[Stamp, Entries] = ((), Entries((), ()))
        self._standin_error: StandinError | None = None

    @property
    def models_dir(self) -> Path:
        return self._models_dir

    def entries(self) -> Entries:
        """What may be downloaded: ours (beside the stand-in's folder) and the user's own."""
        folders = (self._builtin_dir.parent, self._models_dir)
        stamp: Stamp = tuple(
            _stamp(path) for folder in folders for path in sorted(folder.glob("*.toml"))
        )
        if self._entries[0] != stamp:
            self._entries = (stamp, load_entries(*folders))
        return self._entries[1]

    def models(self) -> list[ModelSpec]:
        """The user's models by name, the built-in one, then the stand-in: if it is made, or
        nothing else works.
        """
        entries = self.entries()
        found = [_joined(spec, entries) for path in self._paths() if (spec := self._spec(path))]
        specs = _with_own_names(_with_own_ids(found + self._remotes()) + self._builtin())
        if self._standin_path.exists() or not any(spec.error is None for spec in specs):
            specs.append(self._standin())
        return specs

    def get(self, model_id: str) -> ModelSpec:
        """Raises UnknownModelError. The stand-in can always be had, listed or not."""
        if model_id == STANDIN_ID:
            return self._standin()
        models = self.models()
        for wanted in (str, _plain_id):
            found = [spec for spec in models if wanted(spec.id) == wanted(model_id)]
            if len(found) == 1:
                return found[0]
        known = ", ".join(spec.id for spec in models)
        raise UnknownModelError(
            "catalog.unknown_model", model_id=model_id[:200], known=known[:MAX_KNOWN_CHARS]
        )

    def name_of(self, model_id: str) -> str:
        """How a model is called, also one whose file has gone."""
        names = {spec.id: spec.name for spec in self.models()}
        return names.get(model_id) or label_of_file(_clean(model_id[:200]))

    def default(self) -> ModelSpec:
        """The largest chat model that fits the memory, else any other; ours come last."""
        usable = [spec for spec in self.models() if spec.error is None]
        return max(usable, key=_preference) if usable else self._standin()

    def ensure_standin(self) -> Path:
        """Make the stand-in unless the newest one is there. Raises StandinError.

        A child process makes it: the `gguf` package and NumPy stay out of this one.
        """
        script, path = self._builtin_dir / "standin.py", self._standin_path
        try:
            if path.exists() and path.stat().st_mtime >= script.stat().st_mtime:
                return path
            subprocess.run(
                [sys.executable, str(script), str(path)],
                check=True,
                capture_output=True,
                timeout=STANDIN_TIMEOUT_S,
            )
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").split("\n")
            reason = next((line for line in reversed(lines) if line.strip()), str(error))
            raise StandinError("catalog.standin_failed", reason=reason) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StandinError("catalog.standin_failed", reason=error) from error
        return path

    def _builtin(self) -> list[ModelSpec]:
        path = self._builtin_dir / f"{BUILTIN_ID}.gguf"
        spec = self._spec(path) if path.exists() else None
        if spec is None:
            return []
        return [replace(spec, id=BUILTIN_ID, name=spec.formal_name, is_builtin=True)]

    def _remotes(self) -> list[ModelSpec]:
        """Models of other servers, as the user's entries name them."""
        found = []
        for path in sorted(self._models_dir.glob("*.toml")):
            with contextlib.suppress(OSError):  # it has just gone
                stamp: Stamp = (_stamp(path),)
                cached = self._read.get(path)
                if cached is None or cached[0] != stamp:
                    spec = _remote_spec(path) if is_remote(path) else None
                    cached = self._read[path] = (stamp, spec)
                if cached[1]:
                    found.append(cached[1])
        return found

    @property
    def _standin_path(self) -> Path:
        return self._builtin_dir / f"{STANDIN_ID}.gguf"

    def _standin(self) -> ModelSpec:
        """Its entry. A failure is remembered, so that not every scan starts another process."""
        spec = None
        if self._standin_error is None:
            try:
                spec = self._spec(self.ensure_standin())
            except StandinError as error:
                self._standin_error = error
        spec = spec or _broken(self._standin_path, self._standin_error)
        return replace(spec, id=STANDIN_ID, name=spec.formal_name, is_standin=True)

    def _paths(self) -> list[Path]:
        """Candidates, also in folders: no hidden files, of a split model only the first part."""
        entries = _files_in(self._models_dir, self._builtin_dir)
        candidates = [
            path
            for path in entries
            if path.suffix.lower() == ".gguf"
            and not path.name.startswith(".")
            and "mmproj" not in path.name.lower()
            and not os.path.isdir(path)  # Path.is_dir() raises where a folder above is locked
            and not ((split := SPLIT_NAME.fullmatch(path.name)) and int(split["part"]) != 1)
        ]
        return sorted(candidates, key=lambda path: (path.name.casefold(), path.name))

    def _spec(self, path: Path) -> ModelSpec | None:
        """The entry for the file; None for one that only accompanies a model."""
        parts = _parts(path)
        try:
            stamp: Stamp = tuple(_stamp(part) for part in parts)
        except OSError:
            return _read_spec(path, parts)
        cached = self._read.get(path)
        if cached is None or cached[0] != stamp:
            cached = self._read[path] = (stamp, _read_spec(path, parts))
        return cached[1]


def _files_in(folder: Path, without: Path) -> list[Path]:
    """The files in it and in its folders, links followed, each once."""
    seen: set[str] = {os.path.realpath(without)}
    found: list[Path] = []
    waiting = [(folder, 0)]
    num_scanned = 0
    while waiting and num_scanned < MAX_SCANNED:
        current, depth = waiting.pop(0)
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:  # no folder (yet), or a locked one
            continue
        for entry in entries:
            num_scanned += 1
            real = os.path.realpath(entry.path)
            if entry.name.startswith(".") or real in seen:
                continue
            if not os.path.isdir(real):
                seen.add(real)
                found.append(Path(entry.path))
            elif depth < MAX_DEPTH:
                seen.add(real)
                waiting.append((Path(entry.path), depth + 1))
    return found


def _plain_id(model_id: str) -> str:
    """An id as people write it: a path, the file's suffix, another case, Ollama's tag."""
    name = model_id.replace("\\", "/").rpartition("/")[2].casefold()
    return name.removesuffix(":latest").removesuffix(".gguf")


def _joined(spec: ModelSpec, entries: Entries) -> ModelSpec:
    """The file's facts with what the catalogue knows of it; the file's own name tells which."""
    found = entries.of_file(spec.path.name)
    if not found:
        return spec
    entry = found[0]
    name = spec.name if spec.error else label(_clean(entry.name), spec.quantization)
    return replace(spec, name=name, entry_id=entry.id, family=entry.family)


def _stamp(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def _remote_spec(path: Path) -> ModelSpec:
    try:
        remote = load_remote(path)
    except BadRemoteError as error:
        return ModelSpec(id=path.stem, path=path, name=path.stem, error=error)
    name = _clean(remote.name) or f"{_clean(remote.model)} ({path.stem})"
    return ModelSpec(id=path.stem, path=path, name=name, family="remote", remote=remote)


def _parts(path: Path) -> list[Path]:
    """All files of the model whose first file is `path`, as their names say."""
    split = SPLIT_NAME.fullmatch(path.name)
    if not split or int(split["count"]) < 1:
        return [path]
    names = (
        f"{split['stem']}-{part:05}-of-{split['count']}{path.suffix}"
        for part in range(1, int(split["count"]) + 1)
    )
    return [path.with_name(name) for name in names]


def _read_spec(path: Path, parts: list[Path]) -> ModelSpec | None:
    try:
        header = read_header(path)
        if header.string("general.type") == "mmproj" or _architecture(header) == "clip":
            return None
        _check(header, path, parts)
        rest = [read_header(part) for part in parts[1:]]
        size_bytes = sum(part.stat().st_size for part in parts)
    except BadGgufError as error:
        return _broken(path, error)
    except OSError as error:
        values = {"name": shown_name(path), "reason": error.strerror}
        return _broken(path, BadGgufError("catalog.gguf_unreadable", **values))
    architecture = _architecture(header)
    return ModelSpec(
        id=_stem(path),
        path=path,
        name=label(_stem(path), quantization_of(header)),
        stated_name=_clean(header.string("general.name")),
        architecture=architecture,
        n_params=sum(one.n_params for one in (header, *rest)),
        quantization=quantization_of(header),
        n_ctx_train=header.integer(f"{architecture}.context_length"),
        chat_template=header.string("tokenizer.chat_template"),
        languages=_languages(header),
        size_bytes=size_bytes,
    )


def _check(header: GgufHeader, path: Path, parts: list[Path]) -> None:
    """Raises BadGgufError for a sound GGUF that is no complete model."""
    name = shown_name(path)
    kind = header.string("general.type")
    if kind not in ("", "model"):
        raise BadGgufError("catalog.not_a_model", name=name, kind=_clean(kind))
    if not _architecture(header):
        raise BadGgufError("catalog.no_architecture", name=name)
    count = max(1, header.integer("split.count"))
    if count != len(parts):
        raise BadGgufError("catalog.part_renamed", name=name, count=count)
    for part in parts:
        if not part.exists():
            values = {"name": name, "count": count, "part": shown_name(part)}
            raise BadGgufError("catalog.part_missing", **values)
    if header.n_tensors == 0 and count == 1:
        raise BadGgufError("catalog.no_weights", name=name)
    check_values(header, name)


def _broken(path: Path, error: AppError | None) -> ModelSpec:
    return ModelSpec(id=_stem(path), path=path, name=_stem(path), error=error)


def _architecture(header: GgufHeader) -> str:
    return _clean(header.string("general.architecture"))


def _languages(header: GgufHeader) -> tuple[str, ...]:
    stated = header.metadata.get("general.languages", ())
    texts = stated if isinstance(stated, tuple) else (stated,)
    return tuple(_clean(text)[:12] for text in texts[:8] if isinstance(text, str))


def _stem(path: Path) -> str:
    name = shown_name(path)
    split = SPLIT_NAME.fullmatch(name)
    return _clean(split["stem"] if split else name[: -len(path.suffix)])


def _clean(text: str) -> str:
    """One short line: no control characters, no direction marks."""
    line = " ".join(text.split())
    return "".join(char for char in line if char.isprintable())[:MAX_NAME_LENGTH].strip()


def _with_own_ids(specs: list[ModelSpec]) -> list[ModelSpec]:
    """Ids are unique even for a.gguf beside a.GGUF, or for a file called like one of ours."""
    taken = {STANDIN_ID, BUILTIN_ID}
    return [replace(spec, id=free_name(spec.id, taken)) for spec in specs]


def _with_own_names(specs: list[ModelSpec]) -> list[ModelSpec]:
    names = own_names([(spec.name, spec.id) for spec in specs])
    return [replace(spec, name=name) for spec, name in zip(specs, names, strict=True)]


def _preference(spec: ModelSpec) -> tuple[bool, bool, bool, bool, int]:
    memory = _memory_bytes()
    fits = memory == 0 or spec.size_bytes <= MEMORY_SHARE * memory
    size = spec.n_params if fits else -spec.n_params
    is_own = not (spec.is_standin or spec.is_builtin)
    return is_own, spec.is_builtin, fits, bool(spec.chat_template), size


def _memory_bytes() -> int:
    """Physical memory, 0 where the system does not say."""
    if not hasattr(os, "sysconf"):
        return 0
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
