"""How many threads a step uses beside others, with clocks that the test turns."""

import pytest

from webui.engine.worker.threads import WINDOW_S, Clocks, Threads, read_clocks

CORES = 4


class Machine:
    """Four cores, of which others use `busy`; our threads get what is left, but share fairly."""

    def __init__(self) -> None:
        self.busy = 0.0
        self.is_told = True
        self.threads = Threads(CORES, self.read)
        self._now = Clocks(100.0, 50.0, 300.0)

    def read(self) -> Clocks:
        if not self.is_told:
            raise PermissionError("/proc/stat")
        return self._now

    def steps(self, num_windows: int, pause_s: float = 0.0) -> list[int]:
        """Steps of half a window each; the number of threads after every second one."""
        counts = []
        for number in range(2 * num_windows + 1):
            seconds = WINDOW_S / 2 + 1e-6
            began = self._now.wall_s + pause_s
            own = min(self.threads.count, max(CORES - self.busy, 1.0))
            idle = max(CORES - own - self.busy, 0.0) * seconds + CORES * pause_s
            self._now = Clocks(
                began + seconds, self._now.own_s + own * seconds, self._now.idle_s + idle
            )
            self.threads.observe(began, self._now.wall_s)
            if number % 2 == 0 and number:
                counts.append(self.threads.count)
        return counts


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_alone_every_thread_computes(machine: Machine) -> None:
    assert machine.steps(3) == [4, 4, 4]


@pytest.mark.parametrize(
    ("busy", "count"), [(0.3, 4), (1.0, 3), (2.0, 2), (2.3, 2), (3.0, 1), (9.0, 1)]
)
def test_a_busy_neighbour_gets_its_core(machine: Machine, busy: float, count: int) -> None:
    machine.busy = busy
    assert machine.steps(4)[-2:] == [count, count]


def test_threads_come_back_with_the_cores(machine: Machine) -> None:
    machine.busy = 3.0
    machine.steps(2)
    machine.busy = 0.0
    assert machine.steps(2)[-1] == 4


def test_a_core_half_in_use_changes_nothing(machine: Machine) -> None:
    """Neither up nor down, or the number would go to and fro."""
    machine.busy = 3.0
    machine.steps(1)
    machine.busy = 2.5
    assert machine.steps(3) == [1, 1, 1]


def test_a_pause_is_not_idleness(machine: Machine) -> None:
    machine.busy = 3.0
    machine.steps(2)
    machine.steps(3, pause_s=1.0)
    assert machine.threads.count == 1


def test_waiting_for_a_graphics_card_is_not_crowding(machine: Machine) -> None:
    """Threads that did not run although cores were idle were not kept from running."""
    now = Clocks(0.0, 0.0, 0.0)
    threads = Threads(CORES, lambda: now)
    for second in range(1, 5):
        now = Clocks(float(second), 0.2 * second, 0.5 * second)
        threads.observe(second - 1.0, float(second))
    assert threads.count == CORES


def test_a_limit_holds_and_lets_go(machine: Machine) -> None:
    machine.threads.use_at_most(2)
    assert machine.steps(2) == [2, 2]
    machine.threads.use_at_most(4)
    assert machine.threads.count == 4


def test_without_the_machine_s_clocks_every_thread_computes(machine: Machine) -> None:
    machine.is_told = False
    machine.busy = 3.0
    assert machine.steps(3) == [4, 4, 4]


def test_the_clocks_of_this_machine_go_forward() -> None:
    before, after = read_clocks(), read_clocks()
    assert after.wall_s > before.wall_s and after.own_s >= before.own_s
    assert after.idle_s >= before.idle_s > 0
