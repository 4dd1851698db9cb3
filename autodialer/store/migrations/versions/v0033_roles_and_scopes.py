"""Operators and viewers, and sessions of fewer scopes than the role allows."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0033"
down_revision = "0032"

BEFORE = "role IN ('user', 'admin')"
AFTER = "role IN ('user', 'admin', 'operator', 'viewer')"
REWRITE = "UPDATE sqlite_schema SET sql = replace(sql, :before, :after) WHERE type = 'table' AND name = 'users'"


def upgrade() -> None:
    """To 0033."""
    _let_roles_in()
    op.add_column("users", sa.Column("works_for_key", columns.Key, nullable=True))
    op.create_index(
        "users_works_for_key",
        "users",
        ["works_for_key"],
        unique=False,
        sqlite_where=sa.text("works_for_key IS NOT NULL"),
        postgresql_where=sa.text("works_for_key IS NOT NULL"),
    )
    op.add_column("token_families", sa.Column("scope", sa.Text(), nullable=True))


def _let_roles_in() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(op.f("users_role_known"), "users", type_="check")
        op.create_check_constraint(op.f("users_role_known"), "users", AFTER)
        return
    # The text alone, as migration 0020 does it and says why: every table refers to this one, so a copy is no way.
    version = connection.execute(sa.text("PRAGMA schema_version")).scalar_one()
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    connection.execute(sa.text(REWRITE), {"before": BEFORE, "after": AFTER})
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
