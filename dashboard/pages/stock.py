"""Stock: levels, what is promised, what is left, and the movements that made it so. Refill and count."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from dashboard.deps import Dashboard, Deps, User
from dashboard.pages.amounts import BadAmount, parse_grams
from dashboard.rendering import render
from services.ledger import queries
from services.ledger import stock as ledger_stock

LATEST_MOVEMENTS = 50

router = APIRouter(prefix="/stock")


@router.get("")
def stock(request: Request, deps: Deps, user: User, before: int | None = None) -> HTMLResponse:
    """Every flask, and the latest movements."""
    return _page(request, deps, user, before, None)


@router.post("/{device}/{flask}")
def correct(
    request: Request,
    deps: Deps,
    user: User,
    device: str,
    flask: int,
    kind: Annotated[Literal["refill", "count"], Form()],
    grams: Annotated[str, Form(max_length=40)],
) -> Response:
    """Note a refill, or what a count found."""
    try:
        amount_mg = parse_grams(grams)
        if amount_mg is None or (kind == "refill" and not amount_mg):
            raise BadAmount("Write how many grams." if kind == "count" else "Write how many grams were filled in.")
    except BadAmount as error:
        return _page(request, deps, user, None, (device, flask, str(error)))
    with deps.database.write() as tx:
        change = ledger_stock.refill if kind == "refill" else ledger_stock.count
        change(tx, device, flask, amount_mg, by=user, now_ms=deps.now_ms())
    deps.feed.stock_changed()
    return RedirectResponse(f"/stock#{device}-{flask}", 303)


def _page(
    request: Request, deps: Dashboard, user: str, before: int | None, error: tuple[str, int, str] | None
) -> HTMLResponse:
    with deps.database.read() as tx:
        dispensers = tuple(queries.dispensers(tx))
        movements = tuple(queries.movements(tx, before=before, limit=LATEST_MOVEMENTS))
    return render(
        request,
        "stock.html",
        422 if error else 200,
        user=user,
        dispensers=dispensers,
        names={view.device: view.name for view in dispensers},
        movements=movements,
        older=movements[-1].id if len(movements) == LATEST_MOVEMENTS else None,
        first=before is None,
        error=error,
    )
