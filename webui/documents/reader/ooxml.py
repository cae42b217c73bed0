"""Package: the parts of an Office file (OPC), by their relationships. Knows no kind of document.

Nothing here follows an external relationship, runs a macro or expands an entity. Parts are read
when asked for and bounded, so that pictures, films and bombs in a package cost nothing.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from webui.documents.errors import DocumentError

MAX_PART_BYTES = 200_000_000
_BROKEN = (
    zipfile.BadZipFile, zlib.error, OSError, KeyError, ValueError, EOFError, NotImplementedError,
)  # fmt: skip


class Package:
    """Raises DocumentError wherever the file is damaged or unpacks to far too much."""

    def __init__(self, stream: BinaryIO) -> None:
        stream.seek(0)
        try:
            self._archive = zipfile.ZipFile(stream)
        except _BROKEN as error:
            raise DocumentError("documents.damaged") from error
        self.names = frozenset(self._archive.namelist())
        self._folded = {name.lower(): name for name in self.names}

    def part(self, name: str) -> bytes:
        """Raises DocumentError when it is missing too."""
        with self.open(name) as stream:
            try:
                data = stream.read(MAX_PART_BYTES + 1)
            except _BROKEN as error:
                raise DocumentError("documents.damaged") from error
        if len(data) > MAX_PART_BYTES:
            raise DocumentError("documents.too_much_inside")
        return data

    def open(self, name: str) -> BinaryIO:
        try:
            info = self._archive.getinfo(self._folded.get(name.lower(), name))
            if info.flag_bits & 1:
                raise DocumentError("documents.password_unsupported")
            if info.file_size > MAX_PART_BYTES:
                raise DocumentError("documents.too_much_inside")
            return self._archive.open(info)  # type: ignore[return-value]
        except _BROKEN as error:
            raise DocumentError("documents.damaged") from error

    def xml(self, name: str) -> Element:
        return parsed(self.part(name))

    def optional_xml(self, name: str) -> Element | None:
        """None where the part is missing or damaged: the document can be read without it."""
        if not name or name.lower() not in self._folded:
            return None
        try:
            return self.xml(name)
        except DocumentError:
            return None

    def relationships(self, source: str = "") -> dict[str, tuple[str, str]]:
        """Of a part, or of the package: id → (last word of the type, part's name)."""
        folder, base = posixpath.split(source)
        root = self.optional_xml(posixpath.join(folder, "_rels", f"{base}.rels"))
        found: dict[str, tuple[str, str]] = {}
        for element in root if root is not None else ():
            if element.get("TargetMode") == "External":
                continue
            target = unquote(element.get("Target", ""))
            path = target[1:] if target.startswith("/") else posixpath.join(folder, target)
            kind = element.get("Type", "").rpartition("/")[2]
            found[element.get("Id", "")] = (kind, posixpath.normpath(path) if path else "")
        return found

    def related(self, source: str, kind: str) -> list[str]:
        """The parts that `source` is related to in this way, in order."""
        return [name for found, name in self.relationships(source).values() if found == kind]

    def main_part(self, usual: str) -> str:
        """The document itself, whatever it is called."""
        named = self.related("", "officeDocument")
        return next((name for name in named if name.lower() in self._folded), usual)


def parsed(data: bytes) -> Element:
    if b"<!DOCTYPE" in data[:10_000] or b"<!ENTITY" in data[:10_000]:
        raise DocumentError("documents.damaged")  # Office writes none; entity bombs need one
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise DocumentError("documents.damaged") from error


def local(element: Element) -> str:
    """The tag without its namespace; "" for comments."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child(element: Element | None, *path: str) -> Element | None:
    """The first child of that name, the first of that below it…"""
    for name in path:
        if element is None:
            return None
        element = next((one for one in element if local(one) == name), None)
    return element


def children(element: Element | None, name: str) -> Iterator[Element]:
    return (one for one in (element if element is not None else ()) if local(one) == name)


def attribute(element: Element | None, name: str, default: str = "") -> str:
    """By its local name: transitional and strict files have other namespaces."""
    if element is None:
        return default
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return value
    return default
