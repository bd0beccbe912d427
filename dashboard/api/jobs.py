"""Place, stop and retry jobs."""

from decimal import Decimal
from typing import Annotated, Self

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dashboard.deps import Deps, User
from protocol.limits import MAX_COUNT, MAX_FLASKS, MAX_ITEMS, MAX_TARGET_MG
from services import orders, recipes
from services.ledger.views import JobView
from services.recipes import MAX_NAME_CHARS, MAX_SCALE_MILLI, ONE_MILLI

router = APIRouter(prefix="/api/v1/jobs")

# Long enough for any UUID or ULID with a prefix.
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=64)]

MAX_SCALE = MAX_SCALE_MILLI // ONE_MILLI


class WantedItem(BaseModel):
    """One flask of an order."""

    model_config = ConfigDict(extra="forbid")
    flask: Annotated[int, Field(ge=1, le=MAX_FLASKS, strict=True)]
    target_mg: Annotated[int, Field(ge=1, le=MAX_TARGET_MG, strict=True)]


class WantedJob(BaseModel):
    """An order: items, or a recipe so many times (once, unless told) or to a total weight."""

    model_config = ConfigDict(extra="forbid")
    device: str
    items: Annotated[list[WantedItem], Field(min_length=1, max_length=MAX_ITEMS)] | None = None
    recipe: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] | None = None
    scale: Annotated[Decimal, Field(gt=0, le=MAX_SCALE, decimal_places=3)] | None = None
    total_mg: Annotated[int, Field(ge=1, le=MAX_COUNT, strict=True)] | None = None
    expires_at_ms: Annotated[int | None, Field(gt=0, strict=True)] = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.items is None) == (self.recipe is None):
            raise ValueError("give either items or a recipe")
        if self.recipe is None and (self.scale, self.total_mg) != (None, None):
            raise ValueError("scale and total_mg go with a recipe")
        if self.scale is not None and self.total_mg is not None:
            raise ValueError("give either scale or total_mg")
        return self

    def wanted(self) -> list[orders.OrderedItem] | orders.OrderedRecipe:
        """What to place."""
        if self.recipe is None:
            return [orders.OrderedItem(item.flask, item.target_mg) for item in self.items or ()]
        if self.total_mg is not None:
            return orders.OrderedRecipe(self.recipe, recipes.by_total(self.total_mg))
        milli = int((1 if self.scale is None else self.scale) * ONE_MILLI)
        return orders.OrderedRecipe(self.recipe, recipes.times(milli))


@router.post("", status_code=201)
def place(
    deps: Deps, user: User, wanted: WantedJob, response: Response, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Place an order. The same `Idempotency-Key` again answers with the job that it made the first time."""
    job = orders.place(
        deps.database,
        device=wanted.device,
        items=wanted.wanted(),
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
