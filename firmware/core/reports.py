"""What the dispenser says of itself, as the bytes to publish."""

from firmware.core.job import Item, Job
from firmware.core.journal import Journal
from firmware.core.session import Session
from firmware.core.stop import worst
from protocol import codec
from protocol.limits import MAX_COUNT, MAX_MS
from protocol.messages import (
    RESET_CAUSES,
    ItemProgressed,
    ItemReport,
    JobAccepted,
    JobCompleted,
    StatusReported,
    TelemetryReported,
)
from protocol.states import job_outcome


class Reports:
    """Builds the messages of one dispenser. `now_ms` goes into them as the time of the record."""

    __slots__ = ("_firmware", "_journal", "_session", "reset_cause")

    def __init__(self, firmware: str, journal: Journal, session: Session) -> None:
        self._firmware = firmware
        self._journal = journal
        self._session = session
        self.reset_cause = "unknown"

    def booted(self, reset_cause: str) -> None:
        """Why the board booted; a cause that the protocol does not know is `unknown`."""
        self.reset_cause = reset_cause if reset_cause in RESET_CAUSES else "unknown"

    def status(self, now_ms: int, online: bool, fault: "str | None") -> bytes:
        """Presence under the present connection number; the last will when not `online`. Says what flash says."""
        journal = self._journal
        job, last_seq, receipted_seq = journal.shown
        stop_ms, stop_mg = worst(journal.flasks)
        return codec.encode(
            StatusReported(
                online=online,
                epoch=journal.epoch,
                boot=journal.boot,
                connection=self._session.connection,
                ms=min(now_ms, MAX_MS),
                firmware=self._firmware,
                reset_cause=self.reset_cause,
                config_version=journal.config_version,
                job=job,
                last_seq=last_seq,
                receipted_seq=receipted_seq,
                fault=fault,
                stop_ms=stop_ms,
                stop_mg=stop_mg,
            )
        )

    def accept(self, now_ms: int, job: str, seq: int, refusal: "str | None") -> bytes:
        """The job is in flash; or why not."""
        journal = self._journal
        return codec.encode(
            JobAccepted(
                job=job, seq=seq, refusal=refusal, epoch=journal.epoch, boot=journal.boot, ms=min(now_ms, MAX_MS)
            )
        )

    def progress(self, now_ms: int, job: Job, position: int) -> bytes:
        """The present state of one item."""
        item = job.items[position]
        journal = self._journal
        return codec.encode(
            ItemProgressed(
                job=job.id,
                seq=job.seq,
                item=position,
                state=item.state,
                target_mg=item.target_mg,
                dispensed_mg=item.dispensed_mg,
                duration_ms=item.duration_ms,
                error=item.error,
                epoch=journal.epoch,
                boot=journal.boot,
                ms=min(now_ms, MAX_MS),
            )
        )

    def completion(self, now_ms: int, job: str, seq: int, items: "list[Item]") -> bytes:
        """The last word on a job whose items have all ended; no items: cancelled before it was here."""
        journal = self._journal
        reports = []
        for position, item in enumerate(items):
            reports.append(
                ItemReport(
                    item=position,
                    flask=item.flask,
                    state=item.state,
                    target_mg=item.target_mg,
                    dispensed_mg=item.dispensed_mg,
                    duration_ms=item.duration_ms,
                    error=item.error,
                )
            )
        return codec.encode(
            JobCompleted(
                job=job,
                seq=seq,
                state=job_outcome([item.state for item in items]),
                items=tuple(reports),
                epoch=journal.epoch,
                boot=journal.boot,
                ms=min(now_ms, MAX_MS),
            )
        )

    def telemetry(self, now_ms: int, rssi_dbm: int, free_heap_bytes: int) -> bytes:
        """The board's readings and the session's counters."""
        session = self._session
        return codec.encode(
            TelemetryReported(
                rssi_dbm=max(-127, min(rssi_dbm, 0)),
                free_heap_bytes=max(0, min(free_heap_bytes, MAX_COUNT)),
                uptime_ms=min(now_ms, MAX_MS),
                reconnects=max(0, session.connects - 1),
                outage_ms=min(session.outage_ms(now_ms), MAX_MS),
                flash_writes=min(self._journal.writes, MAX_COUNT),
                round_trip_ms=session.round_trip_ms,
            )
        )
