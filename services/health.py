"""Whether a service can do its work right now, and why not. Read by `/healthz` and the log."""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Health:
    """`ok` None until the service has tried; `detail` says why it is down; `since_ms` when that began."""

    def __init__(self, service: str, now_ms: Callable[[], int]) -> None:
        self.service = service
        self.ok: bool | None = None
        self.detail = "starting"
        self.since_ms = now_ms()
        self._now_ms = now_ms

    def up(self) -> None:
        self._turn(True, "")

    def down(self, detail: str) -> None:
        self._turn(False, detail)

    def _turn(self, ok: bool, detail: str) -> None:
        if ok is not self.ok:
            self.since_ms = self._now_ms()
            if ok:
                log.info("service up", service=self.service)
            else:
                log.warning("service down", service=self.service, reason=detail)
        self.ok, self.detail = ok, detail
