"""numbers that are possible, but in no range that the numbering plan has assigned."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """To 0031."""
    op.add_column("callbases", sa.Column("doubtful", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("subscribers", sa.Column("doubt", sa.Text(), nullable=True))
    op.create_index(
        "subscribers_doubtful",
        "subscribers",
        ["callbase_key"],
        unique=False,
        sqlite_where=sa.text("doubt IS NOT NULL"),
        postgresql_where=sa.text("doubt IS NOT NULL"),
    )
    op.add_column("campaigns", sa.Column("dial_doubtful", sa.Boolean(), server_default=sa.text("0"), nullable=False))
