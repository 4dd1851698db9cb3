"""${message}."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """From ${down_revision or "nothing"} to ${up_revision}."""
    ${upgrades if upgrades else "pass"}
