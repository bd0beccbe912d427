"""One flask: what it holds, and what really leaves it while its gate is open.

This is the physical truth that the ledger is judged by. Nothing here knows of jobs, boards or messages.
"""

from typing import NamedTuple


class FlaskSpec(NamedTuple):
    """How a flask is made. `flow_mg_per_s` is the true flow; the dispenser only knows the calibrated one."""

    flask: int
    contents_mg: int
    flow_mg_per_s: int
    load_cell: bool = False


class Poured(NamedTuple):
    """One opening of the gate: when (ms on the caller's clock), for how long, and what left."""

    start_ms: int
    open_ms: int
    mg: int


class GateMisused(Exception):
    """An order that no board may carry out: the gate was told to open while it was open."""


def flowed_mg(open_ms: int, flow_mg_per_s: int) -> int:
    """What flows out in `open_ms`, to the nearest mg.

    The dispenser core computes the amount that it reports in the same way from the same two integers, so with a true
    calibration the ledger equals the truth to the milligram and needs no tolerance.
    """
    return (open_ms * flow_mg_per_s + 500) // 1000


class Flask:
    """The contents, the gate, and the sum of what left. Times are integer ms on any one clock that does not go back."""

    __slots__ = ("_close_by_ms", "_opened_ms", "contents_mg", "flow_mg_per_s", "jammed", "left_mg", "load_cell")

    def __init__(self, spec: FlaskSpec) -> None:
        self.contents_mg = spec.contents_mg
        self.flow_mg_per_s = spec.flow_mg_per_s
        self.load_cell = spec.load_cell
        self.left_mg = 0
        self.jammed = False
        self._opened_ms: int | None = None
        self._close_by_ms = 0

    @property
    def is_open(self) -> bool:
        return self._opened_ms is not None

    def open(self, now_ms: int, for_ms: int) -> bool:
        """Open the gate with its close armed `for_ms` ahead. False: it is jammed and did not move.

        Raises `GateMisused` when it is open already.
        """
        if self._opened_ms is not None:
            raise GateMisused(f"told to open at {now_ms} ms, but open since {self._opened_ms} ms; close it first")
        if self.jammed:
            return False
        self._opened_ms = now_ms
        self._close_by_ms = now_ms + for_ms
        return True

    def close(self, now_ms: int) -> Poured | None:
        """Close the gate, whatever the reason: its timer, an order, or its spring when power goes. None: it was closed.

        The armed close is the hardware's: when the simulating process is late to call this, the gate is not.
        """
        if self._opened_ms is None:
            return None
        start_ms = self._opened_ms
        open_ms = min(now_ms, self._close_by_ms) - start_ms
        mg = min(flowed_mg(open_ms, self.flow_mg_per_s), self.contents_mg)
        self._opened_ms = None
        self.contents_mg -= mg
        self.left_mg += mg
        return Poured(start_ms, open_ms, mg)

    def refill(self, mg: int) -> None:
        """Add `mg` from outside."""
        self.contents_mg += mg
