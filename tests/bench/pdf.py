"""How right and how fast PDFs are read: every `*.pdf` of a folder against its `*.truth.json`.

    python -m tests.bench.pdf --dir DIR

The truth of `maker_font_variant.pdf` is `maker_font_variant.truth.json` or `variant.truth.json`,
a list of paragraphs in reading order. CER = edit distance / length of the truth, NFKC applied,
once without white space and once with every run of it as one space. One JSON line last.
"""

import argparse
import json
import re
import statistics
import time
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein

from webui.documents.reader.loader import load
from webui.errors import AppError
from webui.text.pages import Page, whole_text


def main(directory: Path) -> dict[str, object]:
    tight, spaced, seconds, num_pages = [], [], 0.0, 0
    worst, failed = ("", 0.0), []
    for path in sorted(directory.glob("*.pdf")):
        truth = truth_of(path)
        if truth is None:
            continue
        start = time.perf_counter()
        try:
            pages = load(path, path.name)
        except AppError as error:
            print(f"{path.name:40} {error}")
            failed.append(path.name)
            continue
        seconds += time.perf_counter() - start
        num_pages += len(pages)
        text = whole_text([printed(page) for page in pages])
        tight.append(cer(text, truth, spaces=False))
        spaced.append(cer(text, truth, spaces=True))
        worst = max(worst, (path.name, tight[-1]), key=lambda item: item[1])
        print(f"{path.name:40} CER {tight[-1]:.4f}  with spaces {spaced[-1]:.4f}")
    return {
        "files": len(tight),
        "failed": failed,
        "mean_cer": round(statistics.mean(tight), 4) if tight else None,
        "mean_cer_with_spaces": round(statistics.mean(spaced), 4) if spaced else None,
        "worst_cer": round(worst[1], 4),
        "worst_file": worst[0],
        "pages_per_s": round(num_pages / seconds, 1) if seconds else None,
    }


def printed(page: Page) -> Page:
    """The page without what stands on no paper: the headers that each row of a table repeats."""
    added = {
        run.start + index
        for run in page.runs
        for index in range(run.end - run.start)
        if run.edges[2 * index] == run.edges[2 * index + 1]
    }
    kept = (char for index, char in enumerate(page.text) if char == " " or index not in added)
    return replace(page, text="".join(kept))


def truth_of(path: Path) -> str | None:
    """Of the file itself, or of the longest end of its name that has one."""
    parts = path.stem.split("_")
    for first in range(len(parts)):
        file = path.with_name("_".join(parts[first:]) + ".truth.json")
        if file.exists():
            return "\n".join(strings_of(json.loads(file.read_text(encoding="utf-8"))))
    return None


def strings_of(value: Any) -> list[str]:
    """Every text in it, in order: paragraphs, or pages of paragraphs, or objects with them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for part in value for text in strings_of(part)] if isinstance(value, list) else []


def cer(text: str, truth: str, *, spaces: bool) -> float:
    a, b = normal(text, spaces), normal(truth, spaces)
    return Levenshtein.distance(a, b) / max(len(b), 1)


def normal(text: str, spaces: bool) -> str:
    return re.sub(r"\s+", " " if spaces else "", unicodedata.normalize("NFKC", text)).strip()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    print(json.dumps(main(parser.parse_args().dir)))
