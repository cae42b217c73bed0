"""How much memory all loaded models may take, and how much one more needs. Knows no engines."""

import psutil

from webui.config import Settings
from webui.engine.memory import RULE_OF_THUMB, predict
from webui.engine.request import LoadModel
from webui.errors import AppError
from webui.models import ModelSpec
from webui.models.gguf import read_header

MEMORY_SHARE = 0.8  # of the machine's memory, when the user sets no budget
GIB = 1 << 30


def budget_bytes(settings: Settings) -> int:
    """For all loaded models together."""
    if settings.memory_gb:
        return int(settings.memory_gb * GIB)
    return int(psutil.virtual_memory().total * MEMORY_SHARE)


def needed_bytes(spec: ModelSpec, load: LoadModel) -> int:
    """For one model once it is loaded: from its header, or by rule of thumb without one.

    Slow for a large vocabulary: call it in a thread.
    """
    if spec.remote:
        return 0
    try:
        return predict(read_header(spec.path), load).total
    except (AppError, OSError):  # loading it will say what is wrong with the file
        return int(spec.size_bytes * RULE_OF_THUMB)
