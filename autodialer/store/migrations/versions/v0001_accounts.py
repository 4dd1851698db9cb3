"""accounts."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing to 0001."""
    op.create_table(
        "users",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="user sees his own objects, admin sees all"),
        sa.Column(
            "password_hash", sa.Text(), nullable=True, comment="argon2id; NULL: cannot log in until a password is set"
        ),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.CheckConstraint("role IN ('user', 'admin')", name=op.f("users_role_known")),
        sa.PrimaryKeyConstraint("key", name=op.f("users_key")),
        sa.UniqueConstraint("id", name=op.f("users_id_once")),
        sa.UniqueConstraint("login", name=op.f("users_login_once")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audit",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("at", columns.UtcTime(), nullable=False),
        sa.Column("user_key", columns.Key, nullable=True, comment="NULL: the service itself, or nobody known"),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=True),
        sa.Column("object_id", columns.PublicId(), nullable=True),
        sa.Column("details", columns.JsonObject(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True, comment="of the client"),
        sa.ForeignKeyConstraint(["user_key"], ["users.key"], name=op.f("audit_user_key_there")),
        sa.PrimaryKeyConstraint("key", name=op.f("audit_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("audit_user_key"), "audit", ["user_key"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("user_key", columns.Key, nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False, comment="as the client sent it"),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="of the request that made the object"),
        sa.Column("response_id", columns.PublicId(), nullable=False),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_key"], ["users.key"], name=op.f("idempotency_keys_user_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("idempotency_keys_key")),
        sa.UniqueConstraint(
            "user_key",
            "operation",
            "idempotency_key",
            name=op.f("idempotency_keys_user_key_operation_idempotency_key_once"),
        ),
    )
    op.create_index(op.f("idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "token_families",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("id", columns.PublicId(), nullable=False),
        sa.Column("user_key", columns.Key, nullable=False),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column("expires_at", columns.UtcTime(), nullable=False, comment="of its newest refresh token"),
        sa.Column("revoked_at", columns.UtcTime(), nullable=True, comment="NULL: its access tokens are good"),
        sa.ForeignKeyConstraint(
            ["user_key"], ["users.key"], name=op.f("token_families_user_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("token_families_key")),
        sa.UniqueConstraint("id", name=op.f("token_families_id_once")),
        comment="one log-in: the access tokens and the chain of refresh tokens that came of it",
    )
    op.create_index(op.f("token_families_expires_at"), "token_families", ["expires_at"], unique=False)
    op.create_index(op.f("token_families_user_key"), "token_families", ["user_key"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("family_key", columns.Key, nullable=False),
        sa.Column(
            "token_hash", sa.LargeBinary(length=32), nullable=False, comment="SHA-256; the token itself is not kept"
        ),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column("used_at", columns.UtcTime(), nullable=True, comment="a second use revokes the family"),
        sa.ForeignKeyConstraint(
            ["family_key"], ["token_families.key"], name=op.f("refresh_tokens_family_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("refresh_tokens_key")),
        sa.UniqueConstraint("token_hash", name=op.f("refresh_tokens_token_hash_once")),
    )
    op.create_index(op.f("refresh_tokens_family_key"), "refresh_tokens", ["family_key"], unique=False)
