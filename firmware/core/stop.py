"""How long a stop takes at worst, and what leaves the flask until then."""

from protocol.messages import FlaskConfig

# From a press that was long enough, or the last byte of a cancellation, to the servo's new pulse. Nothing that blocks
# starts while a flask is open, so it is the one step that may be under way: the largest message read and judged, and a
# garbage collection with it, each some tens of milliseconds on an ESP32.
REACTION_MS = 100


def worst(flasks: "tuple[FlaskConfig, ...]") -> "tuple[int | None, int | None]":
    """(ms, mg) of the flask where each is the most; (None, None) without flasks.

    A gate needs up to its `settle_ms` to close, and counts as wholly open until then. A flow of 0 is not known yet, so
    nothing is said of its amount.
    """
    stop_ms = stop_mg = None  # type: int | None
    for one in flasks:
        ms = REACTION_MS + one.settle_ms
        stop_ms = max(stop_ms or 0, ms)
        stop_mg = max(stop_mg or 0, (ms * one.flow_mg_per_s + 999) // 1000)
    return stop_ms, stop_mg
