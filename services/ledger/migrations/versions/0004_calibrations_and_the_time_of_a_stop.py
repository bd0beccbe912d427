"""Calibrations with their history; how long a dispenser takes to stop"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calibration",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("flask", sa.Integer(), nullable=False),
        sa.Column("ingredient", sa.String(), nullable=False),
        sa.Column("open_ms", sa.Integer(), nullable=False),
        sa.Column("weighed_mg", sa.Integer(), nullable=False),
        sa.Column("flow_before_mg_per_s", sa.Integer(), nullable=False),
        sa.Column("flow_mg_per_s", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_calibration"),
    )
    op.create_index("ix_calibration_device_flask_at_ms", "calibration", ["device", "flask", "at_ms"])
    op.add_column("job_item", sa.Column("open_ms", sa.Integer(), nullable=True))
    op.add_column("device", sa.Column("stop_ms", sa.Integer(), nullable=True))
    op.add_column("device", sa.Column("stop_mg", sa.Integer(), nullable=True))


def downgrade() -> None:
    raise RuntimeError("there is no way down: restore the backup that was made before the update")
