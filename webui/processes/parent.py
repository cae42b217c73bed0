"""The child's side of the pipe to its parent: what it says, and that it ends with its parent.

Knows nothing about what the children do.
"""

import errno
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from webui.errors import AppError
from webui.processes.wire import read_frame, write_frame

Message = dict[str, Any]
Say = Callable[..., None]


def pipe_to_parent() -> BinaryIO:
    """Where frames go. Whatever libraries and native code print goes to stderr instead."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


def end_with_parent() -> None:
    """From now on this process ends when its stdin is closed."""
    threading.Thread(target=_wait_for_end, daemon=True).start()


def work_for_parent(work: Callable[[Say], None]) -> None:
    """Run `work`, tell how it ended, and end. `work` gets say(event, **values)."""
    pipe = pipe_to_parent()
    end_with_parent()

    def say(event: str, **values: Any) -> None:
        try:
            write_frame(pipe, json.dumps({"event": event, **values}).encode())
        except BrokenPipeError:
            os._exit(0)

    try:
        work(say)
    except AppError as error:
        say("error", key=error.key, values=plain(error.values))
    except MemoryError:
        say("error", key="engine.workshop_failed", values={"reason": "not enough memory"})
    except OSError as error:
        # NumPy tells a short write without a number.
        is_full = error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        key = "engine.disk_full" if is_full else "engine.workshop_failed"
        say("error", key=key, values={"reason": error.strerror or str(error)})
    os._exit(0)  # the thread waits for ever


def plain(values: Mapping[str, object]) -> dict[str, str | int | float]:
    """An error's values as JSON. Numbers stay numbers: sentences format them."""
    return {
        key: value if isinstance(value, str | int | float) else str(value)
        for key, value in values.items()
    }


def _wait_for_end() -> None:
    while read_frame(sys.stdin.buffer) is not None:
        pass
    os._exit(0)
