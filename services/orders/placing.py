"""Place an order: check it, reserve its stock, queue it. All of it or nothing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.fields import BadValue
from protocol.limits import MAX_ITEMS
from protocol.messages import OfferedItem, OfferJob
from services.ledger import jobs, queries
from services.ledger.database import Database, Transaction
from services.ledger.jobs import FlaskRow, MadeFrom, NewItem
from services.ledger.views import JobView
from services.orders.errors import (
    BadOrder,
    IngredientReplaced,
    JobExists,
    KeyReused,
    NotEnoughStock,
    UnknownDispenser,
    UnknownFlask,
)
from services.orders.resolving import OrderedRecipe, resolve
from services.recipes import same_name

# What a caller may make up as a key: long enough for any id, short enough to keep for every order.
MAX_KEY_CHARS = 128


@dataclass(frozen=True)
class OrderedItem:
    """So much of what is in that flask. Several items of an order may use one flask.

    `open_ms`: open it so long whatever its flow (see `services.calibration`); at most `target_mg` is expected.
    """

    flask: int
    target_mg: int
    open_ms: int | None = None


def place(
    db: Database,
    *,
    device: str,
    items: Sequence[OrderedItem] | OrderedRecipe,
    now_ms: int,
    job_id: str,
    by: str,
    expires_at_ms: int | None = None,
    idempotency_key: str | None = None,
) -> JobView:
    """Queue a job of 1 to 16 items, in that order, or of a recipe, with its stock reserved.

    A key that `by` has used for the same dispenser, items (or recipe and scale) and expiry returns the job of the first
    time, as it is now. Raises `OrderRefused`; of a recipe also `RecipeRefused`.
    """
    _check(now_ms, expires_at_ms, idempotency_key)
    if not isinstance(items, OrderedRecipe):
        _check_items(job_id, items)
    with db.write() as tx:
        if idempotency_key is not None:
            content = _content(device, items, expires_at_ms)
            first = jobs.claim_key(tx, by, idempotency_key, content, job_id, now_ms)
            if first is not None:
                return _first_job(tx, idempotency_key, content, *first)
        if not jobs.lock_device(tx, device):
            raise UnknownDispenser(device)
        known = jobs.flasks(tx, device)
        made_from = None
        if isinstance(items, OrderedRecipe):
            new, made_from = resolve(tx, device, known, items)
            _check_items(job_id, new)
        else:
            new = [
                NewItem(item.flask, item.target_mg, _flask(device, known, item.flask).ingredient, open_ms=item.open_ms)
                for item in items
            ]
        return queue(
            tx, job_id, device, known, new, now_ms=now_ms, by=by, expires_at_ms=expires_at_ms, made_from=made_from
        )


def queue(
    tx: Transaction,
    job_id: str,
    device: str,
    known: Mapping[int, FlaskRow],
    items: Sequence[NewItem],
    *,
    now_ms: int,
    by: str,
    expires_at_ms: int | None = None,
    retry_of: str | None = None,
    made_from: MadeFrom | None = None,
) -> JobView:
    """Reserve and queue, for a dispenser whose row is locked; `known` are its flasks, read since.

    Raises `OrderRefused`: then roll the transaction back.
    """
    wanted: dict[int, list[int]] = {}
    for item in items:
        holds = _flask(device, known, item.flask).ingredient
        if same_name(item.ingredient) != same_name(holds):
            raise IngredientReplaced(device, item.flask, item.ingredient, holds)
        wanted.setdefault(item.flask, []).append(item.target_mg)
    added = jobs.add_job(
        tx,
        job_id,
        device,
        items,
        now_ms=now_ms,
        by=by,
        expires_at_ms=expires_at_ms,
        retry_of=retry_of,
        made_from=made_from,
    )
    if not added:
        raise JobExists(job_id)
    for flask, amounts in sorted(wanted.items()):
        if not jobs.reserve(tx, device, flask, sum(amounts), len(amounts)):
            raise NotEnoughStock(device, flask, known[flask].ingredient, sum(amounts), known[flask].available_mg)
    return view(tx, job_id)


def view(tx: Transaction, job_id: str) -> JobView:
    """The job as this transaction leaves it."""
    found = queries.job(tx, job_id)
    if found is None:  # its row is in this transaction
        raise LookupError(job_id)
    return found


def _flask(device: str, known: Mapping[int, FlaskRow], flask: int) -> FlaskRow:
    if flask not in known:
        raise UnknownFlask(device, flask, tuple(known))
    return known[flask]


def _check(now_ms: int, expires_at_ms: int | None, idempotency_key: str | None) -> None:
    if expires_at_ms is not None and expires_at_ms <= now_ms:
        raise BadOrder("The order's time is up before it begins. Give it a later expiry, or none.")
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_KEY_CHARS:
        raise BadOrder(f"The idempotency key has {len(idempotency_key)} characters, 1 to {MAX_KEY_CHARS} are allowed.")


def _check_items(job_id: str, items: Sequence[OrderedItem] | Sequence[NewItem]) -> None:
    if not 1 <= len(items) <= MAX_ITEMS:
        raise BadOrder(f"The order has {len(items)} items, a job takes 1 to {MAX_ITEMS}. Split it, or add an item.")
    try:
        # The offer that a dispenser will get; its number and epoch come later, these only fill the fields.
        offered = tuple(
            [OfferedItem(flask=item.flask, target_mg=item.target_mg, open_ms=item.open_ms) for item in items]
        )
        OfferJob(job=job_id, seq=1, epoch="00000000", items=offered)
    except BadValue as error:
        raise BadOrder(f"The order cannot be given to a dispenser: {error}. Correct it, then order again.") from error


def _content(device: str, items: Sequence[OrderedItem] | OrderedRecipe, expires_at_ms: int | None) -> str:
    """SHA-256 of what the caller asked for: two requests are the same when these are."""
    asked: list[object]
    if isinstance(items, OrderedRecipe):
        asked = [same_name(items.name), items.scale.milli, items.scale.total_mg]
    else:
        asked = [[item.flask, item.target_mg] for item in items]
    return hashlib.sha256(json.dumps([device, asked, expires_at_ms]).encode()).hexdigest()


def _first_job(tx: Transaction, key: str, content: str, first_content: str, job: str) -> JobView:
    if content != first_content:
        raise KeyReused(key, job)
    return view(tx, job)
