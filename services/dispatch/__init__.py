"""Orders in the ledger become commands to the dispensers that are online."""

from services.dispatch.dispatch import Dispatch

__all__ = ["Dispatch"]
