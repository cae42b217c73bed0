"""Connections: how many, from whom, how slow. Under uvicorn's protocol; knows nothing about routes.

A thousand connections that send half a request each took every file descriptor, and each refused
one wrote a line into the log. Here a connection has to get on: headers within HEADERS_S, a body at
MIN_BYTES_PER_S, an answer read at all. Where there are too many, those that have asked nothing yet
go first; somebody who asks at once is served in the midst of an attack.
"""

import asyncio
import ipaddress
import logging
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from webui.api.login_limit import network_of

HEADERS_S = 15.0
BODY_S = 30.0  # of a body, plus what it takes at …
MIN_BYTES_PER_S = 500
UNREAD_S = 120.0  # that an answer may lie there without a byte of it being taken
SWEEP_S = 1.0
MAX_FILES = 65_536
ACCEPTED_AT_ONCE = 64  # by asyncio (its "backlog"), before any of them can be refused
LISTEN_QUEUE = 1_024  # that wait in the system meanwhile
SPARE_FILES = 2 * ACCEPTED_AT_ONCE + 96  # accepted, being closed; database, workers, documents
STALLED_S = 5.0  # without a byte of a body: the next to go when there are too many
MAX_CONNECTIONS = 4_096
MAX_PER_NETWORK = 1_024

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Bounds:
    """How many connections there may be; of one network, unless it is the proxy's."""

    total: int = MAX_CONNECTIONS
    per_network: int = MAX_PER_NETWORK
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def of(self, network: str) -> int:
        return self.total if self._is_proxy(network) else self.per_network

    def _is_proxy(self, network: str) -> bool:
        try:
            address = ipaddress.ip_network(network)[0]
        except ValueError:
            return False
        return any(address in proxy for proxy in self.proxies)


def bounds_for(num_files: int, proxies: str = "") -> Bounds:
    """Within `num_files` descriptors, of which some are for other things."""
    total = max(16, min(num_files - SPARE_FILES, MAX_CONNECTIONS))
    known = [ipaddress.ip_network(part.strip()) for part in proxies.split(",") if part.strip()]
    return Bounds(total, max(8, min(total * 3 // 4, MAX_PER_NETWORK)), tuple(known))


def raise_file_limit() -> int:
    """Take as many file descriptors as this process may have; how many that is."""
    if sys.platform == "win32":
        return MAX_FILES
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return min(soft, MAX_FILES) if soft != resource.RLIM_INFINITY else MAX_FILES
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):  # some systems allow less than they say
        return soft
    return wanted


class Connections:
    """All that are open, oldest first."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._open: dict[BoundedProtocol, None] = {}
        self._of: Counter[str] = Counter()
        self._sweeping: asyncio.TimerHandle | None = None

    def admit(self, one: "BoundedProtocol") -> bool:
        """Whether there is room for it, or room was made."""
        network = one.network
        if self._of[network] >= self._bounds.of(network) and not self._drop_idle(network):
            return False
        if len(self._open) >= self._bounds.total and not self._drop_idle():
            return False
        self._open[one] = None
        self._of[network] += 1
        if self._sweeping is None:
            self._sweeping = one.loop.call_later(SWEEP_S, self._sweep)
        return True

    def forget(self, one: "BoundedProtocol") -> None:
        if one in self._open:
            del self._open[one]
            self._of[one.network] -= 1
            if not self._of[one.network]:
                del self._of[one.network]

    def _drop_idle(self, network: str = "") -> bool:
        """Close the oldest one that has asked nothing yet, of that network if one is named."""
        now = time.monotonic()
        mine = [one for one in self._open if network in ("", one.network)]
        for one in (*filter(_is_idle, mine), *(one for one in mine if one.is_stalled(now))):
            self.forget(one)
            one.drop()
            return True
        return False

    def _sweep(self) -> None:
        self._sweeping = None
        now = time.monotonic()
        for one in [one for one in self._open if one.is_late(now)]:
            self.forget(one)
            one.drop()
        if self._open:
            loop = next(iter(self._open)).loop
            self._sweeping = loop.call_later(SWEEP_S, self._sweep)


class BoundedProtocol(H11Protocol):
    """uvicorn's, with deadlines."""

    connections_of_all: ClassVar[Connections]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.network = network_of(self.client[0]) if self.client else ""
        self._since = time.monotonic()  # the headers, or the body, are waited for
        self._heard = self._since
        self._num_bytes = 0
        self._was_in_body = False
        self._unread = (0, self._since)
        if not self.connections_of_all.admit(self):
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections_of_all.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._num_bytes += len(data)
        self._heard = time.monotonic()
        super().data_received(data)
        if self.is_in_body != self._was_in_body:
            self._begin()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._begin()

    def drop(self) -> None:
        """Without an answer: it has asked nothing."""
        self.transport.abort()

    @property
    def is_idle(self) -> bool:
        """It has no request that is being answered."""
        return self.conn.their_state is h11.IDLE

    @property
    def is_in_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def is_stalled(self, now: float) -> bool:
        """Half a request that does not get on; not one that we are too slow to read."""
        return self.is_in_body and not self.flow.read_paused and now > self._heard + STALLED_S

    def is_late(self, now: float) -> bool:
        if self.is_idle:
            return now > self._since + HEADERS_S
        if self.is_in_body and not self.flow.read_paused:
            return now > self._since + BODY_S + self._num_bytes / MIN_BYTES_PER_S
        return self._leaves_unread(now)

    def _begin(self) -> None:
        """Another part of a request is waited for."""
        self._was_in_body = self.is_in_body
        self._since = time.monotonic()
        self._num_bytes = 0

    def _leaves_unread(self, now: float) -> bool:
        """An answer lies there and nobody takes it."""
        size = self.transport.get_write_buffer_size()
        if not size or size != self._unread[0]:
            self._unread = (size, now)
        return now > self._unread[1] + UNREAD_S


def _is_idle(one: BoundedProtocol) -> bool:
    return one.is_idle


def bounded_protocol(bounds: Bounds) -> type[BoundedProtocol]:
    """The protocol class of one server; its connections are counted together."""
    members: dict[str, Any] = {"connections_of_all": Connections(bounds)}
    return type("OurProtocol", (BoundedProtocol,), members)
