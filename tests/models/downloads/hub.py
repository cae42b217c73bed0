"""A small server that speaks the hub's endpoints, with the faults of real networks on demand.

HEAD and GET /<repository>/resolve/<revision>/<file> redirect to /cdn/<sha256> as the hub does;
/api/models/<repository> describes. Faults are taken from `faults`, one per request.
"""

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    url: str = ""
    cdn_url: str = ""  # another host, as the real hub has
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    in_git: set[str] = field(default_factory=set)  # files that git itself keeps: no SHA-256
    commit: str = "0" * 40
    gated: set[str] = field(default_factory=set)
    license_text: str = "この重みは自由に使えます。"
    wrong_hash: bool = False
    tells_hash: bool = True
    ignores_range: bool = False
    cut_after: list[int] = field(default_factory=list)  # bytes, one per transfer, then whole
    statuses: list[int] = field(default_factory=list)  # of the next requests of any kind
    bytes_per_s: float = 0.0  # 0 = as fast as it goes
    requests: list[str] = field(default_factory=list)  # "GET /path [range]"
    tokens: list[str] = field(default_factory=list)  # Authorization headers that were sent

    def add(self, repository: str, file: str, content: bytes) -> str:
        """Returns its sha256."""
        self.files[repository, file] = content
        return hashlib.sha256(content).hexdigest()

    def content_of(self, sha256: str) -> bytes | None:
        for content in self.files.values():
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
        return None

    @property
    def num_transfers(self) -> int:
        return sum(request.startswith("GET /cdn/") for request in self.requests)


def git_blob(content: bytes) -> str:
    """The hash of a file in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Hub]:
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    hub.url = f"{scheme}://127.0.0.1:{server.server_port}"
    hub.cdn_url = f"{scheme}://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _answer(self) -> None:
        extent = self.headers.get("Range", "")
        self.hub.requests.append(f"{self.command} {self.path} {extent}".strip())
        if token := self.headers.get("Authorization"):
            self.hub.tokens.append(token)
        if self.hub.statuses:
            self._end(self.hub.statuses.pop(0))
            return
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "api":
            self._describe("/".join(parts[2:4]))
        elif parts[0] == "cdn":
            assert "Authorization" not in self.headers, "the token must not leave the hub"
            self._transfer(self.hub.content_of(parts[1]) or b"", extent)
        else:
            self._resolve("/".join(parts[:2]), "/".join(parts[4:]))

    def _resolve(self, repository: str, file: str) -> None:
        if repository in self.hub.gated and "Authorization" not in self.headers:
            self._end(401, {"X-Error-Code": "GatedRepo"})
            return
        if not any(known == repository for known, _ in self.hub.files):
            self._end(404, {"X-Error-Code": "RepoNotFound"})
            return
        if file == "LICENSE":
            content: bytes | None = self.hub.license_text.encode()
        else:
            content = self.hub.files.get((repository, file))
        if content is None:
            self._end(404, {"X-Error-Code": "EntryNotFound"})
            return
        if file in self.hub.in_git or file == "LICENSE":  # the hub itself sends these
            etag = "f" * 40 if self.hub.wrong_hash else git_blob(content)
            extent = self.headers.get("Range", "")
            self._transfer(content, extent, {"X-Repo-Commit": self.hub.commit, "ETag": etag})
            return
        sha256 = hashlib.sha256(content).hexdigest()
        etag = "f" * 64 if self.hub.wrong_hash else sha256
        headers = {
            "X-Repo-Commit": self.hub.commit,
            "X-Linked-Size": str(len(content)),
            "X-Linked-Etag": f'"{etag if self.hub.tells_hash else "some-version"}"',
            "Location": f"{self.hub.cdn_url}/cdn/{sha256}",
        }
        self._end(302, headers)

    def _describe(self, repository: str) -> None:
        files = {
            file: data for (known, file), data in self.hub.files.items() if known == repository
        }
        if not files:
            self._end(404, {"X-Error-Code": "RepoNotFound"})
            return
        size = len(self.hub.license_text.encode())
        siblings: list[dict[str, Any]] = [{"rfilename": "LICENSE", "size": size}]
        for file, data in files.items():
            lfs = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 1}
            sibling = {"rfilename": file, "size": len(data)}
            siblings.append(sibling if file in self.hub.in_git else sibling | {"lfs": lfs})
        body = json.dumps(
            {
                "id": repository,
                "sha": self.hub.commit,
                "gated": "manual" if repository in self.hub.gated else False,
                "downloads": 42,
                "cardData": {"license": "apache-2.0"},
                "siblings": siblings,
            }
        ).encode()
        self._end(200, {"Content-Type": "application/json"}, body)

    def _transfer(self, content: bytes, extent: str, headers: dict[str, str] | None = None) -> None:
        start = 0
        if extent.startswith("bytes=") and not self.hub.ignores_range:
            start = int(extent.removeprefix("bytes=").split("-")[0])
        body = content[start:]
        self.send_response(206 if start else 200)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.hub.cut_after.pop(0) if self.hub.cut_after else len(body)
        self._send_slowly(body[:cut])
        if cut < len(body):
            self.close_connection = True

    def _send_slowly(self, body: bytes) -> None:
        if self.command == "HEAD":
            return
        step = 1 << 16
        try:
            for position in range(0, len(body), step):
                self.wfile.write(body[position : position + step])
                if self.hub.bytes_per_s:
                    time.sleep(step / self.hub.bytes_per_s)
        except OSError:  # they hung up
            self.close_connection = True

    def _end(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
