"""The job in hand: its items, and the moves that the transition table allows them."""

from protocol.states import DEVICE, ITEM_ENDS, ITEM_TRANSITIONS

_MOVES = frozenset([(start, end) for start, end, who, _when in ITEM_TRANSITIONS if who == DEVICE])


class BadMove(ValueError):
    """An item was told to go where the transition table has no way: a mistake in this program."""


class Item:
    """One flask of the job. `fresh`: its state has not been told to the server since it last changed.

    `open_ms` is for a calibration: so long, whatever the flow; what left is not known until it is weighed.
    """

    __slots__ = ("dispensed_mg", "duration_ms", "error", "flask", "fresh", "open_ms", "state", "target_mg")

    def __init__(
        self,
        flask: int,
        target_mg: int,
        state: str = "pending",
        dispensed_mg: "int | None" = None,
        duration_ms: "int | None" = None,
        error: "str | None" = None,
        open_ms: "int | None" = None,
    ) -> None:
        self.flask = flask
        self.target_mg = target_mg
        self.state = state
        self.dispensed_mg = dispensed_mg
        self.duration_ms = duration_ms
        self.error = error
        self.open_ms = open_ms
        self.fresh = state != "pending"

    def move(
        self,
        state: str,
        dispensed_mg: "int | None" = None,
        duration_ms: "int | None" = None,
        error: "str | None" = None,
    ) -> None:
        """Go to `state`, mg and ms as known. Raises `BadMove` where the table has no way for a dispenser."""
        if (self.state, state) not in _MOVES:
            raise BadMove(f"flask {self.flask}: no way from {self.state} to {state}")
        self.state = state
        self.dispensed_mg = dispensed_mg
        self.duration_ms = duration_ms
        self.error = error
        self.fresh = True


class Job:
    """A job that was accepted and has not ended."""

    __slots__ = ("id", "items", "seq")

    def __init__(self, id: str, seq: int, items: "list[Item]") -> None:
        self.id = id
        self.seq = seq
        self.items = items

    def next_pending(self) -> "int | None":
        """The position of the first item that has not begun."""
        for position, item in enumerate(self.items):
            if item.state == "pending":
                return position
        return None

    def is_over(self) -> bool:
        """Whether every item has ended."""
        return all([item.state in ITEM_ENDS for item in self.items])


def open_time_ms(target_mg: int, flow_mg_per_s: int) -> int:
    """How long a flask of that flow (above 0) stays open for the amount: the nearest millisecond, at least one."""
    return max(1, (target_mg * 1000 + flow_mg_per_s // 2) // flow_mg_per_s)


def needed_ms(item: Item, flow_mg_per_s: int) -> "int | None":
    """How long the item's flask is to be open; None: its flow is not known, and the time not given."""
    if item.open_ms is not None:
        return item.open_ms
    return open_time_ms(item.target_mg, flow_mg_per_s) if flow_mg_per_s else None


def amount_mg(open_ms: int, flow_mg_per_s: int) -> int:
    """What leaves a flask of that flow in `open_ms`, to the nearest milligram."""
    return (open_ms * flow_mg_per_s + 500) // 1000
