"""Orders: place, cancel, retry. Each is one transaction that holds the dispenser's row (see services.ledger)."""

from services.orders.cancelling import cancel
from services.orders.errors import (
    AlreadyEnded,
    BadOrder,
    IngredientReplaced,
    JobExists,
    KeyReused,
    NoFlaskFor,
    NotEnoughIngredient,
    NotEnoughStock,
    NothingToRetry,
    OrderRefused,
    RetryOpen,
    StillOpen,
    UnknownDispenser,
    UnknownFlask,
    UnknownJob,
)
from services.orders.placing import OrderedItem, place
from services.orders.resolving import OrderedRecipe
from services.orders.retrying import retry

__all__ = [
    "AlreadyEnded",
    "BadOrder",
    "IngredientReplaced",
    "JobExists",
    "KeyReused",
    "NoFlaskFor",
    "NotEnoughIngredient",
    "NotEnoughStock",
    "NothingToRetry",
    "OrderRefused",
    "OrderedItem",
    "OrderedRecipe",
    "RetryOpen",
    "StillOpen",
    "UnknownDispenser",
    "UnknownFlask",
    "UnknownJob",
    "cancel",
    "place",
    "retry",
]
