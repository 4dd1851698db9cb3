"""whether the media of a trunk's calls are to be encrypted, and how those of a call were."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """To 0029."""
    op.add_column("trunks", sa.Column("media_encryption", sa.Text(), server_default=sa.text("'none'"), nullable=False))
    op.add_column("calls", sa.Column("rtp_encryption", sa.Text(), nullable=True))
