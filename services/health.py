"""Whether a service can do its work right now, and why not. Read by `/healthz` and the log."""

from collections.abc import Callable, Iterable
from typing import Literal

import structlog

log = structlog.get_logger(__name__)

# What a service needs and may be without; the words are all that anybody is told. The log has the whole error.
Need = Literal["broker", "database", "tables"]
WORDS: dict[Need, str] = {
    "broker": "the broker does not answer",
    "database": "the database does not answer, or cannot write",
    "tables": "the database's tables are not of this version: run `pitada migrate`",
}

# A service that works says so several times a second. One that has been silent for so long hangs, on a server that
# neither answers nor refuses; the longest wait that is not a fault is for SQLite's write lock.
SILENT_MS = 15_000


class Health:
    """`ok` None until the service has tried; `needs` is what it is without; `since_ms` when that began.

    A working service calls `up` again and again: health that is not renewed is none.
    """

    def __init__(self, service: str, now_ms: Callable[[], int]) -> None:
        self.service = service
        self.ok: bool | None = None
        self.needs: Need | None = None
        self.since_ms = now_ms()
        self._renewed_ms = self.since_ms
        self._now_ms = now_ms

    def up(self) -> None:
        """It has just done its work."""
        self._turn(True, None, "")

    def down(self, needs: Need, detail: str) -> None:
        """It cannot work; `detail` is for the log only."""
        self._turn(False, needs, detail)

    def picture(self) -> dict[str, object]:
        """What anybody may know: state, since when, and why when it is not ok."""
        silent = self.ok is not False and self._now_ms() - self._renewed_ms > SILENT_MS
        if silent:
            return {"status": "down", "since_ms": self._renewed_ms, "why": "it hangs; its log says on what"}
        if self.ok:
            return {"status": "ok", "since_ms": self.since_ms}
        why = "it is starting" if self.needs is None else WORDS[self.needs]
        return {"status": "down", "since_ms": self.since_ms, "why": why}

    def _turn(self, ok: bool, needs: Need | None, detail: str) -> None:
        self._renewed_ms = self._now_ms()
        if (ok, needs) == (self.ok, self.needs):
            return
        if ok is not self.ok:
            self.since_ms = self._renewed_ms
        self.ok, self.needs = ok, needs
        if ok:
            log.info("service up", service=self.service)
        else:
            log.warning("service down", service=self.service, needs=needs, reason=detail)


def report(services: Iterable[Health]) -> tuple[int, dict[str, object]]:
    """HTTP status and body for a set of services: 200 when every one is ok, else 503."""
    pictures = {health.service: health.picture() for health in services}
    ok = all(picture["status"] == "ok" for picture in pictures.values())
    return (200 if ok else 503), {"status": "ok" if ok else "down", "services": pictures}
