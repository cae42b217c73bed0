"""Origins: other sites and apps that the settings let use /v1 from a browser (CORS).

Outermost of all checks: what it lets in looks to them like a request of no site at all. Cookies are
never asked for, so a named site cannot act as whoever is logged in.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/v1/"
ALLOWED = [
    (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"*, authorization"),
    (b"access-control-expose-headers", b"*"),
    (b"access-control-max-age", b"600"),
    (b"vary", b"origin"),
]
PRIVATE = (b"access-control-allow-private-network", b"true")
OF_BROWSERS = (b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")


class Origins:
    """`allowed` as browsers write them: scheme://host[:port], in lower case."""

    def __init__(self, app: ASGIApp, allowed: frozenset[bytes]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PATH):
            return await self._app(scope, receive, send)
        origin = dict(scope["headers"]).get(b"origin", b"")
        if origin.lower() not in self._allowed:
            return await self._app(scope, receive, send)
        told = [(b"access-control-allow-origin", origin), *ALLOWED]
        if scope["method"] == "OPTIONS":
            start = {"type": "http.response.start", "status": 204, "headers": [*told, PRIVATE]}
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *told]}
            await send(message)

        plain = [
            header for header in scope["headers"] if header[0] not in (*OF_BROWSERS, b"cookie")
        ]
        await self._app({**scope, "headers": plain}, receive, send_told)


def origins_in(setting: str) -> frozenset[bytes]:
    """The origins in the setting, separated by commas."""
    given = (part.strip().rstrip("/").lower() for part in setting.split(","))
    return frozenset(part.encode() for part in given if "://" in part)
