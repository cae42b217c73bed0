"""A web site of a stranger, on a port of its own: it serves pages and keeps what is sent to it."""

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class HostileSite:
    port: int
    pages: dict[str, str] = field(default_factory=dict)  # HTML by path, whatever its name says
    asked: list[str] = field(default_factory=list)  # paths that somebody has fetched
    loot: list[str] = field(default_factory=list)  # bodies that were sent here

    @property
    def url(self) -> str:
        """Under another name than 127.0.0.1, so that a browser takes it for another site."""
        return f"http://localhost:{self.port}"


@contextmanager
def hostile_site(pages: Mapping[str, str]) -> Iterator[HostileSite]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            self.answer(site.pages.get(self.path.partition("?")[0], "").encode())

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            site.loot.append(self.rfile.read(length).decode("utf-8", "replace"))
            self.answer(b"")

        def answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(content)))
            self.send_header("access-control-allow-origin", "*")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = HostileSite(server.server_port, dict(pages))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
