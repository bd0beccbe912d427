"""Wi-Fi: joins the network, sees that it is gone, and joins again."""

try:
    from network import WLAN
except ImportError:  # only type checkers look at this
    pass

# Between leaving a network and joining again: without it the radio of the ESP32 may refuse every later attempt.
PAUSE_MS = 1000

# A network that is there lets us in within some seconds; slow DHCP included.
JOIN_LIMIT_MS = 20_000

# A network that is not there is looked for this often at the latest.
_LONGEST_PAUSE_MS = 10_000

# What the radio says of a failed attempt (`network.STAT_…`), in words for the person who sets the dispenser up.
PROBLEMS = {
    201: "The Wi-Fi was not found. Check its name, and that it is a 2.4 GHz network in reach.",
    202: "The Wi-Fi refused the password. Type it again.",
    203: "The Wi-Fi did not let the dispenser in. Check that it takes new devices.",
    204: "The Wi-Fi did not finish the sign-in. Check the password and the signal.",
}

_NO_ANSWER = 204

# The lowest that telemetry can say: no signal at all.
_NO_SIGNAL_DBM = -127


class Wifi:
    """`wlan` is an active `network.WLAN` in station mode, or a fake. `step` never waits."""

    __slots__ = ("_failures", "_is_up", "_joining_since_ms", "_next_at_ms", "_password", "_ssid", "_wlan", "problem")

    def __init__(self, wlan: "WLAN", ssid: str, password: str) -> None:
        self._wlan = wlan
        self._ssid = ssid
        self._password = password
        self._is_up = False
        self._joining_since_ms = None  # type: int | None
        self._next_at_ms = 0
        self._failures = 0
        self.problem = 0
        """The radio's last reason, a key of PROBLEMS; 0: none."""

    def is_up(self) -> bool:
        """There is a network, and an address in it."""
        return self._is_up

    def rssi_dbm(self) -> int:
        """The signal, -127 to 0."""
        if not self._is_up:
            return _NO_SIGNAL_DBM
        try:
            return max(_NO_SIGNAL_DBM, min(0, int(self._wlan.status("rssi"))))
        except (OSError, ValueError):
            return _NO_SIGNAL_DBM

    def step(self, now_ms: int, quiet: bool) -> bool:
        """Look at the network; join it when it is time. `quiet`: nothing that could take time may begin now.

        Returns whether the network came up with this step.
        """
        if self._wlan.isconnected():
            came_up = not self._is_up
            self._is_up = True
            self._joining_since_ms = None
            self._failures = self.problem = 0
            return came_up
        if quiet:
            return False
        if self._is_up:
            self._is_up = False
            self._leave(now_ms)
        elif self._joining_since_ms is None:
            if now_ms >= self._next_at_ms:
                self._join(now_ms)
        elif now_ms - self._joining_since_ms >= JOIN_LIMIT_MS:
            # Only now: before, the radio may still say what became of the attempt before this one.
            status = self._wlan.status()
            self.problem = status if status in PROBLEMS else _NO_ANSWER
            self._failures = min(self._failures + 1, 4)  # 16 times the pause is above the longest
            self._leave(now_ms)
        return False

    def _join(self, now_ms: int) -> None:
        self._joining_since_ms = now_ms
        try:
            self._wlan.connect(self._ssid, self._password)
        except OSError:
            self._leave(now_ms)  # the radio is still busy with the last attempt

    def _leave(self, now_ms: int) -> None:
        self._joining_since_ms = None
        self._next_at_ms = now_ms + min(PAUSE_MS << self._failures, _LONGEST_PAUSE_MS)
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # it was not in any network
