"""Prints every route of the application as JSON, taken from the application: `python -m …`.

In a process of its own, as the server is: importing Gradio takes over a process's environment.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from webui.api.server import create_app
from webui.application import Application
from webui.config import Settings


def routes(found: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(method, path) of each route, those of mounted applications too."""
    for route in found:
        if included := getattr(route, "original_router", None):  # of a router of FastAPI's
            before = route.include_context.prefix
            yield from routes(included.routes, prefix + before)
            continue
        path = prefix + route.path
        if below := getattr(route, "routes", None):
            yield from routes(below, path)
        for method in getattr(route, "methods", None) or ():
            yield method, path


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    settings = Settings(data_dir=folder, models_dir=folder, login="on")
    web, _ = create_app(Application.open(settings), 7860)
    print(json.dumps(sorted(set(routes(web.routes)))))
