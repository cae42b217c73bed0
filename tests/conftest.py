"""Shared parts of the tests: the built-in stand-in model, made once."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

# The models are tiny, and threads that wait for each other on a busy machine are a hundred times
# slower than one alone. Before llama.cpp is imported anywhere; the children inherit it.
os.environ["OMP_THREAD_LIMIT"] = "1"

import pytest
from filelock import FileLock

import tests.budget  # noqa: F401 (Hypothesis's profiles, before any test is read)
from tests.makegguf import tiny_hybrid, tiny_recurrent
from tests.site import site as site

BUILTIN_DIR = Path(__file__).parent.parent / "models" / "builtin"


@pytest.fixture(scope="session")
def standin() -> Path:
    """A real, tiny llama-architecture GGUF with its own tokenizer and chat template."""
    path = BUILTIN_DIR / "standin.gguf"
    with FileLock(tempfile.gettempdir() + "/kajogaki-standin.lock"):  # two processes test
        if not path.exists():
            subprocess.run([sys.executable, str(BUILTIN_DIR / "standin.py")], check=True)
    return path


@pytest.fixture(scope="session")
def uncuttable(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models whose memory cannot be cut at any point."""
    directory = tmp_path_factory.mktemp("models")
    return {
        "recurrent": tiny_recurrent(directory / "recurrent.gguf"),
        "hybrid": tiny_hybrid(directory / "hybrid.gguf"),
    }
