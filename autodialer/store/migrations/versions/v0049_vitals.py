"""What the dialer counts, for the metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    """To 0049."""
    # JSON of autodialer/dialing/vitals.py.
    op.add_column("dialers", sa.Column("vitals", sa.Text(), nullable=True))
