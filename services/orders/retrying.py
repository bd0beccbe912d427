"""Retry a job: order again what did not leave its flasks, and nothing that did.

An item and every item that retried it are one family. What is left to dispense is the first target less everything that
any of them dispensed, so it does not matter which job of the chain is retried, or how often.
"""

from collections.abc import Sequence

from protocol.states import job_rank
from services.ledger import families as kin
from services.ledger import jobs
from services.ledger.database import Database, Transaction
from services.ledger.families import ItemRow
from services.ledger.jobs import NewItem
from services.ledger.views import JobView
from services.orders.errors import NothingToRetry, RetryOpen, StillOpen, UnknownJob
from services.orders.placing import queue


def retry(db: Database, job_id: str, *, now_ms: int, new_job_id: str, by: str) -> JobView:
    """Queue a new job with what remains of this ended one: of items that failed, were skipped, or were resolved as
    not (or not all) dispensed. Items in doubt block only themselves.

    Raises `UnknownJob`, `StillOpen`, `RetryOpen`, `NothingToRetry`, `IngredientReplaced`, and what `place` raises.
    """
    with db.write() as tx:
        job = jobs.lock_job(tx, job_id)
        if job is None:
            raise UnknownJob(job_id)
        if job["rank"] <= job_rank("running"):
            raise StillOpen(job_id, job["state"])
        items, unknown = _remaining(tx, job_id, job["device"])
        if not items:
            raise NothingToRetry(job_id, unknown)
        known = jobs.flasks(tx, job["device"])
        return queue(tx, new_job_id, job["device"], known, items, now_ms=now_ms, by=by, retry_of=job_id)


def _remaining(tx: Transaction, job_id: str, device: str) -> tuple[list[NewItem], int]:
    """What can be ordered again, in the job's order; and how many items nobody knows the amount of."""
    families: dict[tuple[str, int], list[ItemRow]] = {}
    for item in kin.items(tx, job_id):
        if item["open_ms"] is not None:
            continue  # a calibration: nobody waits for what it gave
        families[item["origin_job"] or job_id, item["item"] if item["origin_job"] is None else item["origin_item"]] = []
    for row in kin.family(tx, list(families)):
        families[row["origin_job"], row["origin_item"]].append(row)
    new: list[NewItem] = []
    unknown = 0
    for (origin_job, origin_item), family in families.items():
        _refuse_while_open(job_id, family)
        left_mg = kin.left_mg(family)
        if left_mg is None:
            unknown += 1
        elif left_mg > 0:
            new.append(NewItem(family[0]["flask"], left_mg, family[0]["ingredient"], origin_job, origin_item))
    return new, unknown


def _refuse_while_open(job_id: str, family: Sequence[ItemRow]) -> None:
    for row in family:
        if row["state"] in ("pending", "dispensing"):
            raise RetryOpen(job_id, row["job"])
