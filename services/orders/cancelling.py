"""Cancel a job: at once while the server alone has it, else by asking its dispenser."""

from protocol.states import job_rank
from services.ledger import jobs
from services.ledger.database import Database
from services.ledger.views import JobView
from services.orders.errors import AlreadyEnded, UnknownJob
from services.orders.placing import view


def cancel(db: Database, job_id: str, *, by: str, now_ms: int) -> JobView:
    """Stop the job. A queued one ends here, its items skipped and its stock free again.

    One that was offered has its cancel requested, once: its dispenser's word ends it. Raises `UnknownJob`,
    `AlreadyEnded`.
    """
    with db.write() as tx:
        job = jobs.lock_job(tx, job_id)
        if job is None:
            raise UnknownJob(job_id)
        if job["rank"] > job_rank("running"):
            raise AlreadyEnded(job_id, job["state"])
        jobs.request_cancel(tx, job_id, now_ms=now_ms, by=by)
        if job["state"] == "queued":
            jobs.end_unstarted(tx, [job_id], "cancelled", now_ms)
        return view(tx, job_id)
