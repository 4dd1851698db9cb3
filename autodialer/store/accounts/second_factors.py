"""Second factors: the secret that a user's authenticator shares with us, and the recovery codes beside it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from uuid import UUID

from sqlalchemy import Connection, Delete, Update, delete, func, insert, select, update

from autodialer.clock import Clock
from autodialer.errors import Conflict, NotFound
from autodialer.model import User
from autodialer.store.accounts.one_time_codes import address_of, new_recovery_codes, new_secret, plain, step_of
from autodialer.store.accounts.tables import recovery_codes, second_factors, token_families, users
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.secrets import Secrets

MOST_FAILURES = 100
"""Wrong codes in a row; after that no code is taken (NIST SP 800-63B revision 4 section 3.2.2). Only a person who has
the password gets as far as this, so nobody can shut a stranger out.
"""


class CodeVerdict(Enum):
    """What a code is found to be."""

    RIGHT = "right"
    WRONG = "wrong"
    """Or used before."""
    LOCKED = "locked"
    """Too many have been wrong; this one was not looked at."""
    NO_FACTOR = "no_factor"
    """The user has no second factor that is in use."""


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """What a new authenticator is told."""

    secret: str = field(repr=False)
    """Base32."""
    address: str = field(repr=False)
    """otpauth://, with the secret in it."""


@dataclass(frozen=True, kw_only=True)
class FactorStanding:
    """What is known of a user's second factor."""

    confirmed_at: datetime | None
    """None: no second factor is in use."""
    recovery_codes_left: int


class SecondFactors:
    """The second factors of all users."""

    def __init__(self, database: Database, secrets: Secrets, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    def standing(self, user_key: int) -> FactorStanding:
        """Whether the user has one."""
        count = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user_key == user_key)
        with self._database.read() as connection:
            row = _row_of(connection, user_key)
            left = connection.execute(count).scalar_one()
        return FactorStanding(confirmed_at=row.confirmed_at if row is not None else None, recovery_codes_left=left)

    def enrol(self, user: User) -> Enrolment:
        """A new secret, not in use before a code of it is confirmed. Raises Conflict for a user who has one in use."""
        secret = new_secret()
        with self._database.write() as connection:
            row = _row_of(connection, user.key)
            if row is not None and row.confirmed_at is not None:
                raise Conflict("You have a second factor already; switch it off before you set up another one.")
            connection.execute(delete(second_factors).where(second_factors.c.user_key == user.key))
            connection.execute(
                insert(second_factors).values(
                    user_key=user.key,
                    secret=self._secrets.encrypt(secret, context=_context(user.key)),
                    created_at=self._clock.utcnow(),
                )
            )
        return Enrolment(secret=secret, address=address_of(secret, user.login))

    def confirm(self, user_key: int, code: str, *, but: UUID | None) -> list[str] | None:
        """Take the secret into use for a code of it, and end the sessions that were begun without one, except `but`.

        Returns the recovery codes, which nobody can get again; None for a wrong code. Raises Conflict where no secret
        waits for its code.
        """
        now = self._clock.utcnow()
        with self._database.write() as connection:
            row = _row_of(connection, user_key)
            if row is None or row.confirmed_at is not None:
                raise Conflict("Nothing waits for a code; POST /srv1/users/me/mfa begins with a secret.")
            step = step_of(self._secret_of(row), code, now)
            if step is None:
                return None
            mine = second_factors.c.key == row.key
            connection.execute(update(second_factors).where(mine).values(confirmed_at=now, last_step=step))
            connection.execute(update(users).where(users.c.key == user_key).values(mfa_enabled=True))
            others = (token_families.c.user_key == user_key) & token_families.c.revoked_at.is_(None)
            if but is not None:
                others &= token_families.c.id != but
            connection.execute(update(token_families).where(others).values(revoked_at=now))
            return self._renew(connection, user_key)

    def use(self, user_key: int, code: str) -> CodeVerdict:
        """Use up a code of the authenticator or a recovery code: each is taken once."""
        now = self._clock.utcnow()
        with self._database.write() as connection:
            row = _row_of(connection, user_key)
            if row is None or row.confirmed_at is None:
                return CodeVerdict.NO_FACTOR
            if row.failures >= MOST_FAILURES:
                return CodeVerdict.LOCKED
            mine = second_factors.c.key == row.key
            step = step_of(self._secret_of(row), code, now)
            # Each asked of the rows themselves: two requests with one code may come at the same moment.
            used: Update | Delete
            if step is not None:
                used = update(second_factors).where(mine, second_factors.c.last_step < step).values(last_step=step)
            else:
                hashed = self._hash(user_key, code)
                used = delete(recovery_codes).where(
                    recovery_codes.c.user_key == user_key, recovery_codes.c.code_hash == hashed
                )
            is_right = connection.execute(used).rowcount == 1
            failures = 0 if is_right else second_factors.c.failures + 1
            connection.execute(update(second_factors).where(mine).values(failures=failures))
        return CodeVerdict.RIGHT if is_right else CodeVerdict.WRONG

    def renew_codes(self, user_key: int) -> list[str]:
        """New recovery codes; those of before are no longer taken."""
        with self._database.write() as connection:
            return self._renew(connection, user_key)

    def remove(self, user_key: int) -> None:
        """The user has no second factor any more. Raises NotFound where none was in use."""
        with self._database.write() as connection:
            row = _row_of(connection, user_key)
            connection.execute(delete(second_factors).where(second_factors.c.user_key == user_key))
            connection.execute(delete(recovery_codes).where(recovery_codes.c.user_key == user_key))
            connection.execute(update(users).where(users.c.key == user_key).values(mfa_enabled=False))
            if row is None or row.confirmed_at is None:
                raise NotFound("This user has no second factor.")

    def _renew(self, connection: Connection, user_key: int) -> list[str]:
        connection.execute(delete(recovery_codes).where(recovery_codes.c.user_key == user_key))
        codes = new_recovery_codes()
        rows = [{"user_key": user_key, "code_hash": self._hash(user_key, code)} for code in codes]
        connection.execute(insert(recovery_codes), rows)
        return codes

    def _hash(self, user_key: int, code: str) -> str:
        # With the server's key: the database alone lets nobody try out codes.
        return self._secrets.fingerprint(f"recovery code of {user_key}: {plain(code)}")

    def _secret_of(self, row: AnyRow) -> str:
        return self._secrets.decrypt(row.secret, context=_context(row.user_key))


def _row_of(connection: Connection, user_key: int) -> AnyRow | None:
    return connection.execute(select(second_factors).where(second_factors.c.user_key == user_key)).one_or_none()


def _context(user_key: int) -> bytes:
    return b"second factor of %d" % user_key
