"""A 1.5B-shaped model in six quantisations: made, measured, and shown in one table and one plot.

    python -m tests.bench.quantizations make FOLDER       (once; 3 GB for F16, 7 GB for the others)
    python -m tests.bench.quantizations measure FOLDER    (what is measured already is kept)
    python -m tests.bench.quantizations report FOLDER     (writes docs/bench/quantizations-1.5b.*)

The weights are random: size, speed and memory are those of a real model of this shape, what a text
costs it (perplexity) is that of a model that knows nothing. Uses `app.py models` as anybody would.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.makegguf import random_llama
from tests.places import ROOT
from webui.storage import Storage
from webui.strings import Language
from webui.workshop.bench import BenchResults
from webui.workshop.perplexity import BUILTIN_TEXT, PerplexityResults
from webui.workshop.plot import plot
from webui.workshop.report import ReportRow, report, to_csv, to_markdown

OUT = ROOT / "docs" / "bench" / "quantizations-1.5b"
STEM = "random-1.5b"
TYPES = ("Q8_0", "Q6_K", "Q5_0", "Q4_K_M", "Q4_1", "Q4_0")
NOTE = """A model of Qwen2.5-1.5B's shape with **random weights**, in six quantisations. File size,
speed and memory are a real model's of this shape. Perplexity is that of a model that knows
nothing (about the size of its vocabulary): its ratios are near 1 whatever the quantisation and
only show how the comparison works. One stream, {threads} threads, a context of 2,048; made by
`python -m tests.bench.quantizations`. Other work ran beside it: compare the rows with each other,
not with other machines.

"""


def main() -> None:
    actions: dict[str, Callable[[Path], None]] = {"make": make, "measure": measure, "report": write}
    actions[sys.argv[1]](Path(sys.argv[2]).resolve())


def make(folder: Path) -> None:
    """What is there already is kept: it may be run again until all are made."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{STEM}-F16.gguf"
    if not source.exists():
        part = source.with_suffix(".part")
        random_llama(part, n_embd=1536, n_layer=28, n_head=12, n_head_kv=2, n_ff=8960)
        part.rename(source)
    for kind in TYPES:
        if not (folder / f"{STEM}-{kind}.gguf").exists():
            models(folder, "quantize", source.stem, kind)


def measure(folder: Path) -> None:
    for kind in TYPES:
        known = {row.model_id for row in rows(folder) if row.perplexity}
        if f"{STEM}-{kind}" not in known and (folder / f"{STEM}-{kind}.gguf").exists():
            text = folder / "text.txt"  # two windows: on random weights more would say no more
            text.write_text(BUILTIN_TEXT.read_text(encoding="utf-8")[:1200], encoding="utf-8")
            options = ("--streams", "1", "--perplexity", str(text))
            models(folder, "bench", f"{STEM}-{kind}", *options)


def write(folder: Path) -> None:
    found = rows(folder)
    assert {row.quantization for row in found} == set(TYPES), "all measured"
    OUT.parent.mkdir(parents=True, exist_ok=True)
    note = NOTE.format(threads=found[0].n_threads)
    OUT.with_name(OUT.name + ".md").write_text(note + to_markdown(found), encoding="utf-8")
    OUT.with_name(OUT.name + ".csv").write_text(to_csv(found), encoding="utf-8")
    OUT.with_name(OUT.name + ".svg").write_text(plot(found, Language.EN), encoding="utf-8")


def rows(folder: Path) -> list[ReportRow]:
    """All that was measured, without the machine's name."""
    (folder / "data").mkdir(exist_ok=True)
    storage = Storage(folder / "data" / "kajogaki.db")
    try:
        speeds, perplexities = BenchResults(storage), PerplexityResults(storage)
        found = report(speeds.rows(), perplexities.rows(), perplexities.ratios())
    finally:
        storage.close()
    return [replace(row, name=STEM, machine="") for row in found]


def models(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "app.py", "models", *arguments, "--models-dir", str(folder)]
    command += ["--data-dir", str(folder / "data"), "--n-ctx", "2048", "--language", "en"]
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
