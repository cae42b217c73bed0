"""The web application and its server: our routes first, then the page, checks around both."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.routing import Mount

from webui.api.auth import Gate, login_routes
from webui.api.connections import (
    ACCEPTED_AT_ONCE,
    LISTEN_QUEUE,
    bounded_protocol,
    bounds_for,
    raise_file_limit,
)
from webui.api.documents import document_routes
from webui.api.files import file_routes
from webui.api.gradio_routes import GradioDoor
from webui.api.jobs import job_routes
from webui.api.metrics import metrics
from webui.api.origins import Origins, origins_in
from webui.api.page_errors import answer_errors
from webui.api.security import PageHeaders, RequestCheck, allowed_hosts
from webui.api.summaries import summary_routes
from webui.api.summary_view import progress_view
from webui.api.v1.routes import create_v1
from webui.application import Application
from webui.credentials import login_needed
from webui.documents.under_way import watch_documents
from webui.errors import AppError
from webui.jobs import JobKind
from webui.tasks.purging import purge_at_stop, purge_regularly
from webui.ui.environment import prepare_gradio

SHUTDOWN_S = 10

logger = logging.getLogger(__name__)


class ListenError(AppError):
    """The address cannot be listened on."""


def serve(application: Application, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready(url)` once the page answers. Raises ListenError.

    The port is taken first, so that a taken one is reported before anything slow begins.
    """
    settings = application.settings
    if settings.log_level != "DEBUG":  # it warns of every connection that sends nonsense
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    with listen(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        web, end_streams = create_app(application, port)
        # What the libraries have made stays: collecting it again took 0.3 s of the event loop.
        gc.collect()
        gc.freeze()
        config = uvicorn.Config(
            web,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
            # Otherwise everybody on this machine could write down where he comes from.
            http=bounded_protocol(bounds_for(raise_file_limit(), settings.proxy)),
            ws="none",
            backlog=ACCEPTED_AT_ONCE,
            proxy_headers=bool(settings.proxy),
            forwarded_allow_ips=settings.proxy,
        )
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        _Server(config, lambda: on_ready(f"http://{name}:{port}/"), end_streams).run([listener])


def create_app(application: Application, port: int) -> tuple[FastAPI, Callable[[], None]]:
    """The whole web application, and what ends its open streams when it is asked to stop."""
    prepare_gradio(application.settings.data_dir / "gradio")
    from webui.ui.page import mount_page  # imports Gradio, which reads its environment then

    web = FastAPI(lifespan=_lifespan(application), docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(web)
    web.get("/health")(_health(application))
    web.include_router(file_routes(application))
    web.include_router(job_routes(application, {JobKind.SUMMARY: progress_view}))
    web.include_router(summary_routes(application))
    web.include_router(document_routes(application))
    web.include_router(login_routes(application.credentials))
    web.get("/metrics")(lambda: metrics(application.engines))
    web.mount("/v1", create_v1(application))
    end_page = mount_page(web, application, port)
    mount = web.routes[-1]
    assert isinstance(mount, Mount), "Gradio is what is mounted last"
    mount.app = GradioDoor(mount.app)
    settings = application.settings
    if login_needed(settings):
        web.add_middleware(Gate, credentials=application.credentials)
    web.add_middleware(PageHeaders)
    web.add_middleware(RequestCheck, allowed_hosts=allowed_hosts(settings.host, settings.names))
    if origins := origins_in(settings.origins):
        web.add_middleware(Origins, allowed=origins)

    def end_streams() -> None:
        application.jobs.let_listeners_go()
        end_page()

    return web, end_streams


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(LISTEN_QUEUE)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenError("app.port_taken", port=port) from error
        raise ListenError("app.bad_host", host=host, reason=error.strerror) from error
    return listener


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], None], on_exit: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_exit = on_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(LISTEN_QUEUE)  # uvicorn has made it as short as what is taken at once
        if self.started:
            self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not uvicorn's own, which raises the signal again at the end: ending is success here.
        self._on_exit()
        self.force_exit = self.should_exit
        self.should_exit = True


def _lifespan(
    application: Application,
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_web: FastAPI) -> AsyncIterator[None]:
        # Goes on with what a killed process has left; its workers start when there is something.
        await asyncio.to_thread(application.library.start)
        for owner in {one.owner for one in application.storage.documents.unfinished()}:
            watch_documents(application.jobs, application.library, owner)
        warm_up = asyncio.create_task(_warm_up(application))
        purging = asyncio.create_task(purge_regularly(application.storage))
        try:
            yield
        finally:
            warm_up.cancel()
            await application.jobs.close()
            purging.cancel()
            await purge_at_stop(application.storage)
            await application.close()

    return lifespan


async def _warm_up(application: Application) -> None:
    """Load the default model while the user is still typing."""
    try:
        async with application.engines.lease():
            pass
    except AppError as error:
        logger.warning("the default model does not load: %s", error)  # the page says it too


def _health(application: Application) -> Callable[[], dict[str, str]]:
    def health() -> dict[str, str]:
        return {"status": "ok", "model": application.engines.current_id}

    return health
