"""What a campaign does after a failed transfer; reports of the callee's side on a call."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0024"


def upgrade() -> None:
    """To 0026."""
    op.add_column(
        "campaigns",
        sa.Column("after_failed_transfer", sa.Text(), server_default=sa.text("'continue'"), nullable=False),
    )
    op.add_column("calls", sa.Column("rtp_reports", sa.Integer(), nullable=True))
