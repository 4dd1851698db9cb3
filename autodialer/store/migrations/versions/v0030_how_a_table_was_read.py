"""how an uploaded table was read, and the column of a rejected row."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """To 0030."""
    for table in ("callbases", "dnc_imports"):
        op.add_column(table, sa.Column("reading", sa.Text(), nullable=True))
    for table in ("rejected_rows", "dnc_rejected_rows"):
        op.add_column(table, sa.Column("column_name", sa.Text(), nullable=True))
