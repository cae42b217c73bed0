"""What every request must pass and every response carries. Plain ASGI; knows nothing about chats.

A local web application is reachable from any site that its user visits: by DNS rebinding (Host),
by cross-site requests (Origin), by a page in a frame.
"""

import json
import logging
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

import psutil
from starlette.requests import ClientDisconnect

from webui.strings import Language
from webui.ui.boot import ASSETS_PATH, with_boot
from webui.ui.language import language_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = ("0.0.0.0", "::")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A form of another site can send these without asking first.
FORM_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
OUR_PAGES = frozenset({"/", "/login"})  # where a link of another site may lead
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", re.ASCII)
MAX_BODY_BYTES = 64 << 20
# These are streamed to the disk; what reads them sets its own limit, in a sentence.
STREAMED_PATHS = {"/documents/files": 1_100_000_000}
OTHER_SITES = "requests from other sites are refused (the setting origins lets named ones in)"
TOO_LARGE = "at most {limit} bytes"
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
# Gradio's templates and `js=` need eval; its index page has inline scripts.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
# What is not the page is data: a browser that is led there runs and loads nothing.
DATA_POLICY = b"default-src 'none'; sandbox"
OWN_POLICY_PATHS = frozenset({"/login"})
IMMUTABLE = b"public, max-age=31536000, immutable"
IMMUTABLE_PATHS = ("/assets/", ASSETS_PATH + "/")
NOBODYS_PATHS = (*IMMUTABLE_PATHS, "/static/", "/theme.css")  # all else belongs to a user


class _BodyTooLargeError(Exception):
    """A body went on after MAX_BODY_BYTES."""


class RequestCheck:
    """Refuses requests of other sites, under other names, or too large."""

    def __init__(self, app: App, allowed_hosts: frozenset[str] = LOCAL_NAMES) -> None:
        self._app = app
        self._allowed_hosts = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # nothing here speaks it
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = headers_of(scope)
        status, reason = self._refusal(scope, headers)
        if status:
            return await _refuse(send, status, reason)
        try:
            await self._app(scope, _limited(receive, _limit(scope)), send)
        except _BodyTooLargeError:
            await _refuse(send, 413, TOO_LARGE.format(limit=_limit(scope)))
        except ClientDisconnect:  # half a body: nobody to answer, nothing for the log
            logger.debug("a client went away in the midst of a body")

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str]:
        if not scope["path"].startswith("/"):  # an address of another server, for a proxy
            return 400, "this server is no proxy"
        host = headers.get("host", "")
        if host_name(host) not in self._allowed_hosts:
            return 421, "this server does not answer under that name"
        origin = headers.get("origin")
        if origin is not None and not _same_origin(origin, host):
            return 403, OTHER_SITES
        if _is_foreign(headers) and not _is_link_to_our_page(scope, headers):
            return 403, OTHER_SITES
        if scope["method"] not in SAFE_METHODS:
            return _body_refusal(headers, _limit(scope))
        return 0, ""


class PageHeaders:
    """Adds the security headers to every response, and our head to Gradio's index page."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if scope["path"] == "/" and scope["method"] == "GET":
            page = _IndexPage(send, _language(scope))
            plain = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
            await self._app({**scope, "headers": plain}, receive, page.send)
        else:
            await self._app(scope, receive, _with_headers(send, scope["path"]))


class _IndexPage:
    """Collects the index page, then sends it with our head in it."""

    def __init__(self, send: Send, language: Language) -> None:
        self._send = send
        self._language = language
        self._start: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            await self._finish()

    async def _finish(self) -> None:
        body = self._body
        if self._start["status"] == 200:
            body = with_boot(body.decode("utf-8"), self._language).encode("utf-8")
        added = {
            **HEADERS,
            b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
            b"content-length": str(len(body)).encode(),
            b"cache-control": b"no-store",
        }
        await self._send({**self._start, "headers": _replaced(self._start["headers"], added)})
        await self._send({"type": "http.response.body", "body": body})


def allowed_hosts(host: str, names: str = "") -> frozenset[str]:
    """The names under which a server that listens on `host` answers; `names` adds to them."""
    given = {name.strip().lower() for name in names.split(",") if name.strip()}
    if host in EVERYWHERE:
        own = (a.address for all_ in psutil.net_if_addrs().values() for a in all_)
        given |= {socket.gethostname().lower(), *(name.partition("%")[0] for name in own)}
    return LOCAL_NAMES | {host.lower()} | given


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers; of a repeated one, the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets; "" for nonsense."""
    found = HOST.fullmatch(host.lower())
    return found[1].strip("[]") if found else ""


def _same_origin(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _is_foreign(headers: dict[str, str]) -> bool:
    """Another site's; "same-site" is one too: a server on another port of this machine."""
    return headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


def _is_link_to_our_page(scope: Scope, headers: dict[str, str]) -> bool:
    """A link from another site to our page; it sends nothing and reads nothing.

    To data there are none: what is fetched that way is drawn in a window of the other site.
    """
    return (
        scope["method"] in ("GET", "HEAD")
        and scope["path"] in OUR_PAGES
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest", "document") == "document"
    )


def _limit(scope: Scope) -> int:
    return STREAMED_PATHS.get(scope["path"], MAX_BODY_BYTES)


def _body_refusal(headers: dict[str, str], limit: int) -> tuple[int, str]:
    if headers.get("content-type", "").lower().startswith(FORM_TYPES):
        return 415, "send JSON"
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > limit:
        return 413, TOO_LARGE.format(limit=limit)
    return 0, ""


def _limited(receive: Receive, limit: int) -> Receive:
    """`receive`, counting a body of undeclared length. Raises _BodyTooLargeError."""
    num_bytes = 0

    async def receive_some() -> Message:
        nonlocal num_bytes
        message = await receive()
        num_bytes += len(message.get("body", b""))
        if num_bytes > limit:
            raise _BodyTooLargeError
        return message

    return receive_some


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": {"message": reason, "type": "invalid_request_error"}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", DATA_POLICY),
        (b"cache-control", b"no-store"),
        *HEADERS.items(),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send, path: str) -> Send:
    """`send`, which leaves no response to be run, guessed at or kept."""
    added = dict(HEADERS)
    if path not in OWN_POLICY_PATHS:
        added[b"content-security-policy"] = DATA_POLICY
    if not path.startswith(NOBODYS_PATHS):
        added[b"cache-control"] = b"no-store"

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            new = dict(added)
            if message["status"] == 200 and path.startswith(IMMUTABLE_PATHS):
                new[b"cache-control"] = IMMUTABLE
            message = {**message, "headers": _replaced(message["headers"], new)}
        await send(message)

    return send_with_headers


def _replaced(
    headers: list[tuple[bytes, bytes]], added: dict[bytes, bytes]
) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() not in added]
    return [*kept, *added.items()]


def _language(scope: Scope) -> Language:
    cookies = SimpleCookie()
    try:
        cookies.load(headers_of(scope).get("cookie", ""))
    except CookieError:
        return Language.JA
    return language_of({name: morsel.value for name, morsel in cookies.items()})
