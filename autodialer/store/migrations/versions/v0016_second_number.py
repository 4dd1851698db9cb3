"""a second number of a subscriber."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """From 0015 to 0016."""
    op.add_column("subscribers", sa.Column("second_number", sa.Text(), nullable=True))
    op.create_index(
        "subscribers_second_number",
        "subscribers",
        ["callbase_key", "second_number"],
        unique=False,
        sqlite_where=sa.text("second_number IS NOT NULL"),
        postgresql_where=sa.text("second_number IS NOT NULL"),
    )
