"""what the callee's side says of our stream by RTCP."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """From 0006 to 0007."""
    op.add_column("calls", sa.Column("rtp_remote_lost", sa.Integer(), nullable=True))
    op.add_column("calls", sa.Column("rtp_round_trip_ms", sa.Float(), nullable=True))
