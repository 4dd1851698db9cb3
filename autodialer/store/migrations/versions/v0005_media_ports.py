"""whether the calls of a trunk share a media port."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """From 0004 to 0005."""
    op.add_column("trunks", sa.Column("media_ports", sa.Text(), server_default=sa.text("'per_call'"), nullable=False))
