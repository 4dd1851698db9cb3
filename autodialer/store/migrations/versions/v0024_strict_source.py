"""Trunks whose calls are told apart from strangers by the host that SIP comes from."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0021"


def upgrade() -> None:
    """To 0024."""
    op.add_column("trunks", sa.Column("strict_source", sa.Boolean(), server_default=sa.text("1"), nullable=False))
