"""A child for the tests: says what it hears; `garbage` gets no frame, `die` ends it."""

import os
import sys

from webui.processes.parent import pipe_to_parent
from webui.processes.wire import read_frame, write_frame


def main() -> None:
    pipe = pipe_to_parent()
    print("what libraries print is no frame", flush=True)
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        if frame == b"die":
            os._exit(3)
        if frame == b"garbage":
            pipe.write(b"\xff" * 64)
            pipe.flush()
        else:
            write_frame(pipe, frame)


if __name__ == "__main__":
    main()
