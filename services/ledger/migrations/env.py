"""Run by alembic on the connection that `Database.migrate` holds, inside its transaction."""

from alembic import context

from services.ledger.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
