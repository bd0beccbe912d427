"""Facts from the dispensers become ledger rows; receipts and stock go back once they are committed."""

from services.ingest.ingest import BATCH_MOST, FILTERS, Ingest

__all__ = ["BATCH_MOST", "FILTERS", "Ingest"]
