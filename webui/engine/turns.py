"""Turns: whose request is next, and who has to wait. Pure bookkeeping; knows no engines.

Fair between people, not between requests: next is whoever has the fewest requests running, and of
those the one who has waited longest. One person's hundred requests therefore stand behind
another's first, and nobody starves: whoever has nothing running is only behind earlier ones.
What nobody waits for, such as a summary, comes after all that somebody waits for, and takes no
place from it: the worker lets it pause.
Among several people one place of a model stays free for whoever has nothing running there.
"""

import math
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from webui.errors import AppError

NUM_REMEMBERED = 32  # finished requests, for the estimate of how long others will wait
MAX_RETRY_S = 600


class TooBusyError(AppError):
    """Too many are waiting already. `retry_after_s`: when it is worth asking again."""

    def __init__(self, key: str, retry_after_s: int, **values: object) -> None:
        super().__init__(key, seconds=retry_after_s, **values)
        self.retry_after_s = retry_after_s


@dataclass(slots=True, eq=False)
class Ticket:
    """One request's place. `weight`: how many sequences it computes at once."""

    model_id: str
    owner: str
    weight: int = 1
    is_background: bool = False
    arrived_at: float = field(default_factory=time.monotonic)
    began_at: float = 0.0


class Turns:
    def __init__(
        self, max_waiting: int, max_waiting_per_owner: int, *, is_shared: bool = False
    ) -> None:
        """`is_shared`: several people use the models, so nobody may hold all places of one."""
        self.waiting: list[Ticket] = []  # in order of arrival
        self.running: set[Ticket] = set()
        self._max_waiting = max_waiting
        self._max_waiting_per_owner = max_waiting_per_owner
        self._is_shared = is_shared
        self._durations: deque[float] = deque(maxlen=NUM_REMEMBERED)

    def add(self, ticket: Ticket) -> None:
        """Queue it. Raises TooBusyError."""
        num_own = sum(other.owner == ticket.owner for other in self.waiting)
        if num_own >= self._max_waiting_per_owner:
            raise TooBusyError("serving.too_many_of_yours", self._retry_after_s(), limit=num_own)
        if len(self.waiting) >= self._max_waiting:
            raise TooBusyError("serving.too_busy", self._retry_after_s(), limit=len(self.waiting))
        self.waiting.append(ticket)

    def begin(self, ticket: Ticket) -> None:
        self.waiting.remove(ticket)
        self.running.add(ticket)
        ticket.began_at = time.monotonic()

    def end(self, ticket: Ticket) -> None:
        """It has finished, or nobody wants it any more."""
        if ticket in self.running:
            self.running.remove(ticket)
            self._durations.append(time.monotonic() - ticket.began_at)
        elif ticket in self.waiting:
            self.waiting.remove(ticket)

    def in_turn(self) -> list[Ticket]:
        """Those who wait, the next one first."""
        num_before = Counter(t.owner for t in self.running if not t.is_background)
        ranked: list[tuple[bool, int, int, Ticket]] = []
        for ticket in sorted(self.waiting, key=lambda t: t.is_background):
            num_own = num_before[ticket.owner]
            ranked.append((ticket.is_background, num_own, len(ranked), ticket))
            num_before[ticket.owner] += 1
        return [ticket for *_, ticket in sorted(ranked, key=lambda entry: entry[:3])]

    def num_ahead(self, ticket: Ticket) -> int:
        """How many will be served before it."""
        order = self.in_turn()
        return order.index(ticket) if ticket in order else 0

    def load_of(self, model_id: str) -> int:
        """Sequences that run on this model now."""
        return sum(ticket.weight for ticket in self.running if ticket.model_id == model_id)

    def load_before(self, ticket: Ticket) -> int:
        """Sequences that take places from `ticket`: those in the background make way."""
        return sum(other.weight for other in self._beside(ticket))

    def _beside(self, ticket: Ticket) -> list[Ticket]:
        return [
            other
            for other in self.running
            if other.model_id == ticket.model_id and other.is_background <= ticket.is_background
        ]

    def most_at_once(self, num_slots: int) -> int:
        """Sequences that one owner may compute on a model of so many slots."""
        return num_slots - 1 if self._is_shared and num_slots > 1 else num_slots

    def is_at_limit(self, ticket: Ticket, num_slots: int) -> bool:
        """Whether only this owner has to wait: the free slots are kept for others.

        Whoever has something running there never takes the last free slot; so somebody who comes
        later waits only for other people's requests, never for one person's alone.
        """
        if not any(other.owner == ticket.owner for other in self._beside(ticket)):
            return False
        return self.load_before(ticket) + ticket.weight > self.most_at_once(num_slots)

    def _retry_after_s(self) -> int:
        """Guess from the last requests: how long until the queue has moved on."""
        typical = sorted(self._durations)[len(self._durations) // 2] if self._durations else 1.0
        rounds = len(self.waiting) / max(1, len(self.running))
        return max(1, min(MAX_RETRY_S, math.ceil(typical * rounds)))
