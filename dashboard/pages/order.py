"""The order form: choose a dispenser, write grams beside its flasks."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from dashboard.deps import Dashboard, Deps, User
from dashboard.pages.amounts import BadAmount, parse_grams
from dashboard.rendering import render
from services import orders
from services.ledger import queries
from services.ledger.views import DispenserView

router = APIRouter(prefix="/order")


async def _posted(request: Request) -> FormData:
    return await request.form(max_fields=MAX_FIELDS)


# One amount a flask, the key, and room to spare.
MAX_FIELDS = 40
Posted = Annotated[FormData, Depends(_posted)]


@router.get("")
def choose(request: Request, deps: Deps, user: User) -> Response:
    """Choose the dispenser; with only one there is nothing to choose."""
    with deps.database.read() as tx:
        dispensers = tuple(queries.dispensers(tx))
    if len(dispensers) == 1:
        return RedirectResponse(f"/order/{dispensers[0].device}", 303)
    return render(request, "order_choose.html", user=user, dispensers=dispensers)


@router.get("/{device}")
def form(request: Request, deps: Deps, user: User, device: str) -> HTMLResponse:
    """The form. It carries a key, so that sending it twice makes one job."""
    return _form(request, deps, user, _dispenser(deps, device), deps.new_id(), {}, {}, "")


@router.post("/{device}")
def place(request: Request, deps: Deps, user: User, device: str, posted: Posted) -> Response:
    """Place the order and go to its page; or show the form again with what is wrong."""
    dispenser = _dispenser(deps, device)
    key = str(posted.get("key", ""))[:64] or deps.new_id()
    typed = {flask.flask: str(posted.get(f"flask-{flask.flask}", ""))[:40] for flask in dispenser.flasks}
    errors: dict[int, str] = {}
    items: list[orders.OrderedItem] = []
    for flask, text in typed.items():
        try:
            amount_mg = parse_grams(text)
        except BadAmount as error:
            errors[flask] = str(error)
        else:
            if amount_mg:
                items.append(orders.OrderedItem(flask, amount_mg))
    if errors:
        return _form(request, deps, user, dispenser, key, typed, errors, "Some amounts cannot be read.")
    if not items:
        return _form(request, deps, user, dispenser, key, typed, {}, "Write grams beside at least one flask.")
    try:
        job = orders.place(
            deps.database,
            device=device,
            items=items,
            now_ms=deps.now_ms(),
            job_id=deps.new_id(),
            by=user,
            idempotency_key=key,
        )
    except orders.NotEnoughStock as refusal:
        return _form(request, deps, user, dispenser, key, typed, {refusal.flask: str(refusal)}, "Nothing was ordered.")
    except orders.OrderRefused as refusal:
        return _form(request, deps, user, dispenser, key, typed, {}, str(refusal))
    deps.feed.job_changed(job.job)
    return RedirectResponse(f"/jobs/{job.job}", 303)


def _dispenser(deps: Dashboard, device: str) -> DispenserView:
    with deps.database.read() as tx:
        found = queries.dispenser(tx, device)
    if found is None:
        raise orders.UnknownDispenser(device)
    return found


def _form(
    request: Request,
    deps: Dashboard,
    user: str,
    dispenser: DispenserView,
    key: str,
    typed: dict[int, str],
    errors: dict[int, str],
    problem: str,
) -> HTMLResponse:
    return render(
        request,
        "order.html",
        422 if problem else 200,
        user=user,
        dispenser=dispenser,
        key=key,
        typed=typed,
        errors=errors,
        problem=problem,
    )
