"""The figures of a fleet: what was measured, and nothing between."""

from pitada.fleet.figures import Spread, figures, spread
from protocol import topics
from simulators.fleet import Fleet
from tests.pitada.fleet.conftest import CONNECT, specs


def test_a_spread_is_made_of_times_that_were_measured() -> None:
    assert spread(range(101, 0, -1)) == Spread(101, 51, 91, 100, 101)
    assert spread([7]) == Spread(1, 7, 7, 7, 7)
    assert spread([]) == Spread(0, None, None, None, None)


async def test_rates_are_of_the_last_ten_seconds_and_peaks_of_all() -> None:
    fleet = Fleet(specs(2), "127.0.0.1", 1)
    fleet.wire.connects.extend([(100, 900), (195, 7), (196, 30), (205, 20), (206, 9)])
    found = figures(fleet, None, 206.5)
    assert (found.connects_per_s, found.connects_peak_per_s) == (5.0, 900)
    assert (found.dispensers, found.connected, found.placed, found.settle.count) == (2, 0, 0, 0)


async def test_connects_come_from_the_dispensers_wires() -> None:
    async with Fleet(specs(1), "127.0.0.1", 1) as fleet:
        fleet.wire.sent("sim-1", CONNECT)
        fleet.wire.sent("sim-1", b"\x30\x20\x00\x1c" + topics.STATUS.topic("sim-1").encode())
        assert fleet.wire.connects_total == 1
