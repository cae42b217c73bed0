"""Shared parts of the tests: the built-in stand-in model, made once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.makegguf import tiny_hybrid, tiny_recurrent
from tests.site import site as site

BUILTIN_DIR = Path(__file__).parent.parent / "models" / "builtin"


@pytest.fixture(scope="session")
def standin() -> Path:
    """A real, tiny llama-architecture GGUF with its own tokenizer and chat template."""
    path = BUILTIN_DIR / "standin.gguf"
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
