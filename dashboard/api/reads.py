"""What there is: dispensers, jobs, stock, movements, dead letters. Newest first; `before` takes the last id one has."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from dashboard.deps import Deps, User
from services.ledger import queries
from services.ledger.views import DeadLetterView, DispenserView, FlaskView, FlipView, JobView, MovementView
from services.orders import UnknownJob

MAX_LIMIT = 200

router = APIRouter(prefix="/api/v1")
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]


class JobDetail(BaseModel):
    """A job and its execution log."""

    job: JobView
    flips: tuple[FlipView, ...]


@router.get("/dispensers")
def dispensers(deps: Deps, user: User) -> tuple[DispenserView, ...]:
    """Every dispenser with its flasks."""
    with deps.database.read() as tx:
        return tuple(queries.dispensers(tx))


@router.get("/jobs")
def jobs(
    deps: Deps, user: User, device: str | None = None, before: str | None = None, limit: Limit = 50
) -> tuple[JobView, ...]:
    """Jobs, of one dispenser or of all."""
    with deps.database.read() as tx:
        return tuple(queries.jobs(tx, device=device, before=before, limit=limit))


@router.get("/jobs/{job}")
def job(deps: Deps, user: User, job: str) -> JobDetail:
    """One job with its items and its execution log."""
    with deps.database.read() as tx:
        view = queries.job(tx, job)
        if view is None:
            raise UnknownJob(job)
        return JobDetail(job=view, flips=tuple(queries.flips(tx, job)))


@router.get("/stock")
def stock(deps: Deps, user: User) -> tuple[FlaskView, ...]:
    """Every flask: what it holds, what is promised, what is left."""
    with deps.database.read() as tx:
        return tuple(queries.stock(tx))


@router.get("/movements")
def movements(
    deps: Deps,
    user: User,
    device: str | None = None,
    flask: int | None = None,
    before: int | None = None,
    limit: Limit = 50,
) -> tuple[MovementView, ...]:
    """The stock ledger's rows."""
    with deps.database.read() as tx:
        return tuple(queries.movements(tx, device=device, flask=flask, before=before, limit=limit))


@router.get("/dead-letters")
def dead_letters(deps: Deps, user: User, before: int | None = None, limit: Limit = 50) -> tuple[DeadLetterView, ...]:
    """Messages that changed nothing, and why."""
    with deps.database.read() as tx:
        return tuple(queries.dead_letters(tx, before=before, limit=limit))
