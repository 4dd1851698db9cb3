"""by how much a sound was turned up or down."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """From 0005 to 0006."""
    op.add_column("sounds", sa.Column("gain_db", sa.Float(), nullable=True))
