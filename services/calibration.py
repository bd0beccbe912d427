"""Calibrate a flask: a timed opening, weighed, tells its flow. Prime it: an ordinary order for so many seconds of it.

An opening to calibrate is a job, so it survives what every job survives. What came out is in doubt until somebody has
weighed it; the weight resolves it in the ledger and gives the new flow, in one transaction.
"""

from protocol.fields import BadValue
from protocol.messages import FlaskConfig
from protocol.states import JOB_ENDS
from services.ledger import accounts as rows
from services.ledger import calibrations, jobs, queries, stock
from services.ledger.database import Database, Transaction
from services.ledger.views import CalibrationView, FlaskView, ItemView, JobView
from services.orders import OrderedItem, UnknownDispenser, UnknownFlask, place

# What is reserved, and the most that is expected, of a flask whose flow is not known: faster than any gate here. A
# weight above twice that is a slip of the pen.
ASSUMED_MG_PER_S = 20_000

_FLOW = next(field for field in FlaskConfig.FIELDS if field.name == "flow_mg_per_s")


class CalibrationRefused(Exception):
    """Nothing was changed. The text says why and what to do."""


def start(db: Database, device: str, flask: int, *, open_ms: int, now_ms: int, job_id: str, by: str) -> JobView:
    """Order one opening of `open_ms`. Raises `OrderRefused`, and `CalibrationRefused` above the flask's limit."""
    found = _flask(db, device, flask)
    if not 1 <= open_ms <= found.max_open_ms:
        raise CalibrationRefused(
            f"Flask {flask} of {device} may be open for 1 to {found.max_open_ms} ms at once, not {open_ms}. "
            "Choose a time within."
        )
    most_mg = max(ASSUMED_MG_PER_S, 2 * found.flow_mg_per_s) * open_ms // 1000
    item = OrderedItem(flask, max(1, min(most_mg, found.available_mg)), open_ms)
    return place(db, device=device, items=[item], now_ms=now_ms, job_id=job_id, by=by)


def finish(db: Database, job_id: str, weighed_mg: int, *, now_ms: int, by: str) -> CalibrationView:
    """The opening's amount was `weighed_mg`: it leaves the stock, and the flask has a new flow, sent by dispatch.

    Raises `CalibrationRefused`, and `LedgerError` when somebody has resolved the item meanwhile.
    """
    with db.write() as tx:
        if jobs.lock_job(tx, job_id) is None:
            raise CalibrationRefused(f"There is no job {job_id}. Check its id.")
        job, item = _opening(tx, job_id)
        if item.state != "in_doubt" and weighed_mg != item.dispensed_mg:
            raise CalibrationRefused(
                f"{job.device} has weighed {item.dispensed_mg} mg itself, and the ledger has it so. Take that amount; "
                "if the scale is right and the load cell is not, count the flask."
            )
        flow = _flow(job_id, item, weighed_mg)
        flask = rows.flask_settings(tx, job.device)[item.flask]
        if item.state == "in_doubt":
            stock.resolve(tx, job_id, item.item, outcome="weighed", weighed_mg=weighed_mg, by=by, now_ms=now_ms)
        rows.set_flask(tx, job.device, item.flask, {"flow_mg_per_s": flow})
        rows.want_new_config(tx, job.device)
        return calibrations.add(
            tx,
            job=job_id,
            device=job.device,
            flask=item.flask,
            ingredient=item.ingredient,
            open_ms=item.duration_ms,
            weighed_mg=weighed_mg,
            flow_before_mg_per_s=flask["flow_mg_per_s"],
            flow_mg_per_s=flow,
            at_ms=now_ms,
            by=by,
        )


def prime(db: Database, device: str, flask: int, *, open_ms: int, now_ms: int, job_id: str, by: str) -> JobView:
    """Order what the flask gives in `open_ms`. Raises `OrderRefused`; `CalibrationRefused` when its flow is unknown."""
    found = _flask(db, device, flask)
    if not found.flow_mg_per_s:
        raise CalibrationRefused(
            f"Nobody knows how much flask {flask} of {device} gives. Calibrate it: that opening fills it too, so "
            "calibrate twice; the second one counts."
        )
    item = OrderedItem(flask, max(1, found.flow_mg_per_s * open_ms // 1000))
    return place(db, device=device, items=[item], now_ms=now_ms, job_id=job_id, by=by)


def _flask(db: Database, device: str, flask: int) -> FlaskView:
    with db.read() as tx:
        dispenser = queries.dispenser(tx, device)
    if dispenser is None:
        raise UnknownDispenser(device)
    known = {one.flask: one for one in dispenser.flasks}
    if flask not in known:
        raise UnknownFlask(device, flask, tuple(known))
    return known[flask]


def _opening(tx: Transaction, job_id: str) -> tuple[JobView, ItemView]:
    job = queries.job(tx, job_id)
    if job is None or len(job.items) != 1 or job.items[0].open_ms is None:
        raise CalibrationRefused(f"Job {job_id} is no calibration. Begin one with `pitada calibrate`.")
    item = job.items[0]
    if job.state not in JOB_ENDS:
        raise CalibrationRefused(f"Job {job_id} is {job.state}: wait until the flask has closed, then weigh.")
    if item.resolution is not None:
        raise CalibrationRefused(f"Job {job_id} was resolved already. Begin another calibration.")
    if not item.duration_ms:
        what = "nobody knows how long the flask was open" if item.state == "in_doubt" else "the flask did not open"
        then = " Weigh what came out and resolve it." if item.state == "in_doubt" else ""
        raise CalibrationRefused(f"Job {job_id} tells no flow: {what}.{then} Then calibrate again.")
    return job, item


def _flow(job_id: str, item: ItemView, weighed_mg: int) -> int:
    """Milligrams a second, to the nearest."""
    if item.duration_ms is None:  # `_opening` has refused it
        raise LookupError(item.item)
    flow = (weighed_mg * 1000 + item.duration_ms // 2) // item.duration_ms
    try:
        _FLOW.check(flow)
    except BadValue as error:
        raise CalibrationRefused(f"{weighed_mg} mg in {item.duration_ms} ms: {error}. Check the weight.") from error
    if flow < 1:
        raise CalibrationRefused(
            f"{weighed_mg} mg in {item.duration_ms} ms is no flow. Look whether the gate opens; "
            f"`pitada resolve {job_id} {item.item} --not-dispensed` if nothing came out. Then calibrate again."
        )
    return flow
