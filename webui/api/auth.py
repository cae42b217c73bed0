"""The gate: one login for page and API. Off where only this machine can reach the server.

The page is entered with name and password and then carries a cookie; programs send an API key as
`Authorization: Bearer …` to /v1 and /metrics. Everything else of the server is behind the gate too.
"""

import asyncio
import html
import json
from http.cookies import CookieError, SimpleCookie

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from webui.api.login_limit import LoginLimit, TooManyTriesError
from webui.application import USER_SCOPE
from webui.config import LOCAL_USER
from webui.credentials import SESSION_S, Credentials
from webui.strings import text
from webui.ui.language import language_of

SESSION_COOKIE = "kajogaki_session"
OPEN_PATHS = frozenset({"/login", "/health", "/page/icon.svg"})
KEY_PATHS = ("/v1/", "/metrics")
MAX_CHECKED_AT_ONCE = 2  # passwords; each takes 16 MiB and all of a core
LOGIN_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; " + (
    "connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"
)
PAGE = """<!doctype html><html lang="{language}"><meta charset="utf-8"><title>Kajogaki</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="/page/icon.svg">
<style>body{{font:16px/1.7 system-ui,"Hiragino Sans","Noto Sans JP",Meiryo,sans-serif;display:grid;
place-items:center;min-height:95vh;margin:0;color:#1e293b;background:#f8fafc}}form{{width:min(20rem,
90vw)}}label{{display:block;margin:.8rem 0}}input{{box-sizing:border-box;width:100%;font:inherit;
padding:.5rem .7rem;border:1px solid #94a3b8;border-radius:.5rem;background:#fff;color:inherit}}
button{{font:inherit;width:100%;padding:.6rem;border:0;border-radius:.5rem;background:#34509b;
color:#fff;margin-top:.6rem}}p{{color:#b91c1c;min-height:1.7em}}@media(prefers-color-scheme:dark){{
body{{background:#0f172a;color:#e2e8f0}}input{{background:#1e293b}}p{{color:#fca5a5}}}}</style>
<form><h1>Kajogaki</h1><label>{user}<input name="user" autocomplete="username" required autofocus>
</label><label>{password}<input name="password" type="password" autocomplete="current-password"
required></label><button>{login}</button><p role="alert"></p></form><script>
document.querySelector("form").addEventListener("submit", async event => {{
  event.preventDefault();
  const values = Object.fromEntries(new FormData(event.target));
  const answer = await fetch("/login", {{method: "POST", body: JSON.stringify(values),
    headers: {{"content-type": "application/json"}}}});
  if (answer.ok) location.replace("/");
  else document.querySelector("p").textContent = (await answer.json()).error;
}});</script></html>"""


def owner_of(request: Request) -> str:
    """Whose chats, documents and limits this request is about."""
    return str(request.scope.get(USER_SCOPE, LOCAL_USER))


class Gate:
    """Lets through who has a session or a key, and writes down who it is."""

    def __init__(self, app: ASGIApp, credentials: Credentials) -> None:
        self._app = app
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        user = self._user(scope)
        if user is None and scope["path"] not in OPEN_PATHS:
            return await self._refuse(scope, receive, send)
        await self._app({**scope, USER_SCOPE: user or LOCAL_USER}, receive, send)

    def _user(self, scope: Scope) -> str | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        scheme, _, key = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and scope["path"].startswith(KEY_PATHS):
            return self._credentials.user_of_key(key.strip())
        token = _cookie(headers.get(b"cookie", ""), SESSION_COOKIE)
        return self._credentials.user_of_session(token) if token else None

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        response: Response
        if scope["path"].startswith(KEY_PATHS):
            error = {
                "message": "a valid API key is needed: Authorization: Bearer kjg-…",
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_api_key",
            }
            response = JSONResponse({"error": error}, 401, {"WWW-Authenticate": "Bearer"})
        elif scope["path"] == "/" and scope["method"] in ("GET", "HEAD"):
            response = RedirectResponse("/login", 303, {"Cache-Control": "no-store"})
        else:
            response = JSONResponse({"error": "log in first"}, 401)
        await response(scope, receive, send)


class LoginBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    user: str = Field(max_length=200)
    password: str = Field(max_length=1000)


def login_routes(credentials: Credentials) -> APIRouter:
    """GET and POST /login, POST /logout."""
    router = APIRouter()
    limit = LoginLimit()
    checking = asyncio.Semaphore(MAX_CHECKED_AT_ONCE)

    @router.get("/login")
    async def login_page(request: Request) -> HTMLResponse:
        language = language_of(request.cookies)
        words = {name: html.escape(text(f"login.{name}", language)) for name in
                 ("user", "password", "login")}  # fmt: skip
        headers = {"Content-Security-Policy": LOGIN_POLICY, "Cache-Control": "no-store"}
        return HTMLResponse(PAGE.format(language=language, **words), headers=headers)

    @router.post("/login")
    async def login(request: Request) -> JSONResponse:
        language = language_of(request.cookies)
        # First all of the body: what waits for it has neither been counted nor let through.
        body = _login_body(await request.body())
        if body is None:
            return JSONResponse({"error": text("login.wrong", language)}, 400)
        try:
            attempt = limit.begin(request.client.host if request.client else "", body.user)
            await limit.turn(attempt)
        except TooManyTriesError as error:
            seconds = int(error.wait_s) + 1
            sentence = text("login.too_many", language, seconds=seconds)
            return JSONResponse({"error": sentence}, 429, {"Retry-After": str(seconds)})
        async with checking:
            is_right = await asyncio.to_thread(credentials.is_password, body.user, body.password)
        if not is_right:
            return JSONResponse({"error": text("login.wrong", language)}, 401)
        limit.forgive(attempt)
        response = JSONResponse({"user": body.user})
        response.set_cookie(
            SESSION_COOKIE,
            await asyncio.to_thread(credentials.new_session, body.user),
            max_age=SESSION_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    @router.post("/logout")
    async def logout(request: Request) -> JSONResponse:
        """Ends the session here too: a copy of the cookie opens nothing any more."""
        token = _cookie(request.headers.get("cookie", ""), SESSION_COOKIE)
        await asyncio.to_thread(credentials.end_session, token)
        response = JSONResponse({})
        response.delete_cookie(SESSION_COOKIE)
        return response

    return router


def _login_body(data: bytes) -> LoginBody | None:
    try:
        return LoginBody.model_validate(json.loads(data))
    except (ValueError, RecursionError):  # pydantic's errors are ValueErrors too
        return None


def _cookie(header: str, name: str) -> str:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(header)
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""
