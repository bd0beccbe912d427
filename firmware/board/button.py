"""The button: a long press stops the running job, a very long one opens the Wi-Fi set-up."""

try:
    from machine import Pin
except ImportError:  # only type checkers look at this
    pass

STOP = "stop"
SET_UP = "set_up"

# Contacts bounce for some milliseconds; what lasts is meant.
_BOUNCE_MS = 30

# Long enough that leaning on it is no stop, short enough for someone in a hurry.
STOP_MS = 1000

# Nobody holds a button for this long by mistake. It stops the running job on the way.
SET_UP_MS = 8000


class Button:
    """`pin` reads 0 while it is pressed. A press counts only after the button was seen released."""

    __slots__ = ("_changed_at_ms", "_is_down", "_level", "_pin", "_told")

    def __init__(self, pin: "Pin") -> None:
        self._pin = pin
        self._level = 0
        self._changed_at_ms = 0
        self._is_down = True
        self._told = 2

    def is_down(self) -> bool:
        """It is pressed, and that is known for sure."""
        return self._is_down and self._told < 2

    def poll(self, now_ms: int) -> "str | None":
        """STOP or SET_UP, each once a press, as soon as it has lasted for so long. To be called every few ms."""
        level = self._pin.value()
        if level != self._level:
            self._level = level
            self._changed_at_ms = now_ms
        held_ms = now_ms - self._changed_at_ms
        if level:
            if held_ms >= _BOUNCE_MS:
                self._is_down = False
                self._told = 0
            return None
        if held_ms >= _BOUNCE_MS:
            self._is_down = True
        if self._told == 0 and held_ms >= STOP_MS:
            self._told = 1
            return STOP
        if self._told == 1 and held_ms >= SET_UP_MS:
            self._told = 2
            return SET_UP
        return None
