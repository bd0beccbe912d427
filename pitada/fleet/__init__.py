"""A simulated fleet at a house that runs: its accounts, its orders through the API, its figures."""
