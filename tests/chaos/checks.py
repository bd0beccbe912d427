"""What must hold when a soak has come to rest: the ledger against what left the flasks and what was promised."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from sqlalchemy import text

from pitada.demo.summary import flask_ledger, since
from protocol import codec, topics
from protocol.messages import StockChanged
from protocol.states import JOB_ENDS, JOB_STATES
from services.ledger import queries
from services.ledger.audit import audit
from services.ledger.database import Database, Transaction
from services.ledger.views import FlaskView, JobView
from services.mqtt import Account, BrokerAddress, BrokerLost, connected
from simulators.fleet import Fleet
from simulators.truth import compare
from tests.chaos.operators import USER
from tests.chaos.workload import ended

# A query names each job that it wants the items of, and a database takes so many names only.
_PAGE = 1_000

# Ingest tells 500 flasks in half a second, and all of them again when the broker has lost its retained messages.
_STOCK_WITHIN_S = 30.0

# Problems told in words; the counts are complete.
_TOLD = 20


@dataclass(frozen=True)
class Verdict:
    """Counts that must be 0, and `problems`: the first of what was found, in words.

    receipted_lost: reports whose receipt the dispenser has, that the ledger has not. orders_lost, orders_doubled: what
    the API answered beside the jobs that are there. divergences: flasks of which something else left than the ledger
    allows (in doubt within its range). reserved_mg: promised to nobody. stale_stock: retained messages of a flask that
    say something else than the ledger.
    """

    receipted_lost: int
    double_debits: int
    divergences: int
    double_dispenses: int
    unjournaled: int
    audit: int
    orders_lost: int
    orders_doubled: int
    open_jobs: int
    reserved_mg: int
    stale_stock: int
    problems: tuple[str, ...]

    @property
    def held(self) -> bool:
        return not any(count for name, count in vars(self).items() if name != "problems")


def judge(
    database: Database, fleet: Fleet, receipted: Set[str], placed: Mapping[str, str], stale: list[str]
) -> Verdict:
    """`placed`: the job of each answered order, by its key. `stale`: of `stale_stock`."""
    lost = receipted - ended(database)
    judged = compare(fleet.truth, since((), flask_ledger(database), {spec.device for spec in fleet.specs}))
    with database.read() as tx:
        books = audit(tx)
        jobs = list(every_job(tx))
        twice = tx.execute(
            text("SELECT job, item FROM stock_movement WHERE job IS NOT NULL GROUP BY job, item HAVING count(*) > 1")
        ).all()
        reserved_mg = sum(flask.reserved_mg for flask in queries.stock(tx))
    still_open = [f"{job.job} of {job.device} is {job.state}" for job in jobs if job.state not in JOB_ENDS]
    ordered = {job.job for job in jobs if job.placed_by == USER and job.retry_of is None}
    unknown, unasked = set(placed.values()) - ordered, ordered - set(placed.values())
    problems = [
        *books.problems,
        *map(str, judged.divergences),
        *(f"opened twice: {one}" for one in judged.double_dispenses),
        *(f"opened without a journal entry: {one}" for one in judged.unjournaled),
        *(f"receipted, but not in the ledger: {job}" for job in sorted(lost)),
        *(f"answered, but not in the ledger: {job}" for job in sorted(unknown)),
        *(f"in the ledger, but nobody was told: {job}" for job in sorted(unasked)),
        *(f"debited twice: {row}" for row in twice),
        *still_open,
        *stale,
        *([f"{reserved_mg} mg are reserved"] if reserved_mg else []),
    ]
    return Verdict(
        receipted_lost=len(lost),
        double_debits=len(twice),
        divergences=len(judged.divergences),
        double_dispenses=len(judged.double_dispenses),
        unjournaled=len(judged.unjournaled),
        audit=books.divergences,
        orders_lost=len(unknown),
        orders_doubled=len(unasked),
        open_jobs=len(still_open),
        reserved_mg=reserved_mg,
        stale_stock=len(stale),
        problems=tuple(problems[:_TOLD]),
    )


def open_jobs(database: Database) -> list[str]:
    """Those that have not ended, in words."""
    with database.read() as tx:
        return [f"{job.job} of {job.device} is {job.state}" for job in every_job(tx, set(JOB_STATES) - set(JOB_ENDS))]


def every_job(tx: Transaction, states: Set[str] | None = None) -> Iterator[JobView]:
    """All that there are, in these states when they are given."""
    page = queries.jobs(tx, states=states, limit=_PAGE)
    while page:
        yield from page
        page = queries.jobs(tx, states=states, limit=_PAGE, before=page[-1].job)


async def stale_stock(database: Database, broker: BrokerAddress, operator: Account) -> list[str]:
    """What retained stock says that the ledger does not, in words; looked at until it agrees or the time is up."""
    heard: dict[str, StockChanged] = {}
    deadline = time.monotonic() + _STOCK_WITHIN_S
    while True:
        try:
            async with connected(broker, operator) as link:
                await link.subscribe([topics.STOCK.filter()])
                while stale := await asyncio.to_thread(_stale, database, heard):
                    async with asyncio.timeout(max(0, deadline - time.monotonic())):
                        for delivery in await link.batch(1_000):
                            heard[delivery.topic] = codec.decode(StockChanged, delivery.payload)
                return stale
        except BrokerLost:
            continue
        except TimeoutError:
            return stale


def _stale(database: Database, heard: Mapping[str, StockChanged]) -> list[str]:
    with database.read() as tx:
        flasks = queries.stock(tx)
    found = []
    for flask in flasks:
        topic = topics.STOCK.topic(flask.device, flask.flask)
        if topic not in heard or not _agree(heard[topic], flask):
            found.append(f"{topic} says {heard.get(topic)}, the ledger {flask}")
    return found


def _agree(said: StockChanged, flask: FlaskView) -> bool:
    return (said.revision, said.ingredient, said.stock_mg, said.reserved_mg) == (
        flask.revision,
        flask.ingredient,
        flask.stock_mg,
        flask.reserved_mg,
    )
