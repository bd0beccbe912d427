"""What the ledger shows: frozen, typed, ready for JSON. Amounts in mg, durations in ms, `*_at_ms` Unix milliseconds."""

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """Base of every view: never changed once made."""

    model_config = ConfigDict(frozen=True)


class FlaskView(View):
    """One flask. Below zero the stock is known to be wrong: the flask asks for a count."""

    device: str
    flask: int
    ingredient: str
    capacity_mg: int
    stock_mg: int
    reserved_mg: int
    available_mg: int
    low_mg: int
    revision: int
    flow_mg_per_s: int
    max_open_ms: int
    needs_count: bool


class DispenserView(View):
    """A dispenser as it last described itself; `seen_at_ms` says when, None if never.

    `stop_ms`, `stop_mg`: the most time and amount between a stop that has reached it and a closed flask.
    """

    device: str
    name: str
    online: bool
    fault: str | None
    refusal: str | None
    job: str | None
    firmware: str
    epoch: str | None
    boot: int
    connection: int
    config_version: int
    desired_config_version: int
    seen_at_ms: int | None
    rssi_dbm: int | None
    stop_ms: int | None = None
    stop_mg: int | None = None
    flasks: tuple[FlaskView, ...]


class ItemView(View):
    """One flask of a job, with what it held then. `dispensed_mg` is None while open and while nobody knows.

    `open_ms`: it was opened so long to calibrate it.
    """

    item: int
    flask: int
    ingredient: str
    target_mg: int
    state: str
    dispensed_mg: int | None
    duration_ms: int | None
    error: str | None
    resolution: str | None
    resolved_mg: int | None
    open_ms: int | None = None


class JobView(View):
    """A job with its items in order. `recipe_scale_milli` in thousandths; None beside a recipe: made to a total."""

    job: str
    device: str
    state: str
    seq: int | None
    placed_at_ms: int
    placed_by: str
    expires_at_ms: int | None
    accepted_at_ms: int | None
    ended_at_ms: int | None
    cancel_requested_at_ms: int | None
    retry_of: str | None
    recipe: str | None = None
    recipe_version: int | None = None
    recipe_scale_milli: int | None = None
    items: tuple[ItemView, ...]


class IngredientView(View):
    """One ingredient of a recipe in the recipe's own size."""

    ingredient: str
    amount_mg: int


class RecipeView(View):
    """A recipe as it is, or was in that version; `total_mg` is the sum of its ingredients."""

    name: str
    version: int
    at_ms: int
    by: str
    total_mg: int
    items: tuple[IngredientView, ...]


class MovementView(View):
    """One row of the stock ledger. `by` is the dispenser's id when it did it itself."""

    id: int
    device: str
    flask: int
    ingredient: str
    kind: str
    delta_mg: int
    job: str | None
    item: int | None
    at_ms: int
    by: str
    note: str


class FlipView(View):
    """One step of a job (`item` None) or of an item. `from_state` is None for the first."""

    job: str
    item: int | None
    from_state: str | None
    to_state: str
    says: str
    reason: str
    at_ms: int


class DeadLetterView(View):
    """A message that changed nothing. `payload` is text with replacement characters, possibly cut."""

    id: int
    at_ms: int
    last_at_ms: int
    times: int
    topic: str
    reason: str
    detail: str
    payload: str
    size_bytes: int


class CalibrationView(View):
    """A flask gave `weighed_mg` in `open_ms`, so that is its flow. Before, it was `flow_before_mg_per_s` (0: none)."""

    job: str
    device: str
    flask: int
    ingredient: str
    open_ms: int
    weighed_mg: int
    flow_before_mg_per_s: int
    flow_mg_per_s: int
    at_ms: int
    by: str


class InDoubtView(View):
    """An item of which nobody knows how much left the flask, from 0 to `target_mg`, until an operator says."""

    job: str
    item: int
    device: str
    flask: int
    ingredient: str
    target_mg: int
    ended_at_ms: int | None
