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


def test_one_person_never_holds_the_last_slot() -> None:
    """F8: forty requests of four answers each held all slots; the next person waited 23 s."""
    queue = Turns(100, 100, is_shared=True)
    first, second, other = Ticket("m", "a", 4), Ticket("m", "a", 4), Ticket("m", "b")
    for ticket in (first, second, other):
        queue.add(ticket)
    assert queue.most_at_once(8) == 7 and queue.most_at_once(1) == 1
    assert not queue.is_at_limit(first, 8)
    queue.begin(first)
    assert queue.is_at_limit(second, 8)
    assert not queue.is_at_limit(Ticket("m", "a", 3), 8)
    assert not queue.is_at_limit(other, 8)
    assert not queue.is_at_limit(Ticket("another", "a", 7), 8)
    queue.begin(other)
    assert queue.is_at_limit(Ticket("m", "b", 3), 8)  # 5 + 3: it would take the last one


def test_alone_on_the_machine_one_may_use_all_slots() -> None:
    queue = turns()
    first, second = Ticket("m", "local", 4), Ticket("m", "local", 4)
    queue.add(first)
    queue.begin(first)
    assert queue.most_at_once(8) == 8 and not queue.is_at_limit(second, 8)


@settings(deadline=None)
@given(
    st.integers(2, 6),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.booleans()), max_size=60),
)
def test_whoever_comes_first_time_finds_a_place_unless_several_people_hold_them(
    num_slots: int, steps: list[tuple[int, int, bool]]
) -> None:
    queue = Turns(100, 100, is_shared=True)
    for owner, weight, ends_one in steps:
        if ends_one and queue.running:
            queue.end(next(iter(queue.running)))
        ticket = Ticket("m", str(owner), min(weight, queue.most_at_once(num_slots)))
        queue.add(ticket)
        has_room = queue.load_of("m") + ticket.weight <= num_slots
        if has_room and not queue.is_at_limit(ticket, num_slots):
            queue.begin(ticket)
        else:
            queue.end(ticket)
        if len({ticket.owner for ticket in queue.running}) == 1:
            assert queue.load_of("m") < num_slots


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


def test_the_background_takes_no_place_from_what_somebody_waits_for() -> None:
    """A question stood behind a summary until that had ended."""
    queue = turns()
    summary, second = Ticket("m", "a", 7, True), Ticket("m", "a", 7, True)
    question = Ticket("m", "a")
    for ticket in (summary, second):
        queue.add(ticket)
    queue.begin(summary)
    queue.add(question)
    assert queue.in_turn() == [question, second]
    assert queue.load_before(question) == 0 and queue.load_before(second) == 7
    assert queue.load_of("m") == 7
    shared = Turns(100, 100, is_shared=True)
    for ticket in (summary, question):
        shared.add(ticket)
    shared.begin(summary)
    assert not shared.is_at_limit(question, 1) and shared.is_at_limit(second, 8)
