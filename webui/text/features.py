"""Features: what two texts are compared by, Japanese and Latin alike. Pure.

Japanese has no spaces: its words are stood for by bigrams, those of hiragana only left out, since
they carry grammar and not content. Latin words are cut to their stem.
"""

import re

from webui.normal_form import normalized

_LATIN = r"[A-Za-z0-9\u00c0-\u024f]"
_RUN = re.compile(rf"{_LATIN}(?:{_LATIN}|[.'-])*|[\u3041-\u30ff\u3400-\u9fff々〇]+")
_HIRAGANA = re.compile(r"[\u3041-\u309fー]+")
_STOP = frozenset(
    "the a an of and or to in on at for with by from as is are was were be been being it its this "
    "that these those we our they their he she his her you your not no which who whom what when "
    "where while than then there here has have had do does did can could may might will would "
    "shall should must also such into over under between about more most other some any all each "
    "both if but so up out per via".split()
)
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "ly", "s", "e")
_MIN_STEM = 4


def normal(text: str) -> str:
    """One width, one case."""
    return normalized(text).lower()


def features(text: str) -> set[str]:
    """Content bigrams of Japanese runs, stems of Latin words; numbers as they are."""
    found: set[str] = set()
    for run in _RUN.findall(normal(text)):
        if run[0].isascii() or run[0] < "\u0250":
            word = run.rstrip(".'-")
            if word not in _STOP:
                found.add(stem(word))
        elif len(run) == 1:
            if not _HIRAGANA.fullmatch(run):
                found.add(run)
        else:
            pairs = (run[i : i + 2] for i in range(len(run) - 1))
            found.update(pair for pair in pairs if not _HIRAGANA.fullmatch(pair))
    return found


def stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _MIN_STEM:
            return word[: -len(ending)]
    return word
