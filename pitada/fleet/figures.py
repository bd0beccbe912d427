"""The figures of a fleet that runs, for the screen and for `--json`: the same at any moment and at the end."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from pitada.fleet.orders import Orders
from simulators.fleet import Fleet

# A rate is shown over so many seconds: short enough to follow, long enough to read.
_RATE_S = 10


@dataclass(frozen=True)
class Spread:
    """How some times lie: half of them are below `p50_ms`, and so on. None: there are none yet."""

    count: int
    p50_ms: int | None
    p90_ms: int | None
    p99_ms: int | None
    slowest_ms: int | None


@dataclass(frozen=True)
class Figures:
    """`settle`: from an order's place in the ledger to its end there. `receipt`: from a completion's first publish.

    `divergences`: items of our orders of which the ledger says what the flask does not, so far.
    """

    dispensers: int
    connected: int
    boots: int
    reconnects: int
    connects_per_s: float
    connects_peak_per_s: int
    placed: int
    ended: int
    refused: int
    jobs_per_s: float
    settle: Spread
    receipt: Spread
    openings: int
    faults: dict[str, int]
    divergences: int


def figures(fleet: Fleet, orders: Orders | None, now_s: float) -> Figures:
    """As they are at `now_s` on the event loop's clock."""
    # Whole seconds: the present one has only begun.
    rates = [count for second, count in fleet.wire.connects if int(now_s) - _RATE_S <= second < int(now_s)]
    return Figures(
        dispensers=len(fleet.specs),
        connected=fleet.connected,
        boots=fleet.boots,
        reconnects=fleet.reconnects,
        connects_per_s=round(sum(rates) / _RATE_S, 1),
        connects_peak_per_s=max((count for _second, count in fleet.wire.connects), default=0),
        placed=orders.placed if orders else 0,
        ended=orders.ended if orders else 0,
        refused=orders.refused if orders else 0,
        jobs_per_s=round(_lately(orders.ended_at_s, now_s) / _RATE_S, 1) if orders else 0.0,
        settle=spread(orders.settled_ms if orders else ()),
        receipt=spread(fleet.wire.waited_ms),
        openings=fleet.openings,
        faults=dict(fleet.faults),
        divergences=len(orders.divergences) if orders else 0,
    )


def spread(times_ms: Iterable[int]) -> Spread:
    """Percentiles, each one of the times that were measured."""
    ordered = sorted(times_ms)
    if not ordered:
        return Spread(0, None, None, None, None)
    last = len(ordered) - 1
    p50, p90, p99 = (ordered[round(last * percent / 100)] for percent in (50, 90, 99))
    return Spread(len(ordered), p50, p90, p99, ordered[-1])


def _lately(moments_s: deque[float], now_s: float) -> int:
    """How many of these, oldest first, are of the last seconds."""
    count = 0
    for moment_s in reversed(moments_s):
        if moment_s < now_s - _RATE_S:
            break
        count += 1
    return count
