"""The child process that writes a model in another quantisation, with llama.cpp's own quantiser.

    python -m webui.engine.quantizer SOURCE TARGET TYPE    (JSON lines on stdout)

A child, because it holds all cores for minutes, because ending it is the only way to cancel it,
and because it aborts on files that it cannot read. Ends when its parent does.
"""

import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as ll

from webui.gguf import BadGgufError
from webui.soundness import check_file

STEP = re.compile(rb"\[\s*(\d+)/\s*(\d+)\]")


def main() -> None:
    source, target, kind = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever native code prints
    threading.Thread(target=_end_with_parent, daemon=True).start()
    error = ""

    def on_log(level: int, text: bytes, _: object) -> None:
        nonlocal error
        if found := STEP.search(text):
            _say(out, event="progress", done=int(found[1]), total=int(found[2]))
        elif level == 4 and text.strip():
            error = text.decode(errors="replace").strip()

    callback = ll.llama_log_callback(on_log)
    ll.llama_log_set(callback, None)
    try:
        check_file(Path(source))
        status = _quantize(source, target, kind)
    except BadGgufError as bad:
        status, error = 1, str(bad)
    if status:
        _say(out, event="error", reason=error or f"llama_model_quantize returned {status}")
    else:
        _say(out, event="done")
    os._exit(0)  # the thread below waits for ever


def _quantize(source: str, target: str, kind: str) -> int:
    params = ll.llama_model_quantize_default_params()
    params.ftype = getattr(ll, f"LLAMA_FTYPE_MOSTLY_{kind}")
    params.nthread = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    params.allow_requantize = False  # from quantised weights the loss would add up
    return int(ll.llama_model_quantize(source.encode(), target.encode(), params))


def _say(out: Any, **values: Any) -> None:
    try:
        out.write(json.dumps(values) + "\n")
        out.flush()
    except BrokenPipeError:
        os._exit(0)


def _end_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
