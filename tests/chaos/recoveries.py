"""How long what was killed took to serve again, over a whole soak."""

import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple


class Recovery(NamedTuple):
    """One kill, on any one clock, and how long after it the part served again."""

    victim: str
    killed_s: float
    took_s: float


def summary(recoveries: Sequence[Recovery]) -> dict[str, Any]:
    """p50, p99 and the slowest, of all kills and of each victim's; `undisturbed`: of those no other kill fell into."""
    kills_s = [one.killed_s for one in recoveries]
    alone = [
        one for one in recoveries if not any(one.killed_s < other <= one.killed_s + one.took_s for other in kills_s)
    ]
    victims = sorted({one.victim for one in recoveries})
    return {
        **_figures(recoveries),
        "undisturbed": _figures(alone),
        "by_victim": {victim: _figures([one for one in recoveries if one.victim == victim]) for victim in victims},
    }


def _figures(recoveries: Sequence[Recovery]) -> dict[str, float]:
    took_s = sorted(one.took_s for one in recoveries)
    if not took_s:
        return {"kills": 0}
    nearest = math.ceil(0.99 * len(took_s)) - 1
    return {
        "kills": len(took_s),
        "p50": round(statistics.median(took_s), 2),
        "p99": round(took_s[nearest], 2),
        "max": round(took_s[-1], 2),
    }
