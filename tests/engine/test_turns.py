"""Turns: fairness and limits, without any engine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.engine.turns import Ticket, TooBusyError, Turns


def turns(limit: int = 100, per_owner: int = 100) -> Turns:
    return Turns(limit, per_owner)


def test_those_of_one_owner_are_served_in_order() -> None:
    queue = turns()
    tickets = [Ticket("m", "a") for _ in range(3)]
    for ticket in tickets:
        queue.add(ticket)
    assert queue.in_turn() == tickets
    assert [queue.num_ahead(ticket) for ticket in tickets] == [0, 1, 2]


def test_one_persons_many_requests_stand_behind_anothers_first() -> None:
    queue = turns()
    many = [Ticket("m", "a") for _ in range(50)]
    for ticket in many:
        queue.add(ticket)
    late = Ticket("m", "b")
    queue.add(late)
    assert queue.num_ahead(late) == 1
    queue.begin(many[0])
    assert queue.num_ahead(late) == 0


def test_limits_name_the_time_to_come_back() -> None:
    queue = turns(limit=3, per_owner=2)
    queue.add(Ticket("m", "a"))
    queue.add(Ticket("m", "a"))
    with pytest.raises(TooBusyError) as own:
        queue.add(Ticket("m", "a"))
    assert own.value.key == "serving.too_many_of_yours" and own.value.retry_after_s >= 1
    queue.add(Ticket("m", "b"))
    with pytest.raises(TooBusyError) as all_:
        queue.add(Ticket("m", "c"))
    assert all_.value.key == "serving.too_busy"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=80))
def test_nobody_starves(steps: list[tuple[int, bool]]) -> None:
    """Whoever has nothing running is overtaken only by owners who also had nothing running."""
    queue = turns()
    for owner, is_arrival in steps:
        if is_arrival:
            queue.add(Ticket("m", str(owner)))
            continue
        if len(queue.running) >= 2:
            queue.end(next(iter(queue.running)))
        order = queue.in_turn()
        if not order:
            continue
        running = {ticket.owner for ticket in queue.running}
        idle = [t for t in queue.waiting if t.owner not in running]
        assert order[0] is (idle[0] if idle else order[0])
        queue.begin(order[0])
    assert sorted(map(id, queue.in_turn())) == sorted(map(id, queue.waiting))
