"""Each revision keeps what the one before it held."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

import services.ledger
from services.ledger import queries
from services.ledger.database import Database

BEFORE_RECIPES = """
INSERT INTO device VALUES ('d-1', 'D', 1, 'ana', NULL, 0, 0, 0, :no, '', '', 0, NULL, 0, 0, NULL, NULL, NULL, 1, 0,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO flask VALUES ('d-1', 1, 'Salt', 1000, 900, 0, 2, 0, 1, 1, 0, 1, 2, 0);
INSERT INTO job (job, device, state, rank, says, placed_at_ms, placed_by) VALUES ('j', 'd-1', 'done', 4, 'd', 1, 'ana');
INSERT INTO job_item (job, item, flask, target_mg, state, rank, says, dispensed_mg)
  VALUES ('j', 0, 1, 100, 'done', 3, 'device', 100);
INSERT INTO stock_movement (device, flask, kind, delta_mg, at_ms, note) VALUES ('d-1', 1, 'refill', 1000, 1, '');
INSERT INTO stock_movement (device, flask, kind, delta_mg, job, item, at_ms, note)
  VALUES ('d-1', 1, 'dispense', -100, 'j', 0, 1, '')
"""


def migrate(tx: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(services.ledger.__file__).with_name("migrations")))
    config.attributes["connection"] = tx
    if revision.startswith("-"):
        command.downgrade(config, revision[1:])
    else:
        command.upgrade(config, revision)


def test_what_was_before_recipes_gets_the_ingredients_that_the_flasks_hold(empty_url: str) -> None:
    database = Database(empty_url)
    with database.write() as tx:
        migrate(tx, "0001")
        for statement in BEFORE_RECIPES.split(";"):
            tx.execute(text(statement), {"no": False} if ":no" in statement else {})
    database.migrate()
    with database.read() as tx:
        job = queries.job(tx, "j")
        assert job is not None
        assert [(item.ingredient, item.target_mg) for item in job.items] == [("Salt", 100)]
        assert (job.recipe, job.recipe_version) == (None, None)
        assert [one.ingredient for one in queries.movements(tx)] == ["Salt", "Salt"]
        assert tx.execute(text("SELECT ingredient FROM stock_movement ORDER BY id")).scalars().all() == ["Salt", None]
    with database.write() as tx:
        migrate(tx, "-0001")
        assert tx.execute(text("SELECT count(*) FROM job_item")).scalar() == 1
    database.close()
