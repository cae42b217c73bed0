"""How often somebody may try a password. Knows names and addresses; knows nothing about HTTP.

Three bounds. From one address for one user five wrong tries a minute, then none: looked at and
counted in one go, before the password is, so that many at once are many tries. A user, or an
address, that is tried by a crowd is not shut, or a crowd could shut anybody out: its tries stand in
a queue that lets one through a second, those of addresses with fewer failures first.
"""

import asyncio
import ipaddress
import time
import unicodedata
from collections import OrderedDict, deque
from dataclasses import dataclass, field

MAX_FAILURES = 5  # from one address for one user, in a window
MAX_CROWD = 20  # of one user, or from one address, in a window; more have to queue
WINDOW_S = 60.0
MAX_KEYS = 20_000  # that are remembered; the oldest are forgotten
MAX_QUEUED = 50
PACE_S = 1.0  # between two tries of the queue

Key = tuple[str, str]  # (address, user), ("", user) or (address, "")


class TooManyTriesError(Exception):
    """Nothing was tried; `wait_s` until it makes sense again."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


@dataclass(slots=True)
class Try:
    """One that was counted as a failure until forgive() says otherwise."""

    keys: tuple[Key, ...]
    is_crowded: bool
    num_failures: int  # of its address
    turn: asyncio.Future[None] | None = None


@dataclass(slots=True)
class LoginLimit:
    pace_s: float = PACE_S
    _times: OrderedDict[Key, deque[float]] = field(default_factory=OrderedDict)
    _queue: list[Try] = field(default_factory=list)
    _next_turn: float = 0.0
    _pacing: asyncio.Task[None] | None = None

    def begin(self, address: str, user: str) -> Try:
        """Counts a try. Raises TooManyTriesError. No await: check and count are one."""
        network, user = network_of(address), unicodedata.normalize("NFKC", user)
        pair, of_user, of_address = (network, user), ("", user), (network, "")
        failures = self._failures(pair)
        if len(failures) >= MAX_FAILURES:
            raise TooManyTriesError(failures[0] + WINDOW_S - time.monotonic())
        num_failures = len(self._failures(of_address))
        crowded = max(num_failures, len(self._failures(of_user))) >= MAX_CROWD
        if crowded:
            self._make_room(num_failures)
        for key in (pair, of_user, of_address):
            self._add(key)
        return Try((pair, of_user, of_address), crowded, num_failures)

    async def turn(self, one: Try) -> None:
        """Returns at once unless a crowd tries. Raises TooManyTriesError where it is too large."""
        if not one.is_crowded:
            return
        one.turn = asyncio.get_running_loop().create_future()
        self._queue.append(one)
        if self._pacing is None or self._pacing.done():
            self._pacing = asyncio.create_task(self._pace())
        try:
            await one.turn
        finally:
            if one in self._queue:
                self._queue.remove(one)

    def forgive(self, one: Try) -> None:
        """It was right."""
        for key in one.keys:
            if self._times.get(key):
                self._times[key].pop()

    async def _pace(self) -> None:
        while self._queue:
            await asyncio.sleep(max(0.0, self._next_turn - time.monotonic()))
            if self._queue:
                first = min(self._queue, key=lambda one: one.num_failures)
                self._queue.remove(first)
                self._next_turn = time.monotonic() + self.pace_s
                if first.turn and not first.turn.done():
                    first.turn.set_result(None)

    def _make_room(self, num_failures: int) -> None:
        """A full queue takes whoever has failed less than its worst."""
        if len(self._queue) < MAX_QUEUED:
            return
        worst = max(self._queue, key=lambda one: one.num_failures)
        if worst.num_failures <= num_failures:
            raise TooManyTriesError(MAX_QUEUED * self.pace_s)
        self._queue.remove(worst)
        if worst.turn and not worst.turn.done():
            worst.turn.set_exception(TooManyTriesError(MAX_QUEUED * self.pace_s))

    def _failures(self, key: Key) -> deque[float]:
        times = self._times.get(key, deque())
        while times and times[0] < time.monotonic() - WINDOW_S:
            times.popleft()
        return times

    def _add(self, key: Key) -> None:
        self._times.setdefault(key, deque(maxlen=MAX_CROWD)).append(time.monotonic())
        self._times.move_to_end(key)
        while len(self._times) > MAX_KEYS:
            self._times.popitem(last=False)


def network_of(address: str) -> str:
    """Whom an address belongs to: of IPv6 everybody has a whole /64."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)
