"""A 1.5B-shaped model in six quantisations: made, measured in one run, and shown in one plot.

    python -m tests.bench.quantizations make FOLDER        (once; 3 GB for F16, 5 GB for the others)
    python -m tests.bench.quantizations compare FOLDER     (writes docs/bench/quantizations-1.5b.*)

The weights are random: size, speed and memory are those of a real model of this shape, what a text
costs it (perplexity) is that of a model that knows nothing. Uses `app.py models` as anybody would.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.makegguf import random_llama

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "bench" / "quantizations-1.5b"
STEM = "random-1.5b"
TYPES = ("Q8_0", "Q5_0", "Q4_0", "Q6_K", "Q4_K_M", "Q2_K")
SHAPE = {"n_embd": 1536, "n_layer": 28, "n_head": 12, "n_head_kv": 2, "n_ff": 8960}  # Qwen2.5 1.5B


def main() -> None:
    action, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    if action == "make":
        make(folder)
    else:
        compare(folder)


def make(folder: Path) -> None:
    """What is there already is kept: it may be run again until all are made."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{STEM}-F16.gguf"
    if not source.exists():
        part = source.with_suffix(".part")
        random_llama(part, **SHAPE)
        part.rename(source)
    for kind in TYPES:
        if not (folder / f"{STEM}-{kind}.gguf").exists():
            models(folder, "quantize", source.stem, kind)


def compare(folder: Path) -> None:
    OUT.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"{STEM}-{kind}" for kind in TYPES]
    plot, table = OUT.with_suffix(".svg"), OUT.with_suffix(".csv")
    common = ("--streams", "1", "--perplexity", "--plot", str(plot), "--csv", str(table))
    markdown = models(folder, "bench", *ids, *common)
    OUT.with_suffix(".md").write_text(markdown, encoding="utf-8")


def models(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "app.py", "models", *arguments, "--models-dir", str(folder)]
    command += ["--data-dir", str(folder / "data"), "--n-ctx", "2048", "--language", "en"]
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ).stdout


if __name__ == "__main__":
    assert shutil.disk_usage("/").free > 10 * 10**9, "10 GB of disk are needed"
    main()
