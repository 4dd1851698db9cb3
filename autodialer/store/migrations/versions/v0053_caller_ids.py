"""the numbers that a provider lets a trunk show."""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"


def upgrade() -> None:
    """To 0053."""
    # JSON, [[number, shown as], ...].
    op.add_column("trunks", sa.Column("caller_ids", sa.Text(), nullable=True))
