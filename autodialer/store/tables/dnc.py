"""Numbers that are never dialled, and the files that they came from."""

from sqlalchemy import Boolean, Column, Index, Table, UniqueConstraint, text

from autodialer.store.tables.shapes import (
    at,
    count,
    flag,
    integer,
    metadata,
    own_key,
    public_id,
    refers,
    state_of,
    words,
)
from autodialer.store.transitions import DNC_IMPORTS

dnc = Table(
    "dnc",
    metadata,
    own_key(),
    refers("owner_key", "users.key"),
    words("number", comment="never dialled, whoever entered it"),
    words("source"),
    words("comment", nullable=True),
    at("created_at", nullable=False),
    Column("for_everybody", Boolean, server_default=text("0"), nullable=False),  # by migration 0010
    UniqueConstraint("number", "owner_key"),
    Index(None, "owner_key"),
    Index(
        "dnc_for_everybody",
        "key",
        sqlite_where=text("for_everybody = 1"),
        postgresql_where=text("for_everybody"),
    ),
)

dnc_imports = Table(
    "dnc_imports",
    metadata,
    own_key(),
    public_id(),
    refers("owner_key", "users.key"),
    words("file", comment="name of the uploaded file"),
    words("region", comment="ISO 3166 country, or raw: numbers are kept as written"),
    flag("for_everybody"),
    state_of(DNC_IMPORTS, "importing"),
    count("rows"),
    count("rows_done"),
    count("imported"),
    count("duplicates", "on the list already, or twice in the file"),
    count("rejected"),
    words("error", nullable=True),
    at("created_at", nullable=False),
    DNC_IMPORTS.check(),
    Index(None, "owner_key"),
    sqlite_autoincrement=True,
)

dnc_rejected_rows = Table(
    "dnc_rejected_rows",
    metadata,
    own_key(),
    refers("import_key", "dnc_imports.key"),
    integer("row", comment="of the file, as a spreadsheet counts"),
    words("value"),
    words("reason"),
    Index(None, "import_key"),
)
