"""consent to be called, of subscribers and of the calls made to them."""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """To 0052."""
    for table in ("subscribers", "calls"):
        for name in ("consent_source", "consent_at", "consent_text"):
            op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
