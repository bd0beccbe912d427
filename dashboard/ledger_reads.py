"""How the live feed reads the ledger: two calls, from a worker thread, so that a slow disk never stops the picture."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

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


def ledger_reads(database: Database) -> LedgerReads:
    """The reads of a real ledger."""

    def fleet() -> Fleet:
        with database.read() as tx:
            return Fleet(tuple(queries.dispensers(tx)), tuple(queries.jobs(tx, limit=LISTED_JOBS)))

    def job(job_id: str) -> JobView | None:
        with database.read() as tx:
            return queries.job(tx, job_id)

    async def read_fleet() -> Fleet:
        return await to_thread.run_sync(fleet)

    async def read_job(job_id: str) -> JobView | None:
        return await to_thread.run_sync(job, job_id)

    return LedgerReads(read_fleet, read_job)
