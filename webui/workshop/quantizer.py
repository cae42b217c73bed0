"""The child process that writes a model in another quantisation, with llama.cpp's own quantiser.

    python -m webui.workshop.quantizer SOURCE TARGET TYPE

Knows nothing about where the result belongs.
"""

import os
import re
import sys
from pathlib import Path

import llama_cpp.llama_cpp as ll

from webui.models.gguf import check_file
from webui.processes.parent import Say, work_for_parent
from webui.workshop.making import WorkshopError

STEP = re.compile(rb"\[\s*(\d+)/\s*(\d+)\]")
LOG_ERROR = 4


def main() -> None:
    source, target, kind = sys.argv[1:]
    work_for_parent(lambda say: _quantize(source, target, kind, say))


def _quantize(source: str, target: str, kind: str, say: Say) -> None:
    """Raises WorkshopError, BadGgufError."""
    problem = ""

    def on_log(level: int, text: bytes, _: object) -> None:
        nonlocal problem
        if found := STEP.search(text):
            say("progress", done=int(found[1]), total=int(found[2]))
        elif level == LOG_ERROR and text.strip():
            problem = text.decode(errors="replace").strip()

    callback = ll.llama_log_callback(on_log)
    ll.llama_log_set(callback, None)
    check_file(Path(source))
    params = ll.llama_model_quantize_default_params()
    params.ftype = getattr(ll, f"LLAMA_FTYPE_MOSTLY_{kind}")
    params.nthread = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    params.allow_requantize = False  # from quantised weights the loss would add up
    status = int(ll.llama_model_quantize(source.encode(), target.encode(), params))
    if "iostream error" in problem:  # all that llama.cpp says of a write that failed
        raise WorkshopError("engine.disk_full")
    if status:
        reason = problem or f"llama_model_quantize returned {status}"
        raise WorkshopError("engine.workshop_failed", reason=reason)
    say("done")


if __name__ == "__main__":
    main()
