"""Shared parts of the tests: the stand-in model, made once, instead of the trained built-in one."""

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

# The models are tiny, and threads that wait for each other on a busy machine are a hundred times
# slower than one alone. Before llama.cpp is imported anywhere; the children inherit it.
os.environ["OMP_THREAD_LIMIT"] = "1"

import pytest
from filelock import FileLock

import tests.budget  # noqa: F401 (Hypothesis's profiles, before any test is read)
from tests.makegguf import tiny_hybrid, tiny_recurrent
from tests.places import BUILTIN_DIR, ROOT
from tests.site import site as site

os.environ.setdefault("KAJOGAKI_MODEL", "standin")  # of every process that tests start
gc.set_threshold(50_000)  # hundreds of thousands of objects never go: libraries, test items


def pytest_collection_finish() -> None:
    gc.freeze()  # a tenth of the suite's time went into looking through them again and again


@pytest.fixture(scope="session")
def standin() -> Path:
    """A real, tiny llama-architecture GGUF with its own tokenizer and chat template."""
    script, path = ROOT / "models" / "builtin" / "standin.py", BUILTIN_DIR / "standin.gguf"
    BUILTIN_DIR.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILTIN_DIR / "making.lock"):
        if not path.exists() or path.stat().st_mtime < script.stat().st_mtime:
            shutil.copy(script, BUILTIN_DIR)
            subprocess.run([sys.executable, str(script), str(path)], check=True)
    return path


@pytest.fixture(scope="session")
def uncuttable(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models whose memory cannot be cut at any point."""
    directory = tmp_path_factory.mktemp("models")
    return {
        "recurrent": tiny_recurrent(directory / "recurrent.gguf"),
        "hybrid": tiny_hybrid(directory / "hybrid.gguf"),
    }
