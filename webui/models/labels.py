"""Labels: the short names by which models are told apart on the page and in listings.

Knows nothing about files; names and quantisations are plain strings.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from webui.models.file_types import FILE_TYPES

KINDS = frozenset(FILE_TYPES.values())
MAX_NAME_LENGTH = 80


def label(name: str, quantization: str) -> str:
    """`name` with its quantisation at the end, said once however the name spells it."""
    if not quantization:
        return name
    spelled = rf"[-._ ]*(?<![A-Za-z0-9]){re.escape(quantization)}$"
    bare = re.sub(spelled, "", name, flags=re.IGNORECASE) or name
    return f"{bare[: MAX_NAME_LENGTH - len(quantization) - 1].rstrip()} {quantization}"


def label_of_file(stem: str) -> str:
    """As `label`, where only the file's name is known."""
    endings = (kind for kind in KINDS if re.search(rf"[-._ ]{kind}$", stem, re.IGNORECASE))
    return label(stem, max(endings, key=len, default=""))[:MAX_NAME_LENGTH]


def without_quantization(stem: str) -> str:
    """A file's name without the quantisations at its end: one for all files of one model."""
    ending = "|".join(sorted(map(re.escape, KINDS), key=len, reverse=True))
    return re.sub(rf"(?:[-._ ](?:{ending}))+$", "", stem, flags=re.IGNORECASE) or stem


def own_names(models: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each (name, id), no two alike: the unique ids tell equal names apart."""
    count = Counter(name.casefold() for name, _ in models)
    taken: set[str] = set()
    return [
        free_name(name if count[name.casefold()] == 1 else f"{name} ({id})", taken)
        for name, id in models
    ]


def free_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, with a number where it is taken; it is taken from now on."""
    candidates: Iterator[str] = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    chosen = (
        wanted if wanted and wanted not in taken else next(c for c in candidates if c not in taken)
    )
    taken.add(chosen)
    return chosen
