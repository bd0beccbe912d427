"""Orders: place, cancel, retry. Each is one transaction that holds the dispenser's row (see services.ledger)."""

from services.orders.cancelling import cancel
from services.orders.errors import (
    AlreadyEnded,
    BadOrder,
    JobExists,
    KeyReused,
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
from services.orders.retrying import retry

__all__ = [
    "AlreadyEnded",
    "BadOrder",
    "JobExists",
    "KeyReused",
    "NotEnoughStock",
    "NothingToRetry",
    "OrderRefused",
    "OrderedItem",
    "RetryOpen",
    "StillOpen",
    "UnknownDispenser",
    "UnknownFlask",
    "UnknownJob",
    "cancel",
    "place",
    "retry",
]
