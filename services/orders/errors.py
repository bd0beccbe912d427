"""Why an order was refused. The text is for the person who gave it: what happened, to what, and what to do."""


class OrderRefused(Exception):
    """The order changed nothing."""


class UnknownDispenser(OrderRefused):
    """No dispenser has this id."""

    def __init__(self, device: str) -> None:
        self.device = device
        super().__init__(f"There is no dispenser {device!r}. Claim it first, or check the name.")


class UnknownFlask(OrderRefused):
    """The dispenser has no flask with this number."""

    def __init__(self, device: str, flask: int, flasks: tuple[int, ...]) -> None:
        self.device = device
        self.flask = flask
        has = ", ".join(str(number) for number in flasks) or "none"
        super().__init__(f"Dispenser {device} has no flask {flask}; it has {has}. Correct the order.")


class BadOrder(OrderRefused):
    """The order itself cannot be carried out by any dispenser."""


class NotEnoughStock(OrderRefused):
    """What the flask holds, less what other jobs were promised, is less than the order wants."""

    def __init__(self, device: str, flask: int, ingredient: str, wanted_mg: int, available_mg: int) -> None:
        self.device = device
        self.flask = flask
        self.ingredient = ingredient
        self.wanted_mg = wanted_mg
        self.available_mg = available_mg
        super().__init__(
            f"Flask {flask} ({ingredient}) of {device} has {grams(available_mg)} available, the order wants "
            f"{grams(wanted_mg)}. Refill or count the flask, order less, or cancel a job that is waiting for it."
        )


class NoFlaskFor(OrderRefused):
    """No flask of the dispenser holds an ingredient of the recipe."""

    def __init__(self, device: str, ingredient: str) -> None:
        self.device = device
        self.ingredient = ingredient
        super().__init__(
            f"No flask of {device} holds {ingredient}, which the recipe needs. Fill one with it, or order it elsewhere."
        )


class NotEnoughIngredient(OrderRefused):
    """All flasks with an ingredient of the recipe together, less what other jobs were promised, have too little."""

    def __init__(self, device: str, ingredient: str, available: tuple[tuple[int, int], ...], wanted_mg: int) -> None:
        self.device = device
        self.ingredient = ingredient
        self.available = available
        self.wanted_mg = wanted_mg
        has = " and ".join(f"flask {flask} has {grams(amount_mg)}" for flask, amount_mg in available)
        super().__init__(
            f"The recipe wants {grams(wanted_mg)} of {ingredient} from {device}, where {has} available. "
            "Refill or count it, make less, or cancel a job that is waiting for it."
        )


class IngredientReplaced(OrderRefused):
    """The flask holds something else than when the job was ordered."""

    def __init__(self, device: str, flask: int, ordered: str, holds: str) -> None:
        self.device = device
        self.flask = flask
        self.ordered = ordered
        self.holds = holds
        super().__init__(
            f"Flask {flask} of {device} holds {holds} now, the job was for {ordered}. Order {ordered} from a flask "
            "that holds it."
        )


class KeyReused(OrderRefused):
    """The idempotency key belongs to an earlier order with another content."""

    def __init__(self, key: str, job: str) -> None:
        self.key = key
        self.job = job
        super().__init__(
            f"The idempotency key {key!r} was used for job {job}, whose content differs. Use a new key for a new order."
        )


class JobExists(OrderRefused):
    """Another job has this id."""

    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__(f"There is already a job {job}. Use a new id for a new order.")


class UnknownJob(OrderRefused):
    """No job has this id."""

    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__(f"There is no job {job!r}. Check the id in the list of jobs.")


class AlreadyEnded(OrderRefused):
    """The job ended before it could be stopped."""

    def __init__(self, job: str, state: str) -> None:
        self.job = job
        self.state = state
        super().__init__(f"Job {job} has already ended ({state}): there is nothing to stop.")


class StillOpen(OrderRefused):
    """Only a job that ended can be retried."""

    def __init__(self, job: str, state: str) -> None:
        self.job = job
        self.state = state
        super().__init__(f"Job {job} is still {state}. Wait for its end, or cancel it, then retry.")


class RetryOpen(OrderRefused):
    """The job is being retried already."""

    def __init__(self, job: str, retry: str) -> None:
        self.job = job
        self.retry = retry
        super().__init__(
            f"Job {job} is being retried by job {retry}. Wait for the end of that job, or cancel it, then retry."
        )


class NothingToRetry(OrderRefused):
    """Every item was dispensed, or nobody knows yet whether it was."""

    def __init__(self, job: str, unknown: int) -> None:
        self.job = job
        self.unknown = unknown
        super().__init__(
            f"Job {job} has nothing to retry yet: of {unknown} of its items nobody knows what left the flask. Resolve "
            "those in doubt; an offer whose time was up is answered when the dispenser is online."
            if unknown
            else f"Job {job} has nothing to retry: every item was dispensed."
        )


def grams(amount_mg: int) -> str:
    """`2500` as `2.5 g`, exactly, without trailing zeros."""
    sign = "-" if amount_mg < 0 else ""
    whole, part = divmod(abs(amount_mg), 1000)
    return f"{sign}{whole}.{part:03d}".rstrip("0").rstrip(".") + " g"
