"""The operator's side: pages, REST and the live feed. Displays and asks; the ledger decides."""
