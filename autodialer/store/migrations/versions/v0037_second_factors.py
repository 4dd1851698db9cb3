"""Second factors: secrets of time-based codes, and recovery codes."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """To 0037."""
    for name in ("mfa_required", "mfa_enabled"):
        op.add_column("users", sa.Column(name, sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "second_factors",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("user_key", columns.Key, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="encrypted"),
        sa.Column("created_at", columns.UtcTime(), nullable=False),
        sa.Column("confirmed_at", columns.UtcTime(), nullable=True, comment="NULL: not in use until a code has come"),
        sa.Column(
            "last_step", columns.Key, server_default=sa.text("0"), nullable=False, comment="of the newest code taken"
        ),
        sa.Column(
            "failures", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="wrong codes in a row"
        ),
        sa.ForeignKeyConstraint(
            ["user_key"], ["users.key"], name=op.f("second_factors_user_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("second_factors_key")),
        sa.UniqueConstraint("user_key", name=op.f("second_factors_user_key_once")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("user_key", columns.Key, nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False, comment="HMAC; a code that was used has no row"),
        sa.ForeignKeyConstraint(
            ["user_key"], ["users.key"], name=op.f("recovery_codes_user_key_there"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("recovery_codes_key")),
        sa.UniqueConstraint("user_key", "code_hash", name=op.f("recovery_codes_user_key_code_hash_once")),
    )
