"""A second server of the provider, headers of its own in INVITEs, and what it says beside the code of a refusal."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """To 0027."""
    op.add_column("trunks", sa.Column("backup_host", sa.Text(), nullable=True))
    op.add_column("trunks", sa.Column("extra_headers", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("calls", sa.Column("refusal_headers", sa.Text(), nullable=True))
