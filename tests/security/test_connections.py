"""A thousand connections that get nowhere neither stop the server nor fill the log."""

import contextlib
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.servers import PROJECT_DIR, Server, serving

NUM_ATTACKERS = 1_100
SMALL = 256  # file descriptors of the server
LOG_BYTES = 20_000


@pytest.fixture(scope="module")
def server(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With few file descriptors, so that they run out soon."""
    folder = tmp_path_factory.mktemp("connections")
    limit = f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, ({SMALL}, {SMALL})); "
    run = "import sys, app; sys.exit(app.main(sys.argv[1:]))"
    with serving(folder, program=("-c", limit + run)) as server:
        yield server


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """For the attacker, who is this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def attack(server: Server, sent: bytes, num: int = NUM_ATTACKERS) -> Iterator[list[socket.socket]]:
    host, port = server.url.removeprefix("http://").split(":")
    opened: list[socket.socket] = []
    try:
        for _ in range(num):
            one = socket.create_connection((host, int(port)), timeout=30)
            opened.append(one)
            with contextlib.suppress(OSError):  # it may be closed already
                one.sendall(sent)
        yield opened
    finally:
        for one in opened:
            one.close()


HALF_HEADERS = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: b\r\n"
HALF_BODY = (
    b"POST /import HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{"
)


@pytest.mark.parametrize("sent", [b"", HALF_HEADERS, HALF_BODY, b"\0nonsense\r\n\r\n"])
def test_half_open_connections_do_not_stop_the_server(server: Server, sent: bytes) -> None:
    """1,100 of them took every file descriptor; each refused one was a line of the log."""
    log = server.folder / "stderr.log"
    before = log.stat().st_size
    with attack(server, sent):
        if sent == HALF_BODY:
            time.sleep(6)  # what stands still for five seconds may go
        for _ in range(3):
            answer = httpx.get(f"{server.url}/health", timeout=20)
            assert answer.status_code == 200
    assert log.stat().st_size - before < LOG_BYTES, log.read_text(encoding="utf-8")[-2000:]


def test_who_works_is_not_cut_off(server: Server) -> None:
    """A connection that is being answered, or has just asked, is none of those that go."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.get("/health").status_code == 200
        body = {"messages": [{"role": "user", "content": "はい"}], "max_tokens": 400,
                "ignore_eos": True, "stream": True}  # fmt: skip
        with client.stream("POST", "/v1/chat/completions", json=body) as stream:
            lines = stream.iter_lines()
            next(lines)
            with attack(server, HALF_HEADERS, 300):
                assert any("[DONE]" in line for line in lines)


@pytest.mark.thorough
def test_late_headers_and_bodies_are_cut_off(server: Server) -> None:
    """Byte by byte is no way to hold a connection."""
    with attack(server, HALF_HEADERS, 3) as slow, attack(server, HALF_BODY, 1) as body:
        ends: dict[int, float] = {}
        began = time.monotonic()
        while len(ends) < 4 and time.monotonic() < began + 60:
            for one in (*slow, *body):
                if id(one) in ends:
                    continue
                try:
                    one.sendall(b"x")
                    one.settimeout(0.2)
                    if not one.recv(1):
                        raise ConnectionResetError
                except TimeoutError:
                    continue
                except OSError:
                    ends[id(one)] = time.monotonic() - began
            time.sleep(0.5)
        assert all(id(one) in ends for one in (*slow, *body))
        assert max(ends[id(one)] for one in slow) < 30


def test_the_limit_of_files_is_raised_as_far_as_it_goes() -> None:
    script = f"""
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
wanted = min({SMALL * 4}, hard)
resource.setrlimit(resource.RLIMIT_NOFILE, ({SMALL}, wanted))
from webui.api.connections import bounds_for, raise_file_limit
print(raise_file_limit() == wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] == wanted)
print(bounds_for({SMALL}).total < {SMALL}, bounds_for(10**9).total < 10**5)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_DIR, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True"] * 4, done.stderr
