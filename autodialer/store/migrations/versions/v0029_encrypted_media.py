"""whether the media of a trunk's calls are encrypted."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """To 0029."""
    op.add_column("trunks", sa.Column("media_encryption", sa.Text(), server_default=sa.text("'none'"), nullable=False))
