"""RTP packets that came from elsewhere than the callee."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """To 0021."""
    op.add_column("calls", sa.Column("rtp_strangers", sa.Integer(), nullable=True))
