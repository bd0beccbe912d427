"""What a fleet tells about itself while it runs, for a screen to draw and a test to wait for."""

from typing import NamedTuple

BOOTED = "booted"
POWERED_OFF = "powered_off"
ONLINE = "online"
OFFLINE = "offline"
FAULT = "fault"
OPENED = "opened"
CLOSED = "closed"
SAID = "said"
CRASHED = "crashed"


class Event(NamedTuple):
    """One thing that happened to a dispenser.

    `text` is the reset cause of BOOTED, the kind of FAULT (`faults.POWER_CUT` …), the console line of SAID, the reason
    of POWERED_OFF, OFFLINE and CRASHED, and words for the eye of OPENED and CLOSED.
    """

    device: str
    kind: str
    text: str = ""
