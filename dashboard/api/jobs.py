"""Place, stop and retry jobs."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.deps import Deps, User
from protocol.limits import MAX_FLASKS, MAX_ITEMS, MAX_TARGET_MG
from services import orders
from services.ledger.views import JobView

router = APIRouter(prefix="/api/v1/jobs")

# Long enough for any UUID or ULID with a prefix.
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=64)]


class WantedItem(BaseModel):
    """One flask of an order."""

    model_config = ConfigDict(extra="forbid")
    flask: Annotated[int, Field(ge=1, le=MAX_FLASKS, strict=True)]
    target_mg: Annotated[int, Field(ge=1, le=MAX_TARGET_MG, strict=True)]


class WantedJob(BaseModel):
    """An order."""

    model_config = ConfigDict(extra="forbid")
    device: str
    items: Annotated[list[WantedItem], Field(min_length=1, max_length=MAX_ITEMS)]
    expires_at_ms: Annotated[int | None, Field(gt=0, strict=True)] = None


@router.post("", status_code=201)
def place(
    deps: Deps, user: User, wanted: WantedJob, response: Response, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Place an order. The same `Idempotency-Key` again answers with the job that it made the first time."""
    job = orders.place(
        deps.database,
        device=wanted.device,
        items=[orders.OrderedItem(item.flask, item.target_mg) for item in wanted.items],
        now_ms=deps.now_ms(),
        job_id=deps.new_id(),
        by=user,
        expires_at_ms=wanted.expires_at_ms,
        idempotency_key=idempotency_key,
    )
    deps.feed.job_changed(job.job)
    response.headers["Location"] = f"/api/v1/jobs/{job.job}"
    return job


@router.post("/{job}/cancel")
def cancel(deps: Deps, user: User, job: str) -> JobView:
    """Stop a job: at once while it waits; else the dispenser is asked, and its word ends the job."""
    view = orders.cancel(deps.database, job, by=user, now_ms=deps.now_ms())
    deps.feed.job_changed(job)
    return view


@router.post("/{job}/retry", status_code=201)
def retry(deps: Deps, user: User, job: str, response: Response) -> JobView:
    """Order again what a job did not dispense. Never repeats a flask that gave its amount, or may have."""
    view = orders.retry(deps.database, job, now_ms=deps.now_ms(), new_job_id=deps.new_id(), by=user)
    deps.feed.job_changed(view.job)
    response.headers["Location"] = f"/api/v1/jobs/{view.job}"
    return view
