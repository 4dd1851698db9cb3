"""When, from where and by what a session is used."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """To 0036."""
    op.add_column("token_families", sa.Column("last_used_at", columns.UtcTime(), nullable=True))
    op.add_column("token_families", sa.Column("address", sa.Text(), nullable=True))
    op.add_column("token_families", sa.Column("program", sa.Text(), nullable=True))
