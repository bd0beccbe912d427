"""How the live feed reads the ledger: two calls, from a worker thread, so that a slow disk never stops the picture."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from anyio import to_thread

from services.ledger import queries
from services.ledger.database import Database
from services.ledger.views import DispenserView, JobView

# The lists of jobs on the screen; older ones are pages of the ledger.
LISTED_JOBS = 50


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the board shows: every dispenser, and the newest jobs, newest first."""

    dispensers: tuple[DispenserView, ...]
    jobs: tuple[JobView, ...]


@dataclass(frozen=True, slots=True)
class LedgerReads:
    """The ledger as the feed sees it."""

    fleet: Callable[[], Awaitable[Fleet]]
    job: Callable[[str], Awaitable[JobView | None]]


def ledger_reads(database: Database, in_thread: Callable[..., Awaitable[Any]] = to_thread.run_sync) -> LedgerReads:
    """The reads of a real ledger. `in_thread(function, *arguments)` runs them where they hold nobody up."""

    def fleet() -> Fleet:
        with database.read() as tx:
            return Fleet(tuple(queries.dispensers(tx)), tuple(queries.jobs(tx, limit=LISTED_JOBS)))

    def job(job_id: str) -> JobView | None:
        with database.read() as tx:
            return queries.job(tx, job_id)

    async def read_fleet() -> Fleet:
        found: Fleet = await in_thread(fleet)
        return found

    async def read_job(job_id: str) -> JobView | None:
        found: JobView | None = await in_thread(job, job_id)
        return found

    return LedgerReads(read_fleet, read_job)
