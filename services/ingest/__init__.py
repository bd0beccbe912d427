"""Facts from the dispensers become ledger rows; receipts and stock go back once they are committed."""

from services.ingest.ingest import FILTERS, Ingest

__all__ = ["FILTERS", "Ingest"]
