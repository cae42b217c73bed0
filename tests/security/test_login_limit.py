"""Passwords cannot be tried by the thousand, and nobody is shut out by those who try."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.servers import Server, serving
from webui.api import login_limit
from webui.api.login_limit import LoginLimit, TooManyTriesError, network_of
from webui.config import Settings, SettingsError
from webui.credentials import Credentials

PASSWORD = "correct horse"
USERS = ("taro", "hanako", "jiro")


@pytest.fixture(scope="module")
def server(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("login")
    (folder / "data").mkdir()
    for user in USERS:
        Credentials(folder / "data").set_password(user, PASSWORD)
    with serving(folder, "--login", "on") as server:
        yield server


def attempt(
    server: Server, user: str, password: str, address: str = "127.0.0.1", **headers: str
) -> int:
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=server.url, transport=transport, timeout=90) as client:
        body = {"user": user, "password": password}
        return client.post("/login", json=body, headers=headers).status_code


def test_the_address_is_not_what_a_header_says(server: Server) -> None:
    """Twelve tries with twelve X-Forwarded-For were twelve addresses."""
    for place, name in enumerate(("X-Forwarded-For", "Forwarded", "X-Real-IP"), start=1):
        address = f"127.0.1.{place}"
        tried = [
            attempt(server, "taro", "wrong", address, **{name: f"10.0.0.{number}"})
            for number in range(6)
        ]
        assert tried == [401] * 5 + [429], name


def test_many_at_once_are_many_tries(server: Server) -> None:
    """Forty connections sent their headers, then all bodies together: all forty were tried."""
    host, port = server.url.removeprefix("http://").split(":")
    opened: list[socket.socket] = []
    wrong = b'{"user":"taro","password":"wrong wrong wrong"}'
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            one = socket.create_connection((host, int(port)), 60, ("127.0.2.1", 0))
            opened.append(stack.enter_context(one))
            one.sendall(
                f"POST /login HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(wrong)}\r\n\r\n".encode()
            )
        for one in opened:
            one.sendall(wrong)
        answers = [one.recv(12)[9:] for one in opened]
    assert sorted(answers) == [b"401"] * 5 + [b"429"] * 35


def test_a_crowd_does_not_shut_a_user_out(server: Server) -> None:
    """Whoever tries a name from many addresses slows down its tries, and shuts nobody out."""
    for number in range(1, 10):
        for _ in range(4):
            if number * 4 <= login_limit.MAX_CROWD + 4:
                attempt(server, "hanako", "wrong", f"127.0.3.{number}")
    assert attempt(server, "hanako", PASSWORD, "127.0.4.1") == 200
    assert attempt(server, "ｈａｎａｋｏ", PASSWORD, "127.0.4.2") == 200  # the same name


def test_wrong_tries_of_others_behind_one_address_shut_nobody_out(server: Server) -> None:
    """A proxy that is not named makes one address of all."""
    for number in range(login_limit.MAX_CROWD + 2):
        attempt(server, f"nobody {number}", "wrong", "127.0.5.1")
    assert attempt(server, "jiro", PASSWORD, "127.0.5.1") == 200


@pytest.mark.thorough
def test_a_proxy_that_is_named_is_believed(standin: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Credentials(tmp_path / "data").set_password("taro", PASSWORD)
    with serving(tmp_path, "--login", "on", "--proxy", "127.0.0.9") as server:
        for number in range(6):
            header = {"X-Forwarded-For": f"10.0.0.{number}"}
            assert attempt(server, "taro", "wrong", "127.0.0.9", **header) == 401
        tried = [
            attempt(server, "taro", "wrong", "127.0.0.8", **{"X-Forwarded-For": f"10.0.1.{n}"})
            for n in range(6)
        ]
        assert tried == [401] * 5 + [429]


def test_nobody_names_everybody_as_a_proxy() -> None:
    assert Settings(proxy="127.0.0.1, 10.0.0.0/8").proxy
    for wrong in ("*", "proxy.example", "10.0.0.1/8", "127.0.0.1;"):
        with pytest.raises(SettingsError):
            Settings(proxy=wrong)


def test_an_address_of_ipv6_is_its_network() -> None:
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1")
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("unix socket") == "unix socket"


def test_a_full_queue_takes_a_stranger_before_those_who_failed() -> None:
    """The queue holds fifty; who has failed least is next, and pushes the worst one out."""

    async def test() -> list[str]:
        limit = LoginLimit(pace_s=0.01)
        order: list[str] = []

        async def one(address: str) -> None:
            attempt = limit.begin(address, "taro")
            try:
                await limit.turn(attempt)
                order.append(address)
            except TooManyTriesError:
                order.append("pushed out")

        crowd = [f"10.0.0.{number}" for number in range(login_limit.MAX_QUEUED)]
        for address in crowd:
            limit.begin(address, "taro")  # has failed once
        waiting = [asyncio.create_task(one(address)) for address in crowd]
        waiting.append(asyncio.create_task(one("10.9.9.9")))
        await asyncio.gather(*waiting)
        return order

    order = asyncio.run(test())
    assert len(order) == login_limit.MAX_QUEUED + 1
    assert order.count("pushed out") == 1
    assert [one for one in order if one != "pushed out"].index("10.9.9.9") <= 1


def test_a_full_queue_refuses_who_is_no_better() -> None:
    async def test() -> None:
        limit = LoginLimit(pace_s=3600)
        tries = [limit.begin(f"10.0.{n // 200}.{n % 200}", "taro") for n in range(75)]
        queued = [asyncio.create_task(limit.turn(one)) for one in tries if one.is_crowded]
        await asyncio.sleep(0)
        for number in range(3):
            with contextlib.suppress(TooManyTriesError):
                limit.begin("10.7.7.7", f"somebody {number}")
        with pytest.raises(TooManyTriesError):
            limit.begin("10.7.7.7", "taro")
        for task in queued:
            task.cancel()
        await asyncio.gather(*queued, return_exceptions=True)

    asyncio.run(test())
