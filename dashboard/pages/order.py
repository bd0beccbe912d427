"""The order form: choose a dispenser, write grams beside its flasks, or choose a recipe."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from dashboard.deps import Dashboard, Deps, User
from dashboard.pages.amounts import BadAmount, parse_grams, parse_thousandths
from dashboard.rendering import render
from services import orders, recipes
from services.ledger import queries
from services.ledger.views import DispenserView

router = APIRouter(prefix="/order")


async def _posted(request: Request) -> FormData:
    return await request.form(max_fields=MAX_FIELDS)


# One amount a flask, the key, and room to spare.
MAX_FIELDS = 40
Posted = Annotated[FormData, Depends(_posted)]


@dataclass(slots=True)
class Typed:
    """What the two forms show: their keys, what was typed into them, and what is wrong with that."""

    key: str
    recipe_key: str
    flasks: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    problem: str = ""
    recipe: str = ""
    size: str = "1"
    unit: str = "times"
    recipe_problem: str = ""


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
    return _form(request, deps, user, _dispenser(deps, device), Typed(deps.new_id(), deps.new_id()))


@router.post("/{device}")
def place(request: Request, deps: Deps, user: User, device: str, posted: Posted) -> Response:
    """Place the order and go to its page; or show the form again with what is wrong."""
    dispenser = _dispenser(deps, device)
    typed = Typed(str(posted.get("key", ""))[:64] or deps.new_id(), deps.new_id())
    items: list[orders.OrderedItem] = []
    for flask in [one.flask for one in dispenser.flasks]:
        typed.flasks[flask] = str(posted.get(f"flask-{flask}", ""))[:40]
        try:
            amount_mg = parse_grams(typed.flasks[flask])
        except BadAmount as error:
            typed.errors[flask] = str(error)
        else:
            if amount_mg:
                items.append(orders.OrderedItem(flask, amount_mg))
    if typed.errors:
        typed.problem = "Some amounts cannot be read."
    elif not items:
        typed.problem = "Write grams beside at least one flask."
    else:
        try:
            return _placed(deps, user, device, items, typed.key)
        except orders.NotEnoughStock as refusal:
            typed.errors = {refusal.flask: str(refusal)}
            typed.problem = "Nothing was ordered."
        except orders.OrderRefused as refusal:
            typed.problem = str(refusal)
    return _form(request, deps, user, dispenser, typed)


@router.post("/{device}/recipe")
def place_recipe(
    request: Request,
    deps: Deps,
    user: User,
    device: str,
    recipe: Annotated[str, Form(max_length=recipes.MAX_NAME_CHARS)],
    unit: Annotated[Literal["times", "grams"], Form()],
    key: Annotated[str, Form(min_length=1, max_length=64)],
    size: Annotated[str, Form(max_length=12)] = "",
) -> Response:
    """Place a recipe so many times, or so many grams of it."""
    typed = Typed(deps.new_id(), key, recipe=recipe, size=size, unit=unit)
    try:
        wanted = orders.OrderedRecipe(recipe, _scale(size, unit))
        return _placed(deps, user, device, wanted, key)
    except (BadAmount, orders.OrderRefused, recipes.RecipeRefused) as refusal:
        typed.recipe_problem = str(refusal)
    return _form(request, deps, user, _dispenser(deps, device), typed)


def _scale(size: str, unit: str) -> recipes.Scale:
    milli = parse_thousandths(size)
    if not milli:
        raise BadAmount("Write how many times, or how many grams.")
    return recipes.times(milli) if unit == "times" else recipes.by_total(milli)


def _placed(
    deps: Dashboard, user: str, device: str, wanted: list[orders.OrderedItem] | orders.OrderedRecipe, key: str
) -> RedirectResponse:
    job = orders.place(
        deps.database,
        device=device,
        items=wanted,
        now_ms=deps.now_ms(),
        job_id=deps.new_id(),
        by=user,
        idempotency_key=key,
    )
    deps.feed.job_changed(job.job)
    return RedirectResponse(f"/jobs/{job.job}", 303)


def _dispenser(deps: Dashboard, device: str) -> DispenserView:
    with deps.database.read() as tx:
        found = queries.dispenser(tx, device)
    if found is None:
        raise orders.UnknownDispenser(device)
    return found


def _form(request: Request, deps: Dashboard, user: str, dispenser: DispenserView, typed: Typed) -> HTMLResponse:
    with deps.database.read() as tx:
        known = recipes.page(tx)
    status = 422 if typed.problem or typed.recipe_problem else 200
    return render(request, "order.html", status, user=user, dispenser=dispenser, typed=typed, recipes=known)
