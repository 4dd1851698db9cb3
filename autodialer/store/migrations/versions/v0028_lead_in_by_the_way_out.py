"""a campaign that leaves the silence before its sound to the way out of the dialer."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """To 0028."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.alter_column("campaigns", "lead_in_ms", nullable=True)
    else:
        # As in 0018: NOT NULL goes off a column by a change of the table's text, which no stored row minds.
        wanted = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'campaigns'"
        table = connection.exec_driver_sql(wanted).scalar_one()
        old = "lead_in_ms INTEGER NOT NULL"
        assert table.count(old) == 1, old
        version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        connection.exec_driver_sql(
            "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = 'campaigns'",
            (table.replace(old, "lead_in_ms INTEGER"),),
        )
        connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    # 0 was the default: nobody is known to have chosen it.
    op.execute("UPDATE campaigns SET lead_in_ms = NULL WHERE lead_in_ms = 0")
