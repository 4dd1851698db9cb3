"""Users who were deleted, and what is still to be done with their objects."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """To 0035."""
    op.add_column("users", sa.Column("deleted_at", columns.UtcTime(), nullable=True))
    op.add_column("users", sa.Column("former_login", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("leaves", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("heir_key", columns.Key, nullable=True))
    op.create_index(
        "users_deleted",
        "users",
        ["key"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "users_leaving",
        "users",
        ["key"],
        unique=False,
        sqlite_where=sa.text("leaves IS NOT NULL"),
        postgresql_where=sa.text("leaves IS NOT NULL"),
    )
