"""The door in front of Gradio: what the page uses of it passes, everything else is refused.

Gradio brings some sixty addresses: files, a proxy, uploads, recordings, an editor. A list of bad
ones was tried and had a hole in it (`/file/…` beside `/file=…`); so this is a list of good ones.
Knows addresses; knows nothing about users or what the page shows.
"""

import re
from collections.abc import Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

READ = frozenset({"GET", "HEAD"})
POST = frozenset({"POST"})
# Kept by hand; a browser that goes through the whole page holds it (tests/security).
USED: Mapping[str, frozenset[str]] = {
    "/": READ,
    "/theme.css": READ,
    "/gradio_api/app_id": READ,  # after a lost connection: is the server back?
    "/gradio_api/queue/data": frozenset({"GET"}),
    "/gradio_api/queue/join": POST,
    "/gradio_api/run/predict": POST,
}
# Gradio's own files: plain names only, so that there is one spelling and no way up.
FILE = re.compile(r"/(?:assets|static)(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{,99}){1,4}")
# Gradio builds its own address from these; ours is what the client has asked for.
FORGEABLE = (b"x-forwarded-host", b"x-gradio-", b"x-direct-url")


class GradioDoor:
    """Stands between our routes and Gradio's application."""

    def __init__(self, gradio: ASGIApp) -> None:
        self._gradio = gradio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_used(scope):
            headers = [one for one in scope["headers"] if not one[0].startswith(FORGEABLE)]
            return await self._gradio({**scope, "headers": headers}, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        refusal = JSONResponse({"error": "there is no such address"}, 404)
        await refusal(scope, receive, send)


def is_used(scope: Scope) -> bool:
    """Whether the page makes such a request, spelled as the page spells it."""
    path = _routed(scope)
    # Decoding is another spelling: %2e, %2f, and what is no ASCII at all.
    if scope.get("raw_path", scope["path"].encode()) != scope["path"].encode():
        return False
    method = str(scope["method"])
    if FILE.fullmatch(path):
        return method in READ
    return method in USED.get(path, frozenset())


def _routed(scope: Scope) -> str:
    """The path that Starlette routes by: without the root path, where there is one."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root + "/") else path
