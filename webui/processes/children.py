"""Child processes that do one long thing and report in JSON lines; both sides of the pipe.

A child, because it holds all cores for minutes, because ending it is the only way to cancel native
code, and because it may abort on a file it cannot read. It ends when its parent does. Knows nothing
about what the children do.
"""

import asyncio
import contextlib
import errno
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from webui.config import PROJECT_DIR
from webui.errors import AppError
from webui.private import MODELS_UMASK

SPARE_BYTES = 1 << 28  # left free on the disk by what they make
LIMIT_BYTES = 1 << 20  # of one line

Message = dict[str, Any]
Say = Callable[..., None]


class WorkshopError(AppError):
    """Something could not be made or measured."""


@asynccontextmanager
async def child(module: str, *arguments: str) -> AsyncIterator[AsyncIterator[Message]]:
    """Its messages; it is ended with the block. Raises WorkshopError when it says so or dies."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=LIMIT_BYTES,
        umask=MODELS_UMASK,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR), "GGML_NO_BACKTRACE": "1"},
    )  # fmt: skip
    try:
        yield _messages(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _messages(process: asyncio.subprocess.Process) -> AsyncIterator[Message]:
    assert process.stdout
    async for line in process.stdout:
        message: Message = json.loads(line)
        if message["event"] == "error":
            raise WorkshopError(message["key"], **message["values"])
        yield message
        if message["event"] == "done":
            return
    raise WorkshopError("engine.workshop_failed", reason="the process ended")


def work_for_parent(work: Callable[[Say], None]) -> None:
    """The child's side: run `work`, tell how it ended, and end.

    `work` gets say(event, **values). What native code prints goes to stderr.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def say(event: str, **values: Any) -> None:
        try:
            out.write(json.dumps({"event": event, **values}) + "\n")
            out.flush()
        except BrokenPipeError:
            os._exit(0)

    try:
        work(say)
    except AppError as error:
        say("error", key=error.key, values=_plain(error.values))
    except MemoryError:
        say("error", key="engine.workshop_failed", values={"reason": "not enough memory"})
    except OSError as error:
        # NumPy tells a short write without a number.
        is_full = error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        key = "engine.disk_full" if is_full else "engine.workshop_failed"
        say("error", key=key, values={"reason": error.strerror or str(error)})
    os._exit(0)  # the thread waits for ever


def _plain(values: Mapping[str, object]) -> dict[str, str | int | float]:
    """Numbers stay numbers: sentences format them."""
    return {
        key: value if isinstance(value, str | int | float) else str(value)
        for key, value in values.items()
    }


def _end_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os._exit(0)
