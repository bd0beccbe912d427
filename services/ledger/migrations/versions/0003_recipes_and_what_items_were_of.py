"""Recipes; items, refills and counts remember their ingredient"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recipe",
        sa.Column("recipe", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("recipe", "version", name="pk_recipe"),
    )
    op.create_table(
        "recipe_item",
        sa.Column("recipe", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("ingredient", sa.String(), nullable=False),
        sa.Column("amount_mg", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recipe", "version"], ["recipe.recipe", "recipe.version"], name="fk_recipe_item_recipe"
        ),
        sa.PrimaryKeyConstraint("recipe", "version", "position", name="pk_recipe_item"),
    )
    op.add_column("job", sa.Column("recipe", sa.String(), nullable=True))
    op.add_column("job", sa.Column("recipe_version", sa.Integer(), nullable=True))
    op.add_column("job", sa.Column("recipe_scale_milli", sa.Integer(), nullable=True))
    # The default lets both databases add the column in place, however many rows there are.
    op.add_column("job_item", sa.Column("ingredient", sa.String(), nullable=False, server_default=""))
    op.add_column("stock_movement", sa.Column("ingredient", sa.String(), nullable=True))
    # Until now a flask's ingredient could not be told from what it held before: what it holds today is all there is.
    op.execute(
        "UPDATE job_item SET ingredient = flask.ingredient FROM job, flask "
        "WHERE job.job = job_item.job AND flask.device = job.device AND flask.flask = job_item.flask"
    )
    op.execute(
        "UPDATE stock_movement SET ingredient = flask.ingredient FROM flask "
        "WHERE stock_movement.job IS NULL "
        "AND flask.device = stock_movement.device AND flask.flask = stock_movement.flask"
    )


def downgrade() -> None:
    raise RuntimeError("there is no way down: restore the backup that was made before the update")
