"""Joining, losing and joining again."""

from itertools import pairwise

import pytest

from firmware.board.wifi import JOIN_LIMIT_MS, PAUSE_MS, PROBLEMS, Wifi

IDLE = 1000


class Wlan:
    """network.WLAN in station mode: lets in after `join_ms`, or says why not."""

    def __init__(self) -> None:
        self.ms = 0
        self.calls: list[tuple[int, str]] = []
        self.join_ms: int | None = 500
        self.reason = IDLE
        self.is_busy = False
        self.rssi: int | Exception = -60
        self._up_at_ms: int | None = None

    def connect(self, ssid: str, password: str) -> None:
        self.calls.append((self.ms, f"connect {ssid} {password}"))
        if self.is_busy:
            raise OSError("Wifi Internal State Error")
        if self.join_ms is not None:
            self._up_at_ms = self.ms + self.join_ms

    def disconnect(self) -> None:
        self.calls.append((self.ms, "disconnect"))
        self._up_at_ms = None
        raise OSError("Wifi Not Started")

    def isconnected(self) -> bool:
        return self._up_at_ms is not None and self.ms >= self._up_at_ms

    def drop(self) -> None:
        self._up_at_ms = None

    def status(self, what: str = "") -> int:
        if not what:
            return self.reason
        if isinstance(self.rssi, Exception):
            raise self.rssi
        return self.rssi


class Bench:
    def __init__(self) -> None:
        self.wlan = Wlan()
        self.wifi = Wifi(self.wlan, "kitchen", "secret")

    def run(self, ms: int, quiet: bool = False) -> int:
        came_up = 0
        for _step in range(ms // 10):
            self.wlan.ms += 10
            came_up += self.wifi.step(self.wlan.ms, quiet)
        return came_up

    def times(self, call: str) -> list[int]:
        return [at_ms for at_ms, what in self.wlan.calls if what.startswith(call)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_joins_at_once_and_says_so_once(bench: Bench) -> None:
    assert bench.run(2000) == 1
    assert bench.wifi.is_up()
    assert bench.wlan.calls == [(10, "connect kitchen secret")]


def test_between_a_loss_and_the_next_attempt_is_a_pause(bench: Bench) -> None:
    bench.run(2000)
    bench.wlan.drop()
    assert bench.run(5000) == 1
    (left,) = bench.times("disconnect")
    assert bench.times("connect")[1] - left >= PAUSE_MS


def test_nothing_begins_while_a_gate_is_open(bench: Bench) -> None:
    bench.run(2000)
    bench.wlan.drop()
    calls = len(bench.wlan.calls)
    bench.run(60_000, quiet=True)
    assert len(bench.wlan.calls) == calls
    assert bench.run(5000) == 1


def test_a_network_that_is_not_there_is_looked_for_ever_less_but_never_given_up(bench: Bench) -> None:
    bench.wlan.join_ms = None
    bench.wlan.reason = 201
    bench.run(200_000)
    attempts = bench.times("connect")
    gaps = [after - before - JOIN_LIMIT_MS for before, after in pairwise(attempts)]
    assert len(attempts) >= 6
    assert gaps == sorted(gaps)
    assert all(PAUSE_MS <= gap <= 11_000 for gap in gaps)
    assert "not found" in PROBLEMS[bench.wifi.problem]
    bench.wlan.join_ms = 500
    assert bench.run(40_000) == 1
    assert bench.wifi.problem == 0


@pytest.mark.parametrize(("reason", "known"), [(202, 202), (203, 203), (204, 204), (IDLE, 204), (17, 204)])
def test_why_it_was_not_let_in_is_known(bench: Bench, reason: int, known: int) -> None:
    bench.wlan.join_ms = None
    bench.wlan.reason = reason
    bench.run(JOIN_LIMIT_MS + 100)
    assert bench.wifi.problem == known


def test_the_reason_of_the_attempt_before_ends_no_attempt(bench: Bench) -> None:
    bench.wlan.reason = 202
    bench.wlan.join_ms = 5000
    assert bench.run(6000) == 1
    assert bench.wifi.problem == 0


def test_a_radio_that_is_busy_is_left_and_asked_again(bench: Bench) -> None:
    bench.wlan.is_busy = True
    bench.run(3000)
    bench.wlan.is_busy = False
    assert bench.run(3000) == 1


@pytest.mark.parametrize(("said", "told"), [(-60, -60), (10, 0), (-200, -127), (OSError("x"), -127)])
def test_the_signal_is_within_what_telemetry_can_say(bench: Bench, said: int | Exception, told: int) -> None:
    assert bench.wifi.rssi_dbm() == -127
    bench.run(2000)
    bench.wlan.rssi = said
    assert bench.wifi.rssi_dbm() == told
