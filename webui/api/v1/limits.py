"""What one client may send and use: bytes of a body, tokens a minute."""

import json
import math
import secrets
import time
from collections import defaultdict, deque

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.api.v1.errors import error_body
from webui.engine.turns import TooBusyError

MAX_BODY_BYTES = 4 << 20  # a million tokens
MAX_DRAINED_BYTES = 64 << 20  # read to the end before it is refused; the whole server's limit
WINDOW_S = 60.0


class BodyLimit:
    """Answers 413 to a body of more than MAX_BODY_BYTES, whatever length was declared."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            return await self._app(scope, receive, send)
        body = b""
        num_read = 0  # all of it: who is answered while he still sends sees a broken connection
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            num_read += len(message.get("body", b""))
            if num_read <= MAX_BODY_BYTES:
                body += message.get("body", b"")
            if num_read > MAX_DRAINED_BYTES:
                return await _refuse(send)
            if not message.get("more_body"):
                break
        if num_read > MAX_BODY_BYTES:
            return await _refuse(send)
        await self._app(_as_json(scope), _replayed(body, receive), send)


class RequestIds:
    """Gives every answer an `x-request-id`, the client's own where it sent a short one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        is_usable = 0 < len(given) <= 100 and given.isascii() and given.decode().isprintable()
        request_id = given if is_usable else b"req_" + secrets.token_hex(12).encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"x-request-id", request_id)]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with_id)


class TokenBudget:
    """How many tokens each user has used within the last minute."""

    def __init__(self, tokens_per_minute: int) -> None:
        self._limit = tokens_per_minute
        self._spent: dict[str, deque[tuple[float, int]]] = defaultdict(deque)

    def check(self, owner: str) -> None:
        """Raises TooBusyError when the minute's tokens are used up."""
        if not self._limit:
            return
        spent = self._spent[owner]
        now = time.monotonic()
        while spent and spent[0][0] < now - WINDOW_S:
            spent.popleft()
        if sum(tokens for _, tokens in spent) >= self._limit:
            retry_after_s = max(1, math.ceil(spent[0][0] + WINDOW_S - now))
            raise TooBusyError("serving.token_limit", retry_after_s, limit=self._limit)

    def spend(self, owner: str, num_tokens: int) -> None:
        if self._limit:
            self._spent[owner].append((time.monotonic(), num_tokens))


def _as_json(scope: Scope) -> Scope:
    """A body whose kind is not said is JSON."""
    if any(name == b"content-type" for name, _ in scope["headers"]):
        return scope
    headers = [*scope["headers"], (b"content-type", b"application/json")]
    return {**scope, "headers": headers}


def _replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` for an application that has not seen the body yet."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


async def _refuse(send: Send) -> None:
    text = json.dumps(error_body(f"the body may have at most {MAX_BODY_BYTES} bytes")).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": text})
