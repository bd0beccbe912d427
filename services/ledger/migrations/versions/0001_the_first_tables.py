"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite counts rows only in a column of exactly this type.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user", name="pk_account"),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letter"),
    )
    op.create_index("uq_dead_letter_content_sha256", "dead_letter", ["content_sha256"], unique=True)

    op.create_table(
        "device",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("claimed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=True),
        sa.Column("boot", sa.Integer(), nullable=False),
        sa.Column("connection", sa.Integer(), nullable=False),
        sa.Column("status_ms", sa.BigInteger(), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("firmware", sa.String(), nullable=False),
        sa.Column("reset_cause", sa.String(), nullable=False),
        sa.Column("config_version", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("receipted_seq", sa.Integer(), nullable=False),
        sa.Column("fault", sa.String(), nullable=True),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.Column("next_seq", sa.Integer(), nullable=False),
        sa.Column("desired_config_version", sa.Integer(), nullable=False),
        sa.Column("config_sent_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("told_boot", sa.Integer(), nullable=True),
        sa.Column("told_connection", sa.Integer(), nullable=True),
        sa.Column("rssi_dbm", sa.Integer(), nullable=True),
        sa.Column("free_heap_bytes", sa.Integer(), nullable=True),
        sa.Column("uptime_ms", sa.BigInteger(), nullable=True),
        sa.Column("reconnects", sa.Integer(), nullable=True),
        sa.Column("outage_ms", sa.BigInteger(), nullable=True),
        sa.Column("flash_writes", sa.Integer(), nullable=True),
        sa.Column("round_trip_ms", sa.BigInteger(), nullable=True),
        sa.Column("telemetry_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("device", name="pk_device"),
    )
    op.create_table(
        "flip",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("says", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", "item", "rank", "to_state", name="pk_flip"),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_sha256", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("by", "key", name="pk_idempotency_key"),
    )
    op.create_table(
        "sign_in_link",
        sa.Column("token_sha256", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_sign_in_link"),
    )
    op.create_table(
        "stock_movement",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("flask", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("delta_mg", sa.BigInteger(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("item", sa.Integer(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stock_movement"),
    )
    op.create_index("ix_stock_movement_device_flask_id", "stock_movement", ["device", "flask", "id"])
    op.create_index(
        "uq_stock_movement_job_item",
        "stock_movement",
        ["job", "item"],
        unique=True,
        sqlite_where=sa.text("job IS NOT NULL"),
        postgresql_where=sa.text("job IS NOT NULL"),
    )

    op.create_table(
        "web_session",
        sa.Column("token_sha256", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_web_session"),
    )
    op.create_table(
        "device_epoch",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("first_seen_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["device.device"], name="fk_device_epoch_device"),
        sa.PrimaryKeyConstraint("device", "epoch", name="pk_device_epoch"),
    )
    op.create_table(
        "flask",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("flask", sa.Integer(), nullable=False),
        sa.Column("ingredient", sa.String(), nullable=False),
        sa.Column("capacity_mg", sa.BigInteger(), nullable=False),
        sa.Column("stock_mg", sa.BigInteger(), nullable=False),
        sa.Column("reserved_mg", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("low_mg", sa.BigInteger(), nullable=False),
        sa.Column("flow_mg_per_s", sa.Integer(), nullable=False),
        sa.Column("max_open_ms", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("closed_us", sa.Integer(), nullable=False),
        sa.Column("open_us", sa.Integer(), nullable=False),
        sa.Column("settle_ms", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["device.device"], name="fk_flask_device"),
        sa.PrimaryKeyConstraint("device", "flask", name="pk_flask"),
    )
    op.create_table(
        "job",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("says", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("epoch", sa.String(), nullable=True),
        sa.Column("placed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("placed_by", sa.String(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("offered_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("offer_sent_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("accepted_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("cancel_requested_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("cancel_requested_by", sa.String(), nullable=True),
        sa.Column("cancel_sent_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("retry_of", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["device"], ["device.device"], name="fk_job_device"),
        sa.PrimaryKeyConstraint("job", name="pk_job"),
    )
    op.create_index("ix_job_device_placed_at_ms_job", "job", ["device", "placed_at_ms", "job"])
    op.create_index(
        "ix_job_open",
        "job",
        ["device", "placed_at_ms", "job"],
        sqlite_where=sa.text("rank < 3"),
        postgresql_where=sa.text("rank < 3"),
    )
    op.create_index(
        "ix_job_unanswered",
        "job",
        ["device", "job"],
        sqlite_where=sa.text("state = 'expired' AND says = 'server' AND seq IS NOT NULL"),
        postgresql_where=sa.text("state = 'expired' AND says = 'server' AND seq IS NOT NULL"),
    )
    op.create_index("ix_job_placed_at_ms_job", "job", ["placed_at_ms", "job"])
    op.create_index("uq_job_device_epoch_seq", "job", ["device", "epoch", "seq"], unique=True)

    op.create_table(
        "job_item",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("flask", sa.Integer(), nullable=False),
        sa.Column("target_mg", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("says", sa.String(), nullable=False),
        sa.Column("dispensed_mg", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("resolution", sa.String(), nullable=True),
        sa.Column("resolved_mg", sa.Integer(), nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("resolved_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("origin_job", sa.String(), nullable=True),
        sa.Column("origin_item", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["job.job"], name="fk_job_item_job"),
        sa.PrimaryKeyConstraint("job", "item", name="pk_job_item"),
    )
    op.create_index(
        "ix_job_item_in_doubt",
        "job_item",
        ["job", "item"],
        sqlite_where=sa.text("state = 'in_doubt' AND resolution IS NULL"),
        postgresql_where=sa.text("state = 'in_doubt' AND resolution IS NULL"),
    )
    op.create_index(
        "ix_job_item_origin_job_origin_item",
        "job_item",
        ["origin_job", "origin_item"],
        sqlite_where=sa.text("origin_job IS NOT NULL"),
        postgresql_where=sa.text("origin_job IS NOT NULL"),
    )


def downgrade() -> None:
    raise RuntimeError("there is no way down: restore the backup that was made before the update")
