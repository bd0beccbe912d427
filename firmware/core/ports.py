"""What goes into a dispenser and what comes out: facts in the past tense, orders in the imperative.

A board (or a simulator) feeds `Dispenser.step(now_ms, fact)` and carries out the orders that it returns, in order.
`now_ms` is milliseconds since boot and never goes back.
"""


class Port:
    """One fact or order: the values named in `NAMES`, given in that order. Never changed once made."""

    NAMES = ()  # type: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([repr(getattr(self, name)) for name in self.NAMES])})"


# Facts: what happened to the board.


class Booted(Port):
    """The first fact. `slots` are the flash files that could be read, by name; the core judges their content."""

    NAMES = ("slots", "reset_cause")

    def __init__(self, slots: "dict[str, bytes]", reset_cause: str) -> None:
        self.slots = slots
        self.reset_cause = reset_cause


class Linked(Port):
    """A TCP (or TLS) stream to the broker is open. Nothing is known of MQTT yet."""


class LinkLost(Port):
    """The stream ended, or could not be opened, or Wi-Fi went away.

    `by_broker`: the other end closed it, while the network was there.
    """

    NAMES = ("reason", "by_broker")

    def __init__(self, reason: str, by_broker: bool = False) -> None:
        self.reason = reason
        self.by_broker = by_broker


class Received(Port):
    """Bytes from the broker, in any portions."""

    NAMES = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Saved(Port):
    """The answer to `Save`: after `ok` the bytes survive a power cut; otherwise the old content stands."""

    NAMES = ("slot", "ok")

    def __init__(self, slot: str, ok: bool) -> None:
        self.slot = slot
        self.ok = ok


class FlaskClosed(Port):
    """The answer to `OpenFlask` when the gate opened and closed: on time, or early after `CloseFlask`.

    `open_ms` is how long it was open, as the board measured it; `dispensed_mg` is the load cell's word where there is
    one, else None.
    """

    NAMES = ("flask", "open_ms", "dispensed_mg")

    def __init__(self, flask: int, open_ms: int, dispensed_mg: "int | None" = None) -> None:
        self.flask = flask
        self.open_ms = open_ms
        self.dispensed_mg = dispensed_mg


class FlaskFailed(Port):
    """The answer to `OpenFlask` when the gate did not do as told. `open_ms` 0: it never opened, nothing came out.

    None: nobody knows how long it was open. `error` is `jammed` or `servo_fault`; `dispensed_mg` as in `FlaskClosed`.
    """

    NAMES = ("flask", "error", "open_ms", "dispensed_mg")

    def __init__(self, flask: int, error: str, open_ms: "int | None", dispensed_mg: "int | None" = None) -> None:
        self.flask = flask
        self.error = error
        self.open_ms = open_ms
        self.dispensed_mg = dispensed_mg


class StopPressed(Port):
    """Someone at the dispenser wants the running job to stop."""


class Sampled(Port):
    """The board's readings for telemetry."""

    NAMES = ("rssi_dbm", "free_heap_bytes")

    def __init__(self, rssi_dbm: int, free_heap_bytes: int) -> None:
        self.rssi_dbm = rssi_dbm
        self.free_heap_bytes = free_heap_bytes


class Woke(Port):
    """The time that the last step asked to be woken at has come."""


# Orders: what the core wants done.


class Connect(Port):
    """Open a stream to the broker; answer with `Linked` or `LinkLost`."""


class Disconnect(Port):
    """Close the stream at once. No answer is expected."""


class Send(Port):
    """Write these bytes to the stream. A failure shows as `LinkLost`."""

    NAMES = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Save(Port):
    """Write the slot so that it holds either the old or the new content after a power cut; answer with `Saved`."""

    NAMES = ("slot", "data")

    def __init__(self, slot: str, data: bytes) -> None:
        self.slot = slot
        self.data = data


class OpenFlask(Port):
    """Arm the close, then open the gate; it closes by itself after `open_ms`.

    Answer with `FlaskClosed` or `FlaskFailed`. `limit_ms` is the longest opening, enforced apart from the timer.
    """

    NAMES = ("flask", "open_ms", "limit_ms", "channel", "closed_us", "open_us")

    def __init__(self, flask: int, open_ms: int, limit_ms: int, channel: int, closed_us: int, open_us: int) -> None:
        self.flask = flask
        self.open_ms = open_ms
        self.limit_ms = limit_ms
        self.channel = channel
        self.closed_us = closed_us
        self.open_us = open_us


class CloseFlask(Port):
    """Close the gate now. The answer to its `OpenFlask` follows."""

    NAMES = ("flask",)

    def __init__(self, flask: int) -> None:
        self.flask = flask


class Sample(Port):
    """Read the board's sensors; answer with `Sampled`."""


class Say(Port):
    """A line for the board's console: `level` is `info`, `warning` or `error`."""

    NAMES = ("level", "text")

    def __init__(self, level: str, text: str) -> None:
        self.level = level
        self.text = text
