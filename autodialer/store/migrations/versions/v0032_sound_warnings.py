"""What a user is warned of when a sound was taken."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """To 0032."""
    # JSON: {"quiet": "The sound is 8 LU quieter than others: ...", ...}
    op.add_column("sounds", sa.Column("warnings", sa.Text(), nullable=True))
