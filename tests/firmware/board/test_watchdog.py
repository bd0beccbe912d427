"""Who keeps the watchdog quiet."""

from firmware.board.watchdog import SILENCE_MS, TIMEOUT_MS, Watchdog


class Wdt:
    """machine.WDT: counts its meals."""

    def __init__(self) -> None:
        self.fed = 0

    def feed(self) -> None:
        self.fed += 1


def test_it_is_fed_while_every_part_is_alive() -> None:
    wdt = Wdt()
    watchdog = Watchdog(wdt, ("hardware", "network"), 0)
    for now_ms in range(0, 60_000, 1000):
        watchdog.heard("hardware", now_ms)
        watchdog.heard("network", now_ms)
        assert watchdog.feed(now_ms) == ()
    assert wdt.fed == 60


def test_a_part_that_died_lets_it_starve_and_is_named() -> None:
    wdt = Wdt()
    watchdog = Watchdog(wdt, ("hardware", "network"), 0)
    watchdog.heard("network", SILENCE_MS + 1)
    assert watchdog.feed(SILENCE_MS + 1) == ("hardware",)
    assert wdt.fed == 0


def test_nothing_feeds_it_but_the_main_loop() -> None:
    wdt = Wdt()
    watchdog = Watchdog(wdt, ("hardware",), 0)
    for now_ms in range(60_000):
        watchdog.heard("hardware", now_ms)
    assert wdt.fed == 0


def test_the_time_it_takes_leaves_room_for_what_may_block() -> None:
    assert TIMEOUT_MS > 2 * SILENCE_MS
