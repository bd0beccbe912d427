"""What dies is started again, later each time; what is stopped is gone, the latest first."""

from pathlib import Path

import pytest

from pitada.local.program import Program
from pitada.local.supervisor import FIRST_PAUSE_S, LONGEST_PAUSE_S, WELL_AFTER_S, Supervisor


class Fragile:
    """A process as the supervisor sees it; `breaks` starts fail."""

    def __init__(self, stopped: list["Fragile"] | None = None, breaks: int = 0) -> None:
        self.running = False
        self.pid = 1
        self.starts = 0
        self._breaks = breaks
        self._stopped = [] if stopped is None else stopped

    def start(self) -> None:
        self.starts += 1
        if self.starts > 1 and self._breaks:
            self._breaks -= 1
            raise RuntimeError("its port is taken")
        self.running = True

    def stop(self) -> None:
        self.running = False
        self._stopped.append(self)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def starts_within(supervisor: Supervisor, clock: Clock, process: Fragile, seconds: float) -> int:
    """How often a process that dies at once is started in that time."""
    before = process.starts
    until = clock.now + seconds
    while clock.now < until:
        process.running = False
        supervisor.look()
        clock.now += 0.1
    return process.starts - before


def test_one_that_dies_is_started_again_after_the_pause() -> None:
    clock, process = Clock(), Fragile()
    with Supervisor(clock) as supervisor:
        supervisor.start("ingest", process)
        process.running = False
        supervisor.look()
        assert process.starts == 1
        clock.now += FIRST_PAUSE_S
        supervisor.look()
        assert (process.starts, supervisor.restarts) == (2, {"ingest": 1})


def test_one_that_dies_again_and_again_is_started_less_and_less_often() -> None:
    clock, process = Clock(), Fragile()
    with Supervisor(clock) as supervisor:
        supervisor.start("ingest", process)
        assert starts_within(supervisor, clock, process, 10) >= 4
        starts_within(supervisor, clock, process, 120)
        assert starts_within(supervisor, clock, process, 10 * LONGEST_PAUSE_S) <= 10


def test_one_that_ran_for_long_is_started_at_once() -> None:
    clock, process = Clock(), Fragile()
    with Supervisor(clock) as supervisor:
        supervisor.start("ingest", process)
        starts_within(supervisor, clock, process, 60)
        clock.now += LONGEST_PAUSE_S
        supervisor.look()
        assert process.running
        clock.now += WELL_AFTER_S + 0.1
        process.running = False
        supervisor.look()
        before = process.starts
        clock.now += FIRST_PAUSE_S + 0.01
        supervisor.look()
        assert process.starts == before + 1


def test_a_start_that_fails_is_tried_again() -> None:
    clock, process = Clock(), Fragile(breaks=2)
    with Supervisor(clock) as supervisor:
        supervisor.start("mosquitto", process)
        process.running = False
        for _ in range(50):
            supervisor.look()
            clock.now += 0.1
        assert process.running
        assert supervisor.restarts == {"mosquitto": 1}


def test_all_are_stopped_the_latest_first_also_when_one_does_not_start() -> None:
    stopped: list[Fragile] = []
    first, second = Fragile(stopped), Fragile(stopped)
    missing = Program(["/nowhere/no-such-program"], {}, Path("/dev/null"))

    def run() -> None:
        with Supervisor() as supervisor:
            supervisor.start("first", first)
            supervisor.start("second", second)
            supervisor.start("missing", missing)

    with pytest.raises(FileNotFoundError):
        run()
    assert stopped == [second, first]
