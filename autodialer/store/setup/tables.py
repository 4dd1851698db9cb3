"""What a user sets up, but campaigns."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from autodialer.store.sql.column_types import JsonObject, Key, ShownNumbers
from autodialer.store.sql.shapes import (
    at,
    count,
    flag,
    integer,
    metadata,
    own_key,
    public_id,
    refers,
    seconds,
    state_of,
    words,
)
from autodialer.store.sql.transitions import CALLBASES, DNC_IMPORTS

trunks = Table(
    "trunks",
    metadata,
    own_key(),
    public_id(),
    refers("owner_key", "users.key"),
    words("name"),
    words("host"),
    Column("port", Integer, comment="NULL: the default of the transport"),
    words("transport"),
    words("username"),
    Column("password", LargeBinary, comment="AES-256-GCM; NULL: none, or the trunk is deleted"),
    words("auth_username", nullable=True, comment="NULL: username"),
    words("domain", nullable=True, comment="NULL: host"),
    words("caller_id", nullable=True, comment="NULL: username"),
    words("number_format", comment="template over {e164} and {national}"),
    integer("max_channels"),
    Column("cps", Float, nullable=False),
    words("codecs", comment="in the order of the offer, with commas between"),
    flag("hidden", "made by a sample call of the prototype; no list shows it"),
    at("created_at", nullable=False),
    at("deleted_at", comment="the row stays for the calls that went through it"),
    # Migrations 0004 and 0005 added these, without comments: SQLite keeps the text of ALTER TABLE as it is.
    words("ca_file", nullable=True),
    words("outbound_proxy", nullable=True),
    Column("register", Boolean, server_default=text("0"), nullable=False),
    words("caller_id_header", server_default=text("'from'")),
    Column("symmetric_rtp", Boolean, server_default=text("1"), nullable=False),
    Column("strict_source", Boolean, server_default=text("1"), nullable=False),
    words("stun_server", nullable=True),
    words("media_ports", server_default=text("'per_call'")),
    Column("price_per_min", Float),  # by migration 0012
    words("media_encryption", server_default=text("'none'")),  # by migration 0029
    # By migration 0027; the headers a line each.
    words("backup_host", nullable=True),
    words("extra_headers", server_default=text("''")),
    # By migration 0046; both with commas between.
    words("allowed_countries", nullable=True),
    words("allowed_special", server_default=text("''")),
    # By migration 0047; NULL: no ceiling.
    Column("max_calls_day", Integer),
    Column("max_minutes_day", Integer),
    Column("caller_ids", ShownNumbers),  # by migration 0053: numbers that the provider lets it show
    Index(None, "owner_key"),
    sqlite_autoincrement=True,
)

sounds = Table(
    "sounds",
    metadata,
    own_key(),
    public_id(),
    refers("owner_key", "users.key"),
    words("name"),
    seconds("duration_s"),
    Column("peak_dbfs", Float, nullable=False),
    Column("loudness_lufs", Float),
    integer("sample_rate", comment="Hz, of the file as it came"),
    integer("channels", comment="of the file as it came"),
    words("path", comment="relative to the data folder; .alaw and .ulaw beside it"),
    words("original_path"),
    at("created_at", nullable=False),
    at("deleted_at", comment="the row stays for the campaigns that played it"),
    Column("gain_db", Float),  # by migration 0006
    Column("warnings", JsonObject),  # by migration 0032
    Index(None, "owner_key"),
    sqlite_autoincrement=True,
)

callbases = Table(
    "callbases",
    metadata,
    own_key(),
    public_id(),
    refers("owner_key", "users.key"),
    words("name"),
    words("region", comment="ISO 3166 country, or raw: numbers are dialled as written"),
    words("timezone", nullable=True),
    state_of(CALLBASES, "importing"),
    count("rows", "of the file, without its header"),
    count("rows_done"),
    count("imported", "exactly the number of its rows in subscribers"),
    count("duplicates"),
    count("rejected"),
    words("error", nullable=True),
    flag("hidden", "behind a sample call; no list shows it"),
    at("created_at", nullable=False),
    at("deleted_at", comment="the row stays for the campaigns that called it, its subscribers are erased"),
    CALLBASES.check(),
    Index(
        "callbases_shown",
        "owner_key",
        sqlite_where=text("hidden = 0"),
        postgresql_where=text("NOT hidden"),
    ),
    Column("reading", JsonObject),  # by migration 0030: sheet, encoding, columns and so on, as the file was read
    # Of the imported: subscribers with a doubt; by migration 0031.
    Column("doubtful", Integer, nullable=False, server_default=text("0")),
    Index(None, "owner_key"),
    sqlite_autoincrement=True,
)

subscribers = Table(
    "subscribers",
    metadata,
    own_key(),
    public_id(),
    Column("callbase_key", Key, ForeignKey("callbases.key"), nullable=False),
    words("number", nullable=True, comment="E.164 with the plus, or as written in a raw callbase; NULL: erased"),
    words("name", nullable=True),
    words("comment", nullable=True),
    words("timezone", nullable=True),
    Column("extra", JsonObject, comment="JSON: the columns that have no field of their own"),
    # The time zone that the number tells, and by what: number or plan.
    words("number_zone", nullable=True),
    words("number_zone_by", nullable=True),
    words("second_number", nullable=True),  # as `number`; called once the attempts at that are used up
    words("doubt", nullable=True),  # by migration 0031: why the number may be wrong; NULL: it is valid
    at("deleted_at"),  # by migration 0038: the row stays, without the person, for the campaigns that met it
    words("destination", nullable=True),  # by migration 0046: where `number` leads; NULL: not found yet
    # By migration 0052: to be called, as written.
    words("consent_source", nullable=True),
    words("consent_at", nullable=True),
    words("consent_text", nullable=True),
    UniqueConstraint("callbase_key", "number"),
    Index(None, "callbase_key"),
    Index(
        "subscribers_second_number",
        "callbase_key",
        "second_number",
        sqlite_where=text("second_number IS NOT NULL"),
        postgresql_where=text("second_number IS NOT NULL"),
    ),
    Index(
        "subscribers_doubtful",
        "callbase_key",
        sqlite_where=text("doubt IS NOT NULL"),
        postgresql_where=text("doubt IS NOT NULL"),
    ),
)

rejected_rows = Table(
    "rejected_rows",
    metadata,
    own_key(),
    refers("callbase_key", "callbases.key"),
    integer("row", comment="of the file, as a spreadsheet counts"),
    words("value"),
    words("reason"),
    words("column_name", nullable=True),  # by migration 0030: as people call it; NULL: rejected before
    Index(None, "callbase_key"),
)

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
    Column("reading", JsonObject),  # by migration 0030, as of a callbase
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
    words("column_name", nullable=True),  # by migration 0030: as people call it; NULL: rejected before
    Index(None, "import_key"),
)

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
