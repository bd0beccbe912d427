"""The ledger: jobs, stock and every step of both, in SQLite or PostgreSQL. The only room that speaks SQL.

Lock order, so that no two transactions on PostgreSQL wait for each other: the rows of `device`, in order of `device`;
then jobs; then their items; then flasks, in order of (`device`, `flask`). Everything that moves a job or the stock of
a dispenser locks its device row first, so two writers meet there and nowhere else. An idempotency key is claimed before
any of these. SQLite has one writer at a time.
"""
