"""the numbering plan: which region each range of numbers was allotted to, and its time zone."""

import sqlalchemy as sa
from alembic import op

from autodialer.store.sql import column_types as columns

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """From 0014 to 0015."""
    op.create_table(
        "numbering_files",
        sa.Column("key", columns.Key, nullable=False),
        sa.Column("file", sa.Text(), nullable=False, comment="its name"),
        sa.Column("imported_at", columns.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("numbering_files_key")),
        comment="imported files of the numbering plan",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "numbering_ranges",
        sa.Column("file_key", columns.Key, nullable=False),
        sa.Column("code", sa.Integer(), nullable=False, comment="first three digits of the national number: 916"),
        sa.Column("first", sa.Integer(), nullable=False, comment="of the seven digits behind the code"),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False, comment="as the file spells it"),
        sa.Column("zone", sa.Text(), nullable=True, comment="IANA name; NULL: the region is unknown or has several"),
        sa.ForeignKeyConstraint(["file_key"], ["numbering_files.key"], name=op.f("numbering_ranges_file_key_there")),
        sa.PrimaryKeyConstraint("file_key", "code", "first", name=op.f("numbering_ranges_key")),
        comment="allotted numbers; those count whose code numbering_codes has with this file",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "numbering_codes",
        sa.Column("code", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("file_key", columns.Key, nullable=False),
        sa.ForeignKeyConstraint(["file_key"], ["numbering_files.key"], name=op.f("numbering_codes_file_key_there")),
        sa.PrimaryKeyConstraint("code", name=op.f("numbering_codes_key")),
        comment="which file's ranges of a code count: the last one imported",
        sqlite_with_rowid=False,
    )
