"""What a restored ledger asks its dispensers for, and when a dispenser last came over HTTP"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = (
    ("lost_from_seq", sa.Integer),
    ("lost_to_seq", sa.Integer),
    ("lost_at_ms", sa.BigInteger),
    ("resend_sent_at_ms", sa.BigInteger),
    ("polled_at_ms", sa.BigInteger),
    ("polled_boot", sa.Integer),
    ("polled_connection", sa.Integer),
)


def upgrade() -> None:
    for name, kind in COLUMNS:
        op.add_column("device", sa.Column(name, kind(), nullable=True))
    # The default is for the rows that are there; the code gives every new one its own value.
    op.add_column("device", sa.Column("resend_left", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    raise RuntimeError("there is no way down: restore the backup that was made before the update")
