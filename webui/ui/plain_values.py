"""What a component of the page gives out: plain values. Knows nothing about Gradio but its names.

Gradio takes a dict for more than it says: with `path` and `meta` for a file, which it copies into
its cache, or fetches, and serves; with `__type__` for a change of the component itself. What we
show comes from a database, from files, from models; so no such dict may reach Gradio.
"""

from collections.abc import Mapping

# Keys of Gradio's own; no view of ours has them.
RESERVED = frozenset({"__type__", "_type", "meta", "path", "url", "orig_name"})
MAX_DEPTH = 50


class NotPlainError(ValueError):
    """A value that Gradio would take for something else than a value."""


def check_plain(value: object, depth: int = 0) -> None:
    """Raises NotPlainError."""
    if depth > MAX_DEPTH:
        raise NotPlainError("nested too deeply")
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name in RESERVED:
                raise NotPlainError(f"a value has the key {name!r}")
            check_plain(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            check_plain(item, depth + 1)
