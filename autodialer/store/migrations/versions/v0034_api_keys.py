"""API keys."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """To 0034."""
    op.create_table(
        "api_keys",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("user_key", columns.Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False, comment="how the key begins"),
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False, comment="SHA-256; the key itself is not kept"),
        sa.Column("scope", sa.Text(), nullable=False, comment="with spaces between"),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column("expires_at", columns.UtcTime(), nullable=True, comment="NULL: it does not run out"),
        sa.Column("last_used_at", columns.UtcTime(), nullable=True, comment="written at most once a minute"),
        sa.ForeignKeyConstraint(["user_key"], ["users.key"], name=op.f("api_keys_user_key_there"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("api_keys_key")),
        sa.UniqueConstraint("id", name=op.f("api_keys_id_once")),
        sa.UniqueConstraint("key_hash", name=op.f("api_keys_key_hash_once")),
        sqlite_autoincrement=True,
        comment="what programs send in place of an access token",
    )
    op.create_index(op.f("api_keys_user_key"), "api_keys", ["user_key"], unique=False)
