"""Where the tests' models are. Apart from conftest.py, which also changes how everything runs."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILTIN_DIR = ROOT / "build" / "tests" / "builtin"  # the stand-in alone, quick and without opinions
