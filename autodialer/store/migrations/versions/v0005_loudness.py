"""by how much a sound was turned up or down."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """From 0004 to 0005."""
    op.add_column("sounds", sa.Column("gain_db", sa.Float(), nullable=True))
