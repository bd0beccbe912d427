"""What survives a restart beside the journal: NVS, which keeps 32-bit numbers and blobs under names.

One blob holds all settings, so that they change in one step: NVS writes the new blob before it forgets the old one.
"""

from firmware.board import settings
from firmware.board.settings import Settings

try:
    from typing import Callable

    from esp32 import NVS
except ImportError:  # only type checkers look at these
    pass

NAMESPACE = "pitada"

_SETTINGS = "settings"
_PULSES = "pulses"
_LABEL = "label"
WANTED = "wanted"
_PROBLEM = "problem"
_PROVED = "proved"
_CLOCK = "clock_min"

# The largest blob: settings with a chain of certificates.
_MAX_BLOB = 5120

# What the next boot is for.
RUN = 0
SET_UP = 1
SERVICE = 2

# Of these, a password is easily read from a label: none looks like another.
_LABEL_CHARS = "abcdefghjkmnpqrstuvwxyz23456789"
_LABEL_LENGTH = 10


class Store:
    """`nvs` is an `esp32.NVS`, or a fake. A name that was never written reads as nothing; writing may raise OSError."""

    __slots__ = ("_nvs",)

    def __init__(self, nvs: "NVS") -> None:
        self._nvs = nvs

    def settings(self) -> "Settings | None":
        """None: it was never set up, or what was kept is damaged."""
        data = self._blob(_SETTINGS)
        return settings.from_bytes(data) if data else None

    def keep_settings(self, new: "Settings") -> None:
        """These from now on. Whether they work is yet to be seen."""
        self._nvs.set_blob(_SETTINGS, new.to_bytes())
        self._nvs.set_i32(_PROVED, 0)
        self._nvs.set_i32(_PROBLEM, 0)
        self._nvs.commit()

    def are_proved(self) -> bool:
        """The Wi-Fi let the dispenser in with these settings, once."""
        return self._number(_PROVED) == 1

    def keep_proved(self) -> None:
        self._keep_number(_PROVED, 1)

    def take_wanted(self) -> int:
        """What this boot is for: RUN, SET_UP or SERVICE. The next one is for running again."""
        wanted = self._number(WANTED)
        if wanted != RUN:
            self._keep_number(WANTED, RUN)
        return wanted if wanted in (SET_UP, SERVICE) else RUN

    def want(self, what: int, problem: int = 0) -> None:
        """The next boot is for this; `problem` is why Wi-Fi did not work (a key of wifi.PROBLEMS), 0: it did."""
        self._nvs.set_i32(_PROBLEM, problem)
        self._keep_number(WANTED, what)

    def problem(self) -> int:
        """Why Wi-Fi did not work before this set-up, 0: nobody said that it did not."""
        return self._number(_PROBLEM)

    def clock_s(self) -> int:
        """A time that has passed, in seconds since 1970, to the minute; 0: none is known."""
        return self._number(_CLOCK) * 60

    def keep_clock(self, since_1970_s: int) -> None:
        """It is at least this late. In minutes: seconds leave 32 bits in 2038."""
        self._keep_number(_CLOCK, since_1970_s // 60)

    def pulses(self) -> bytes:
        """The closing pulses, as Gates kept them last."""
        return self._blob(_PULSES)

    def keep_pulses(self, pulses: bytes) -> None:
        self._nvs.set_blob(_PULSES, pulses)
        self._nvs.commit()

    def label_password(self, random_bytes: "Callable[[int], bytes]") -> str:
        """The password of the set-up network: made once, for the label on the dispenser."""
        kept = self._blob(_LABEL)
        if not kept:
            # 50 bits: 31 characters out of 256 values are a little uneven, which does not matter here.
            chosen = [_LABEL_CHARS[byte % len(_LABEL_CHARS)] for byte in random_bytes(_LABEL_LENGTH)]
            kept = "".join(chosen).encode()
            self._nvs.set_blob(_LABEL, kept)
            self._nvs.commit()
        return kept.decode()

    def _blob(self, name: str) -> bytes:
        buffer = bytearray(_MAX_BLOB)
        try:
            return bytes(buffer[: self._nvs.get_blob(name, buffer)])
        except OSError:
            return b""

    def _number(self, name: str) -> int:
        try:
            return int(self._nvs.get_i32(name))
        except OSError:
            return 0

    def _keep_number(self, name: str, value: int) -> None:
        self._nvs.set_i32(name, value)
        self._nvs.commit()
