"""What must be set before `import gradio`, which reads it once. Imports nothing of Gradio."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

MAX_TIMED_EVENTS = "100"  # Gradio sums up its records with pandas after every event


def prepare_gradio(temp_dir: Path) -> None:
    """No telemetry, a private and empty place for uploads, a fast import."""
    if temp_dir.exists():
        shutil.rmtree(temp_dir)  # what a crash left behind
    temp_dir.mkdir(parents=True, mode=0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(temp_dir)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = MAX_TIMED_EVENTS
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000"
    if "gradio" not in sys.modules:
        sys.meta_path.insert(0, _SkipStubs())


class _SkipStubs:
    """Import hook: Gradio writes a .pyi file for each of its components at every import, which
    is half of the import's time and writes into site-packages. This makes that a no-op."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "gradio.component_meta":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_without_stubs(module: ModuleType) -> None:
            load(module)
            module.create_or_modify_pyi = lambda *_, **__: None  # type: ignore[attr-defined]

        spec.loader.exec_module = load_without_stubs  # type: ignore[method-assign]
        return spec
