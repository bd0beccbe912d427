"""Dispensers of a fleet, and a dashboard's API in memory whose jobs a test ends."""

import threading
from collections.abc import Sequence

from firmware.core import packets
from pitada.fleet.api import ApiUnreachable, Item
from services.ledger.views import ItemView, JobView
from simulators.flask import FlaskSpec
from simulators.fleet import DispenserSpec

CONNECT = packets.connect("sim-1", "secret", 30, "will", b"gone")
FLOW_MG_PER_S = 20_000


def specs(count: int) -> list[DispenserSpec]:
    flasks = [FlaskSpec(flask, 1_000_000, FLOW_MG_PER_S) for flask in (1, 2)]
    return [DispenserSpec(f"sim-{number}", "secret", flasks) for number in range(1, count + 1)]


class MemoryApi:
    """As `pitada.fleet.api.Api`: the newest job comes first, the same key gives the same job."""

    def __init__(self) -> None:
        self.made: dict[str, JobView] = {}
        self.keys: dict[str, str] = {}
        self.lost_answers = 0
        self.asked_one_by_one: list[str] = []
        self._lock = threading.Lock()

    def place(self, device: str, items: Sequence[Item], key: str) -> JobView:
        with self._lock:
            if key not in self.keys:
                job = _job(f"job-{len(self.made):05}", device, items)
                self.keys[key] = job.job
                self.made[job.job] = job
            if self.lost_answers:
                self.lost_answers -= 1
                raise ApiUnreachable("the answer was lost")
            return self.made[self.keys[key]]

    def jobs(self, limit: int, before: str | None = None) -> list[JobView]:
        newest = sorted(self.made.values(), key=lambda job: job.job, reverse=True)
        return [job for job in newest if before is None or job.job < before][:limit]

    def job(self, job: str) -> JobView:
        self.asked_one_by_one.append(job)
        return self.made[job]

    def end(self, job: str, state: str, dispensed_mg: int | None, *, after_ms: int = 1000) -> None:
        """Every item of it ends so."""
        was = self.made[job]
        items = tuple(item.model_copy(update={"state": state, "dispensed_mg": dispensed_mg}) for item in was.items)
        changed = {"state": "done", "ended_at_ms": was.placed_at_ms + after_ms, "items": items}
        self.made[job] = was.model_copy(update=changed)


def _job(job: str, device: str, items: Sequence[Item]) -> JobView:
    views = tuple(
        ItemView(
            item=number,
            flask=item.flask,
            ingredient="Salt",
            target_mg=item.target_mg,
            state="pending",
            dispensed_mg=None,
            duration_ms=None,
            error=None,
            resolution=None,
            resolved_mg=None,
        )
        for number, item in enumerate(items)
    )
    return JobView(
        job=job,
        device=device,
        state="queued",
        seq=None,
        placed_at_ms=5000,
        placed_by="fleet",
        expires_at_ms=None,
        accepted_at_ms=None,
        ended_at_ms=None,
        cancel_requested_at_ms=None,
        retry_of=None,
        items=views,
    )
