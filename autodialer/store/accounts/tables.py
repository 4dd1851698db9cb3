"""Users, their sessions, and what they did."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, UniqueConstraint, select, text

from autodialer.model import Role
from autodialer.store.sql.column_types import JsonObject, Key, PublicId
from autodialer.store.sql.shapes import at, count, flag, metadata, own_key, public_id, refers, words
from autodialer.store.sql.transitions import check_one_of

users = Table(
    "users",
    metadata,
    own_key(),
    public_id(),
    words("login", unique=True),
    words("name"),
    words("role", comment="user sees his own objects, admin sees all"),
    words("password_hash", nullable=True, comment="argon2id; NULL: cannot log in until a password is set"),
    words("comment", nullable=True),
    at("created_at", nullable=False),
    # By migration 0033: a user; NULL: role user or admin. SQLite adds no named foreign key to a table that is there.
    Column("works_for_key", Key),
    # By migration 0047; NULL: no ceiling.
    Column("max_calls_day", Integer),
    Column("max_minutes_day", Integer),
    # By migration 0035, of a user who was deleted: when; its login, which another user may have by now (`login` is its
    # id since); give or delete while its objects are not all given to the user `heir_key` or cleared away.
    at("deleted_at"),
    words("former_login", nullable=True),
    words("leaves", nullable=True),
    Column("heir_key", Key),
    # By migration 0037: whether an admin wants a second factor of the user, and whether there is one in use.
    flag("mfa_required"),
    flag("mfa_enabled"),
    check_one_of("role", Role),
    Index(
        "users_works_for_key",
        "works_for_key",
        sqlite_where=text("works_for_key IS NOT NULL"),
        postgresql_where=text("works_for_key IS NOT NULL"),
    ),
    Index(
        "users_deleted",
        "key",
        sqlite_where=text("deleted_at IS NOT NULL"),
        postgresql_where=text("deleted_at IS NOT NULL"),
    ),
    Index("users_leaving", "key", sqlite_where=text("leaves IS NOT NULL"), postgresql_where=text("leaves IS NOT NULL")),
    sqlite_autoincrement=True,
)

_employers = users.alias()
USER = (
    *users.c,
    select(_employers.c.login).where(_employers.c.key == users.c.works_for_key).scalar_subquery().label("works_for"),
)
"""The columns that make a user."""

token_families = Table(
    "token_families",
    metadata,
    own_key(),
    public_id(),
    refers("user_key", "users.key", cascade=True),
    at("created_at", nullable=False),
    at("expires_at", nullable=False, comment="of its newest refresh token"),
    at("revoked_at", comment="NULL: its access tokens are good"),
    words("scope", nullable=True),  # by migration 0033, with spaces between; NULL: all that the role allows
    # By migration 0036; written at most once a minute. `program` is what the client calls itself.
    at("last_used_at"),
    words("address", nullable=True),
    words("program", nullable=True),
    Index(None, "user_key"),
    Index(None, "expires_at"),
    comment="one log-in: the access tokens and the chain of refresh tokens that came of it",
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    own_key(),
    refers("family_key", "token_families.key", cascade=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True, comment="SHA-256; the token itself is not kept"),
    at("created_at", nullable=False),
    at("used_at", comment="a second use revokes the family"),
    Index(None, "family_key"),
)

second_factors = Table(
    "second_factors",
    metadata,
    own_key(),
    Column("user_key", Key, ForeignKey("users.key", ondelete="CASCADE"), nullable=False, unique=True),
    Column("secret", LargeBinary, nullable=False, comment="encrypted"),
    at("created_at", nullable=False),
    at("confirmed_at", comment="NULL: not in use until a code has come"),
    Column("last_step", Key, nullable=False, server_default=text("0"), comment="of the newest code taken"),
    count("failures", comment="wrong codes in a row"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    own_key(),
    refers("user_key", "users.key", cascade=True),
    words("code_hash", comment="HMAC; a code that was used has no row"),
    UniqueConstraint("user_key", "code_hash"),
)

api_keys = Table(
    "api_keys",
    metadata,
    own_key(),
    public_id(),
    refers("user_key", "users.key", cascade=True),
    words("name"),
    words("prefix", comment="how the key begins"),
    Column("key_hash", LargeBinary(32), nullable=False, unique=True, comment="SHA-256; the key itself is not kept"),
    words("scope", comment="with spaces between"),
    at("created_at", nullable=False),
    at("expires_at", comment="NULL: it does not run out"),
    at("last_used_at", comment="written at most once a minute"),
    Index(None, "user_key"),
    sqlite_autoincrement=True,
    comment="what programs send in place of an access token",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    own_key(),
    refers("user_key", "users.key", cascade=True),
    words("operation"),
    words("idempotency_key", comment="as the client sent it"),
    words("fingerprint", comment="of the request that made the object"),
    Column("response_id", PublicId, nullable=False),
    at("created_at", nullable=False),
    UniqueConstraint("user_key", "operation", "idempotency_key"),
    Index(None, "created_at"),
)

audit = Table(
    "audit",
    metadata,
    own_key(),
    at("at", nullable=False),
    Column("user_key", Key, ForeignKey("users.key"), comment="NULL: the service itself, or nobody known"),
    words("action"),
    words("object_kind", nullable=True),
    Column("object_id", PublicId),
    Column("details", JsonObject),
    words("address", nullable=True, comment="of the client"),
    # By migration 0048: how often it happened, and what makes another time the same row; NULL: nothing does.
    Column("times", Integer, nullable=False, server_default=text("1")),
    words("merged_by", nullable=True),
    Index(None, "user_key"),
    # By migration 0038, for the filters of its list.
    Index(None, "at"),
    Index(None, "action"),
    Index(
        "audit_merged_by",
        "merged_by",
        unique=True,
        sqlite_where=text("merged_by IS NOT NULL"),
        postgresql_where=text("merged_by IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)
