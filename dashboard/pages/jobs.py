"""The list of jobs, and one job: a live row for each flask, why it failed, stop, retry, execution log."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from dashboard.deps import Deps, User
from dashboard.ledger_reads import LISTED_JOBS
from dashboard.pages.amounts import BadAmount, parse_grams
from dashboard.rendering import render
from protocol.states import JOB_ENDS
from services import orders
from services.ledger import queries
from services.ledger import stock as ledger_stock
from services.ledger.views import ItemView, JobView

router = APIRouter(prefix="/jobs")


@router.get("")
def jobs(request: Request, deps: Deps, user: User, before: str | None = None) -> HTMLResponse:
    """Jobs, newest first."""
    with deps.database.read() as tx:
        found = tuple(queries.jobs(tx, before=before, limit=LISTED_JOBS))
        names = {view.device: view.name for view in queries.dispensers(tx)}
    older = found[-1].job if len(found) == LISTED_JOBS else None
    return render(request, "jobs.html", user=user, jobs=found, names=names, older=older, first=before is None)


@router.get("/{job}")
def job(request: Request, deps: Deps, user: User, job: str) -> HTMLResponse:
    """One job."""
    with deps.database.read() as tx:
        view = queries.job(tx, job)
        if view is None:
            raise orders.UnknownJob(job)
        # One message can end the items and the job: then the job's end is the last thing to read.
        flips = sorted(
            queries.flips(tx, job), key=lambda flip: (flip.at_ms, flip.item is None and flip.to_state in JOB_ENDS)
        )
        dispenser = queries.dispenser(tx, view.device)
    return render(
        request,
        "job.html",
        user=user,
        job=view,
        flips=flips,
        dispenser=dispenser,
        retriable=retriable(view),
    )


@router.post("/{job}/stop")
def stop(deps: Deps, user: User, job: str) -> RedirectResponse:
    """Ask for a stop."""
    orders.cancel(deps.database, job, by=user, now_ms=deps.now_ms())
    deps.feed.job_changed(job)
    return RedirectResponse(f"/jobs/{job}", 303)


@router.post("/{job}/retry")
def retry(deps: Deps, user: User, job: str) -> RedirectResponse:
    """Order the rest again, and go to the new job."""
    view = orders.retry(deps.database, job, now_ms=deps.now_ms(), new_job_id=deps.new_id(), by=user)
    deps.feed.job_changed(view.job)
    return RedirectResponse(f"/jobs/{view.job}", 303)


@router.post("/{job}/items/{item}/resolve")
def resolve(
    request: Request,
    deps: Deps,
    user: User,
    job: str,
    item: int,
    outcome: Annotated[Literal["dispensed", "not_dispensed", "weighed"], Form()],
    grams: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Say what came out of a flask in doubt. It becomes a movement of the stock."""
    weighed_mg = None
    if outcome == "weighed":
        try:
            weighed_mg = parse_grams(grams)
        except BadAmount as error:
            return _not_weighed(request, user, str(error))
        if weighed_mg is None:
            return _not_weighed(request, user, "Write how many grams were weighed.")
    with deps.database.write() as tx:
        ledger_stock.resolve(tx, job, item, outcome=outcome, weighed_mg=weighed_mg, by=user, now_ms=deps.now_ms())
    deps.feed.job_changed(job)
    return RedirectResponse(f"/jobs/{job}", 303)


def retriable(job: JobView) -> tuple[ItemView, ...]:
    """The items that a retry would order again: known to be short, never those in doubt."""
    if job.state not in JOB_ENDS:
        return ()
    return tuple(
        item
        for item in job.items
        if item.open_ms is None
        and (item.state in ("failed", "skipped") or (item.state == "in_doubt" and item.resolution == "not_dispensed"))
    )


def _not_weighed(request: Request, user: str, why: str) -> Response:
    detail = f"{why} Nothing was written; go back to the job and say it again."
    return render(request, "refused.html", 422, user=user, title="The amount was not taken", detail=detail)
