"""The numbering plan of Russia, as far as files of it have been imported."""

from sqlalchemy import PrimaryKeyConstraint, Table

from autodialer.store.tables.shapes import at, integer, metadata, own_key, refers, words

numbering_files = Table(
    "numbering_files",
    metadata,
    own_key(),
    words("file", comment="its name"),
    at("imported_at", nullable=False),
    sqlite_autoincrement=True,
    comment="imported files of the numbering plan",
)

numbering_ranges = Table(
    "numbering_ranges",
    metadata,
    refers("file_key", "numbering_files.key"),
    integer("code", comment="first three digits of the national number: 916"),
    integer("first", comment="of the seven digits behind the code"),
    integer("last"),
    words("operator"),
    words("region", comment="as the file spells it"),
    words("zone", nullable=True, comment="IANA name; NULL: the region is unknown or has several"),
    PrimaryKeyConstraint("file_key", "code", "first"),
    sqlite_with_rowid=False,
    comment="allotted numbers; those count whose code numbering_codes has with this file",
)

numbering_codes = Table(
    "numbering_codes",
    metadata,
    integer("code", primary_key=True, autoincrement=False),
    refers("file_key", "numbering_files.key"),
    sqlite_with_rowid=False,
    comment="which file's ranges of a code count: the last one imported",
)
