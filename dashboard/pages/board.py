"""Now: a tile for each dispenser, and the latest jobs."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from dashboard.deps import Deps, User
from dashboard.rendering import render
from services.ledger import queries

# The board shows what happens; the page of jobs has the rest.
LATEST_JOBS = 8

router = APIRouter()


@router.get("/")
def board(request: Request, deps: Deps, user: User) -> HTMLResponse:
    """The board."""
    with deps.database.read() as tx:
        dispensers = tuple(queries.dispensers(tx))
        jobs = tuple(queries.jobs(tx, limit=LATEST_JOBS))
    names = {view.device: view.name for view in dispensers}
    return render(request, "board.html", user=user, dispensers=dispensers, jobs=jobs, names=names)
